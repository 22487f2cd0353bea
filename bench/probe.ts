/**
 * One request over a connection of its own, measured in bytes on the wire. Used to wait for a gateway, to check that
 * it does the same work as the others, and to learn how long a right answer is before load is put on it.
 */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';

export interface Endpoint {
  readonly port: number;
  readonly tls: boolean;
}

export interface ProbeRequest {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly timeoutMs?: number;
}

export interface ProbeAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: Buffer;
  /** Head and body as they came over the wire (after TLS). */
  readonly wireBytes: number;
  readonly cipher: string | undefined;
}

/** The Host of every request of the bench; arms must hand it on unchanged. */
export const HOST = 'api.bench.test';
/** The one cipher suite of the TLS scenario, so that all arms encrypt alike. */
export const CIPHER_SUITE = 'TLS_AES_256_GCM_SHA384';

/** Fails when no connection can be made, when the answer is malformed or when it takes too long. */
export function probe(endpoint: Endpoint, request: ProbeRequest): Promise<ProbeAnswer> {
  const socket = open(endpoint);
  return new Promise<ProbeAnswer>((resolve, reject) => {
    const chunks: Buffer[] = [];
    const timeoutMs = request.timeoutMs ?? 10_000;
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no complete answer within ${timeoutMs} ms`)));
    socket.once(endpoint.tls ? 'secureConnect' : 'connect', () => send(socket, request));
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      const answer = parseAnswer(Buffer.concat(chunks), socket);
      if (!answer) return;
      resolve(answer);
      socket.destroy();
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the connection closed before the answer was complete')));
  });
}

function open({ port, tls }: Endpoint): Socket {
  if (!tls) return connectTcp({ host: '127.0.0.1', port });
  return connectTls({
    host: '127.0.0.1',
    port,
    // The certificate was made a moment ago for this run and nobody signed it.
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
    ciphers: CIPHER_SUITE,
  });
}

function send(socket: Socket, request: ProbeRequest): void {
  const length = request.body ? `Content-Length: ${request.body.length}\r\n` : '';
  const fields = Object.entries(request.headers ?? {}).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `Host: ${HOST}\r\n${fields.join('')}${length}`;
  socket.write(`${request.method ?? 'GET'} ${request.path} HTTP/1.1\r\n${head}\r\n`);
  if (request.body) socket.write(request.body);
}

/** The answer once all of it is there, else undefined. Knows Content-Length and chunked, which is all we are sent. */
function parseAnswer(bytes: Buffer, socket: Socket): ProbeAnswer | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const head = bytes.toString('latin1', 0, headEnd);
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1]);
  const rest = bytes.subarray(headEnd + 4);
  const length = /^content-length: *(\d+)/im.exec(head)?.[1];
  const body = length === undefined ? unchunk(rest) : rest.length >= Number(length) ? rest : undefined;
  if (!body) return undefined;
  const cipher = 'getCipher' in socket ? (socket as TLSSocket).getCipher().standardName : undefined;
  return { status, head, body, wireBytes: bytes.length, cipher };
}

function unchunk(bytes: Buffer): Buffer | undefined {
  const parts: Buffer[] = [];
  for (let at = 0; ;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    if (Number.isNaN(size)) throw new Error('the body is neither chunked nor of a known length');
    const end = lineEnd + 2 + size;
    if (bytes.length < end + 2) return undefined;
    if (size === 0) return Buffer.concat(parts);
    parts.push(bytes.subarray(lineEnd + 2, end));
    at = end + 2;
  }
}
