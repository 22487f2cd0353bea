/**
 * `undici` Pool.dispatch behind `node:http`: raw header lists, no promises, no streams in between, backpressure both
 * ways, a client that leaves cancels its upstream request.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Pool, type Dispatcher } from 'undici';
import { assignment, forwardedRequest, forwardedResponse, serve } from './serve.ts';

const pool = new Pool(`http://127.0.0.1:${assignment.upstreamPort}`, {
  connections: 256,
  pipelining: 1,
  keepAliveTimeout: 600_000,
  headersTimeout: 600_000,
  bodyTimeout: 600_000,
});

const LARGEST_JOINED_BODY = 16 * 1024;

class Relay implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;
  #controller: Dispatcher.DispatchController | undefined;
  #hasBody = false;
  /** Held back for one event: most bodies are one chunk and can then go out together with the head. */
  #firstChunk: Buffer | undefined;

  constructor(response: ServerResponse) {
    this.#response = response;
    response.once('close', () => this.#clientClosed());
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#response.destroyed) this.#clientClosed();
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    message?: string,
  ): void {
    const raw = controller.rawHeaders as readonly Buffer[];
    this.#response.writeHead(status, message, forwardedResponse(raw.map((text) => text.toString('latin1'))));
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#hasBody) {
      this.#hasBody = true;
      this.#firstChunk = chunk;
      return;
    }
    this.#writeFirstChunk();
    if (this.#response.write(chunk)) return;
    controller.pause();
    this.#response.once('drain', () => controller.resume());
  }

  onResponseEnd(): void {
    const only = this.#firstChunk;
    // `node:http` joins a string to the head and sends both at once; a buffer would make it two pieces and a writev.
    if (only !== undefined && only.length <= LARGEST_JOINED_BODY) this.#response.end(only.toString('latin1'), 'latin1');
    else this.#response.end(only);
  }

  #writeFirstChunk(): void {
    if (this.#firstChunk === undefined) return;
    this.#response.write(this.#firstChunk);
    this.#firstChunk = undefined;
  }

  onResponseError(): void {
    if (this.#response.headersSent) this.#response.destroy();
    else this.#response.writeHead(502, ['Content-Length', '0']).end();
  }

  #clientClosed(): void {
    if (!this.#response.writableFinished) this.#controller?.abort(new Error('the client went away'));
  }
}

serve((request: IncomingMessage, response: ServerResponse) => {
  const { headers, hasBody } = forwardedRequest(request);
  pool.dispatch(
    { path: request.url ?? '/', method: request.method ?? 'GET', headers, body: hasBody ? request : null },
    new Relay(response),
  );
});
