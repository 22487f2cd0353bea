/** What the programs in this directory share: their assignment and the rules about forwarding header fields. */
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { ServerAssignment } from '../node-servers.ts';

export const assignment = JSON.parse(process.argv[2]) as ServerAssignment;

const IDLE_MS = 600_000;

/** RFC 9110, section 7.6.1, and the fields that a proxy sets itself. Lower case. */
const NOT_FORWARDED = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
]);

/** Listens as the assignment says, with TLS if it has any. */
export function serve(listener: RequestListener): Server {
  const { port, tls } = assignment;
  const options = { keepAliveTimeout: IDLE_MS, headersTimeout: IDLE_MS, requestTimeout: IDLE_MS };
  const server = tls
    ? createHttpsServer({ ...options, cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile) }, listener)
    : createHttpServer(options, listener);
  server.listen(port, '127.0.0.1', 4096);
  process.once('SIGTERM', () => process.exit(0));
  return server;
}

export interface ForwardedRequest {
  /** Flat list of names and values. */
  readonly headers: string[];
  readonly hasBody: boolean;
}

/** The header fields for the upstream: those of the client as they came, without hop-by-hop ones, plus ours. */
export function forwardedRequest(request: IncomingMessage): ForwardedRequest {
  const raw = request.rawHeaders;
  const headers: string[] = [];
  let host = '';
  let hasBody = false;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i].toLowerCase();
    if (name === 'host') host = raw[i + 1];
    else if (name === 'content-length' || name === 'transfer-encoding') hasBody = true;
    if (!NOT_FORWARDED.has(name)) headers.push(raw[i], raw[i + 1]);
  }
  headers.push(
    'X-Forwarded-For',
    request.socket.remoteAddress ?? '',
    'X-Forwarded-Proto',
    assignment.tls ? 'https' : 'http',
    'X-Forwarded-Host',
    host,
  );
  return { headers, hasBody };
}

/** The header fields for the client: those of the upstream without hop-by-hop ones. Flat list of names and values. */
export function forwardedResponse(raw: readonly string[]): string[] {
  const headers: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    if (!NOT_FORWARDED.has(raw[i].toLowerCase())) headers.push(raw[i], raw[i + 1]);
  }
  return headers;
}
