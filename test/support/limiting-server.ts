/** A server with a limit of its own that keeps it, or does not: for what measures limits from outside. */
import { once } from 'node:events';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Scope } from './scope.ts';

export interface ServerBehaviour {
  readonly limit: number;
  readonly windowMs: number;
  /** How many may come at once. */
  readonly capacity: number;
  /** What `Retry-After` has, by the seconds that would be true; by default these. */
  readonly retryAfter?: (seconds: number) => string | null;
  /** What `RateLimit` says is left, by what is. */
  readonly left?: (left: number) => number;
  /** Each so many requests, one is answered after `stallMs` only. */
  readonly stallEvery?: number;
  readonly stallMs?: number;
  /** How an admission is answered: 200 with a length by default. */
  readonly admit?: (request: IncomingMessage, response: ServerResponse) => void;
  readonly tls?: { readonly key: string; readonly cert: string };
  readonly maxRequestsPerSocket?: number;
}

export interface LimitingServer {
  readonly url: string;
  /** What has come. */
  readonly heads: readonly { readonly method: string; readonly headers: IncomingMessage['headers'] }[];
}

/** Counts by the header `x-key`. It is closed after the test. */
export async function limitingServer(t: Scope, behaviour: ServerBehaviour): Promise<LimitingServer> {
  const heads: { method: string; headers: IncomingMessage['headers'] }[] = [];
  const buckets = new Map<string, Bucket>();
  let count = 0;
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    heads.push({ method: request.method!, headers: request.headers });
    const key = String(request.headers['x-key'] ?? '');
    const bucket = buckets.get(key) ?? new Bucket(behaviour);
    buckets.set(key, bucket);
    const now = performance.now();
    const isAdmitted = bucket.take(now);
    const seconds = Math.ceil(bucket.waitMs(now) / 1000);
    const retryAfter = behaviour.retryAfter === undefined ? String(seconds) : behaviour.retryAfter(seconds);
    const { left = (n: number) => n, stallEvery = Infinity, stallMs = 0 } = behaviour;
    response.setHeader('ratelimit', `"test";r=${left(bucket.left(now))};t=${seconds}`);
    response.setHeader('ratelimit-policy', `"test";q=${behaviour.limit};w=${behaviour.windowMs / 1000}`);
    const send = (): void => {
      if (isAdmitted) {
        if (behaviour.admit === undefined) response.end('hello');
        else behaviour.admit(request, response);
        return;
      }
      if (retryAfter !== null) response.setHeader('retry-after', retryAfter);
      response.writeHead(429).end('no');
    };
    if (++count % stallEvery === 0) setTimeout(send, stallMs);
    else send();
  };
  const server = behaviour.tls === undefined ? createServer(answer) : createSecureServer(behaviour.tls, answer);
  server.maxRequestsPerSocket = behaviour.maxRequestsPerSocket ?? 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `${behaviour.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}/`, heads };
}

class Bucket {
  private readonly intervalMs: number;
  private readonly mostMs: number;
  private paidAtMs = 0;

  constructor({ limit, windowMs, capacity }: ServerBehaviour) {
    this.intervalMs = windowMs / limit;
    this.mostMs = capacity * this.intervalMs;
  }

  take(now: number): boolean {
    const nextMs = Math.max(this.paidAtMs, now) + this.intervalMs;
    if (nextMs - now > this.mostMs) return false;
    this.paidAtMs = nextMs;
    return true;
  }

  left(now: number): number {
    // What sums of intervals may be off is not a permit less.
    return Math.floor((this.mostMs - Math.max(0, this.paidAtMs - now)) / this.intervalMs + 1e-6);
  }

  /** Until there is one. */
  waitMs(now: number): number {
    return Math.max(0, this.paidAtMs + this.intervalMs - now - this.mostMs);
  }
}
