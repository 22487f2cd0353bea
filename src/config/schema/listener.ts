/** `listeners` and `admin`: the sockets that the gateway accepts on. */
import { IpSet } from '../../util/ip-set.ts';
import { z } from '../../util/schema.ts';
import { duration, rate, size } from '../../util/units.ts';
import { flag, integer, notAvailable, oneOrMore, pem, secret } from './scalars.ts';

/** An IP address or a CIDR block. */
const addressBlock = z.string().refine(isAddressBlock, {
  error: ({ input }) => `${JSON.stringify(input)} is neither an IP address nor a CIDR block`,
});

function isAddressBlock(text: string): boolean {
  try {
    IpSet.parse([text]);
    return true;
  } catch {
    return false;
  }
}

const limits = z.strictObject({
  headBytes: size({ min: 256, max: 2 ** 20 })
    .prefault('32KiB')
    .describe('The longest head of a request: request line and headers. Beyond it 431.'),
  targetBytes: size({ min: 64, max: 2 ** 20 })
    .prefault('16KiB')
    .describe('The longest request target: path and query. Beyond it 414.'),
  headers: integer(1, 10_000).default(100).describe('The largest number of headers. Beyond it 431.'),
  bodyBytes: size().prefault('100MiB').describe('The largest request body. Beyond it 413.'),
  connections: integer(1)
    .default(10_000)
    .describe(
      'The largest number of connections at a time, of all threads together. Those beyond it are answered 503 and closed.',
    ),
  connectionsPerAddress: integer(1)
    .optional()
    .describe(
      'The same of one client: an address, or a /64 of IPv6. Without it there is no such limit. Proxies in `trustedProxies` ' +
        'are exempt, as all of their clients share an address; behind the PROXY protocol it is the client that counts.',
    ),
  newConnections: rate()
    .optional()
    .describe(
      'How many connections are accepted in which time, such as `1000/1s`. Those beyond it are closed likewise.',
    ),
  newConnectionsPerAddress: rate().optional().describe('The same of one client, with the same exemptions.'),
  underscores: z
    .enum(['drop', 'keep'])
    .default('drop')
    .describe(
      'What happens to headers with `_` in their names. Behind many servers `x_user` and `x-user` become the same ' +
        'variable, so that a client could set a header that the gateway guards.',
    ),
});

const listenerTimeouts = z.strictObject({
  handshake: duration({ min: 1 }).prefault('10s').describe('For the TLS handshake, and the PROXY protocol header.'),
  head: duration({ min: 1 })
    .prefault('10s')
    .describe('For the head of a request to arrive, from its first byte. Beyond it 408.'),
  bodyIdle: duration({ min: 1 })
    .prefault('30s')
    .describe(
      'For the next bytes of a request body, or for the client to read more of a response. In the long run every KiB of a ' +
        'body may take this time, or 30s if that is longer; the first minute is free. Beyond it 408.',
    ),
  keepAlive: duration({ min: 1 }).prefault('60s').describe('For the next request on an open connection.'),
});

const certificate = z.strictObject({
  cert: pem().describe('The certificate chain in PEM form, the certificate of the server first: a file, or the text.'),
  key: pem().describe('Its private key in PEM form: a file, or the text by `${env:NAME}` or `${file:path}`.'),
});

const clientAuth = z.strictObject({
  ca: pem().describe('The authorities, in PEM form, that client certificates must come from.'),
  require: flag()
    .default(true)
    .describe('Refuse clients without a certificate. When false, a certificate is verified if there is one.'),
});

const listenerTls = z.strictObject({
  certificates: z
    .array(certificate)
    .min(1, { error: 'a TLS listener needs a certificate' })
    .describe(
      'Chosen by the name that the client asks for (SNI); the first is the default. Re-read when a file changes.',
    ),
  minVersion: z
    .union([z.enum(['1.2', '1.3']), z.literal([1.2, 1.3]).transform((version) => (version === 1.2 ? '1.2' : '1.3'))], {
      error: 'write "1.2" or "1.3"',
    })
    .prefault('1.2')
    .describe('The oldest version of TLS that is accepted.'),
  clientAuth: clientAuth.optional().describe('Ask clients for a certificate.'),
});

export const listenerSchema = z
  .strictObject({
    port: integer(0, 65_535)
      .optional()
      .meta({ default: 8080, description: 'The TCP port. 0 picks a free port and logs it.' }),
    host: z
      .string()
      .min(1)
      .optional()
      .meta({ default: '0.0.0.0', description: 'The address to listen on; `::` for IPv6 as well.' }),
    unix: z.string().min(1).optional().describe('The path of a Unix socket to listen on, instead of a port.'),
    trustedProxies: oneOrMore(addressBlock)
      .default([])
      .describe(
        'Addresses of proxies whose `X-Forwarded-*` and `Forwarded` headers are believed. By default none are.',
      ),
    proxyProtocol: flag()
      .default(false)
      .describe('Expect a PROXY protocol header, version 1 or 2, at the start of every connection.'),
    limits: limits.prefault({}).describe('What a client may send.'),
    timeouts: listenerTimeouts.prefault({}).describe('How long a client may take.'),
    http2: z
      .union([z.literal(false), notAvailable(z.literal([true, 'cleartext']))], {
        error: 'write true, false or cleartext',
      })
      .default(false)
      .describe('HTTP/2: on TLS by ALPN, or `cleartext` for h2c by prior knowledge.'),
    tls: listenerTls.optional().describe('Serve https.'),
  })
  .refine(({ port, unix }) => port === undefined || unix === undefined, {
    error: 'a listener has a port or a Unix socket, not both',
    path: ['unix'],
  })
  .refine(({ host, unix }) => host === undefined || unix === undefined, {
    error: 'a Unix socket has no host',
    path: ['host'],
  })
  // The handshake begins once the PROXY header is read; the two are put together by the remote address and port.
  .refine(({ unix, proxyProtocol, tls }) => unix === undefined || !proxyProtocol || tls === undefined, {
    error: 'a Unix socket cannot have TLS behind the PROXY protocol: listen on a port, or leave TLS to the proxy',
    path: ['proxyProtocol'],
  })
  .transform(({ port = 8080, host = '0.0.0.0', unix = null, ...rest }) => ({ port, host, unix, ...rest }));

export const adminSchema = z.strictObject({
  host: z.string().min(1).default('127.0.0.1').describe('The address to listen on.'),
  port: integer(0, 65_535).default(9901).describe('The TCP port. 0 picks a free port and logs it.'),
  token: secret()
    .optional()
    .describe('The bearer token that callers must present. Without one only loopback is bound.'),
});
