/** The client of a gateway under test: the platform's, so that what the gateway sends is read by somebody else's parser. */
import { type IncomingMessage, request as httpRequest } from 'node:http';
import type { FakeHeaders } from './fake-answer.ts';
import type { MemorySocket } from './memory-socket.ts';
import { type RawHeaders, pairsOf } from './raw-headers.ts';

export interface ClientRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** For `Host`, unless the headers have one. */
  readonly authority: string;
  readonly headers: FakeHeaders;
  readonly body: string | Uint8Array | null;
}

export interface ClientResponse {
  readonly status: number;
  readonly rawHeaders: RawHeaders;
  readonly bytes: Buffer;
}

/** Headers that the client adds by itself. */
function headersOf({ authority, headers, body, method }: ClientRequest): string[] {
  const flat = Object.entries(headers).flatMap(([name, value]) =>
    typeof value === 'string' ? [name, value] : value.flatMap((one) => [name, one]),
  );
  const has = (name: string): boolean => Object.keys(headers).some((key) => key.toLowerCase() === name);
  if (!has('host')) flat.unshift('host', authority);
  // Otherwise the platform would say that the connection is to be closed, and so would the gateway's response.
  if (!has('connection')) flat.push('connection', 'keep-alive');
  const needsLength = body !== null || ['POST', 'PUT', 'PATCH'].includes(method);
  if (needsLength && !has('content-length') && !has('transfer-encoding')) {
    flat.push('content-length', String(body === null ? 0 : Buffer.byteLength(body)));
  }
  return flat;
}

/**
 * Sends one request and reads the response to it.
 * @throws when the connection ends without a complete response.
 */
export async function exchangeOver(socket: MemorySocket, request: ClientRequest): Promise<ClientResponse> {
  const { method, target, body } = request;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = httpRequest({
      method,
      path: target,
      headers: headersOf(request),
      setHost: false,
      createConnection: () => socket,
    });
    outgoing.on('response', resolve);
    outgoing.on('upgrade', (switched) => resolve(switched));
    outgoing.on('error', (error) => reject(new Error(`the gateway sent no response (${error.message})`)));
    outgoing.end(body ?? undefined);
  });
  const chunks: Buffer[] = [];
  try {
    if (response.statusCode !== 101) for await (const chunk of response) chunks.push(chunk as Buffer);
  } catch {
    const { length } = Buffer.concat(chunks);
    throw new Error(`the gateway broke the response off (status ${response.statusCode}, after ${length} bytes)`);
  }
  return {
    status: response.statusCode ?? 0,
    rawHeaders: pairsOf(response.rawHeaders),
    bytes: Buffer.concat(chunks),
  };
}
