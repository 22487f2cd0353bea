/** `@fastify/http-proxy`, one registration per route as its users write it. */
import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import httpProxy from '@fastify/http-proxy';
import createFastify from 'fastify';
import { routePrefixes } from '../arm.ts';
import type { ServerAssignment } from '../node-servers.ts';

const { port, upstreamPort, tls, routes } = JSON.parse(process.argv[2]) as ServerAssignment;
const IDLE_MS = 600_000;
const MAX_BODY_BYTES = 2 ** 31;

const fastify = createFastify({
  logger: false,
  keepAliveTimeout: IDLE_MS,
  requestTimeout: IDLE_MS,
  bodyLimit: MAX_BODY_BYTES,
  https: tls ? { cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile) } : null,
});

const upstream = `http://127.0.0.1:${upstreamPort}`;
const pool = {
  connections: 256,
  pipelining: 1,
  keepAliveTimeout: IDLE_MS,
  headersTimeout: IDLE_MS,
  bodyTimeout: IDLE_MS,
};

for (const prefix of routes === 0 ? ['/'] : routePrefixes(routes)) {
  fastify.register(httpProxy, {
    upstream,
    prefix,
    rewritePrefix: prefix,
    disableRequestLogging: true,
    // With many registrations a pool each would mean as many pools to one upstream; the global one serves them all.
    ...(routes === 0 ? { undici: pool } : { globalAgent: true }),
    replyOptions: {
      rewriteRequestHeaders: (request, headers): IncomingHttpHeaders => ({
        ...headers,
        host: request.headers.host,
        'x-forwarded-for': request.ip,
        'x-forwarded-proto': request.protocol,
        'x-forwarded-host': request.headers.host,
      }),
    },
  });
}

process.once('SIGTERM', () => process.exit(0));
await fastify.listen({ port, host: '127.0.0.1', backlog: 4096 });
