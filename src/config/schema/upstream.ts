/** `upstreams`: the groups of targets that requests are sent to. */
import { z } from '../../util/schema.ts';
import { duration, percentage } from '../../util/units.ts';
import { authority } from './http-text.ts';
import { flag, integer, notAvailable, pem } from './scalars.ts';
import { upstreamAuthSchema } from './upstream-auth.ts';

const MAX_WEIGHT = 10_000;

/** Where a target is, in parts: what opening a connection needs. */
export interface TargetAddress {
  readonly tls: boolean;
  /** Name or IP address, an IPv6 address without brackets; empty for a Unix socket. */
  readonly host: string;
  /** 0 for a Unix socket. */
  readonly port: number;
  /** The path of a Unix socket, or null. */
  readonly unix: string | null;
}

/** Parses the URL of a target: `http://host:port`, `https://host` or `unix:/path`; otherwise says what is wrong. */
function parseTargetUrl(text: string): TargetAddress | string {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length).replace(/^\/\//, '');
    return path === '' ? 'unix: needs the path of a socket' : { tls: false, host: '', port: 0, unix: path };
  }
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || !/^https?:\/\//.test(text)) {
    return 'write a URL such as http://127.0.0.1:3000, https://api.internal or unix:/run/app.sock';
  }
  if (url.username !== '' || url.password !== '') return 'a target has no user name or password';
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    return 'a target is only scheme, host and port: to change the path, use `rewrite` on the route';
  }
  const tls = url.protocol === 'https:';
  const port = url.port === '' ? (tls ? 443 : 80) : Number(url.port);
  if (port === 0) return 'a target cannot have port 0';
  return { tls, host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port, unix: null };
}

/** One target of an upstream, ready to connect to. */
export interface TargetConfig extends TargetAddress {
  /** As configured; how logs, metrics and the admin API name it. */
  readonly url: string;
  readonly weight: number;
}

/** h2:// and h2c:// are correct, but not built yet. */
const http2Url = notAvailable(
  z
    .string()
    .regex(/^h2c?:\/\/[^/?#@]+$/)
    .meta({ title: 'h2 URL' }),
);

const plainUrl = z
  .string()
  .superRefine((text, context) => {
    const address = parseTargetUrl(text);
    if (typeof address === 'string') context.addIssue({ code: 'custom', message: address });
  })
  .meta({ title: 'URL' });

const targetUrl = z.union([plainUrl, http2Url]);

const weight = integer(0, MAX_WEIGHT).default(1).describe('Its share of the requests, relative to the other targets.');
const zone = notAvailable(z.string().min(1)).optional().describe('The availability zone that it is in.');

const targetEntry = z.union(
  [
    targetUrl,
    z.strictObject({
      url: targetUrl.describe('Where it is: `http://` or `https://` with host and port, or `unix:/path`.'),
      weight,
      zone,
    }),
    notAvailable(
      z.strictObject({
        dns: z.string().min(1).describe('`host:port`; every address of the host becomes a target.'),
        weight,
        zone,
      }),
    ),
    notAvailable(
      z.strictObject({
        srv: z.string().min(1).describe('The name of an SRV record, which gives hosts, ports and weights.'),
        weight,
        zone,
      }),
    ),
  ],
  { error: 'write a URL, or {url, weight}' },
);

const NOWHERE: TargetAddress = { tls: false, host: '', port: 0, unix: null };

/** Entries that are not available yet have no address; a configuration with one is never served. */
const target = targetEntry.transform((entry): TargetConfig => {
  if (typeof entry === 'string') return toTarget(entry, 1);
  if ('url' in entry) return toTarget(entry.url, entry.weight);
  return { ...NOWHERE, url: 'dns' in entry ? `dns:${entry.dns}` : `srv:${entry.srv}`, weight: entry.weight };
});

function toTarget(url: string, share: number): TargetConfig {
  const address = parseTargetUrl(url);
  return { ...(typeof address === 'string' ? NOWHERE : address), url, weight: share };
}

const balance = z.union([
  z.enum(['round-robin', 'weighted-round-robin']),
  notAvailable(z.enum(['random', 'least-requests', 'peak-ewma', 'first'])),
  notAvailable(
    z.strictObject({
      hash: z
        .string()
        .regex(/^(?:consumer|ip|path|(?:header|cookie|query):.+)$/)
        .describe('`consumer`, `ip`, `path`, `header:X`, `cookie:X` or `query:X`.'),
    }),
  ),
]);

const sticky = z.strictObject({
  cookie: z.string().default('gw_session').describe('The name of the cookie.'),
  ttl: duration().prefault('1h').describe('How long a client stays with its target.'),
});

const health = z.strictObject({
  active: z
    .strictObject({
      path: z.string().startsWith('/').default('/').describe('What is asked for.'),
      interval: duration({ min: 1 }).prefault('5s').describe('How often.'),
      timeout: duration({ min: 1 }).prefault('1s').describe('How long an answer may take.'),
      expect: z
        .union([integer(100, 599), z.string().regex(/^[1-5][0-9]{2}(?:-[1-5][0-9]{2})?$/)])
        .default('200-399')
        .describe('The statuses that mean healthy.'),
      unhealthyAfter: integer(1).default(3).describe('Failures in a row.'),
      healthyAfter: integer(1).default(2).describe('Successes in a row.'),
    })
    .optional()
    .describe('Ask every target at intervals.'),
  passive: z
    .strictObject({
      consecutiveFailures: integer(1).default(5).describe('Failures in a row that mean unhealthy.'),
      failureRate: percentage().prefault('50%').describe('The share of failures that means unhealthy.'),
      minRequests: integer(1).default(20).describe('Fewer requests say nothing of the share.'),
      ejectFor: duration({ min: 1 }).prefault('30s').describe('How long a target is left out.'),
      maxEjected: percentage().prefault('50%').describe('The largest share of targets that are left out.'),
    })
    .optional()
    .describe('Watch the traffic, and leave out targets that fail.'),
});

const connections = z.strictObject({
  // As many as a listener accepts: what is beyond it is refused, as there is nothing to wait in.
  max: integer(1, 65_535)
    .default(10_000)
    .describe(
      'The largest number of connections to one target. Tunnels, such as those of WebSockets, do not count. When all ' +
        'targets are at their limit, requests are answered 503.',
    ),
  idle: duration({ min: 1 }).prefault('60s').describe('How long an unused connection is kept.'),
  pipelining: integer(1, 128)
    .default(1)
    .describe(
      'How many requests may be on their way on one connection. Above 1, idempotent requests without a body are sent ' +
        'before earlier responses have arrived; only for upstreams that are known to handle it.',
    ),
});

const upstreamTls = z.strictObject({
  ca: pem().optional().describe('The authorities, in PEM form, to trust instead of those of the system.'),
  cert: pem().optional().describe('The certificate, in PEM form, to present to the upstream.'),
  key: pem().optional().describe('Its private key in PEM form.'),
  serverName: z.string().min(1).optional().describe('The name to ask for (SNI) and to verify. By default the host.'),
  insecure: flag()
    .default(false)
    .describe('Do not verify the upstream. Anybody on the path can then read and change it.'),
});

export const upstreamSchema = z.strictObject({
  targets: z.array(target).min(1, { error: 'an upstream needs a target' }).describe('Where the service runs.'),
  balance: balance.default('round-robin').describe('How a target is chosen.'),
  connections: connections.prefault({}).describe('The connections to each target.'),
  tls: upstreamTls.prefault({}).describe('How https targets are verified.'),
  hostHeader: z
    .union([z.enum(['preserve', 'target']), authority], { error: 'write preserve, target or a host' })
    .default('preserve')
    .describe(
      'The Host that the upstream sees: `preserve` what the client sent, that of the `target`, or this very text.',
    ),
  auth: upstreamAuthSchema
    .optional()
    .describe(
      'What the gateway proves itself with to this upstream, and to no other. What clients send in the same headers is removed.',
    ),
  sticky: notAvailable(sticky).optional().describe('Send a client to the target that it had before.'),
  health: notAvailable(health).optional().describe('Find out which targets work.'),
  slowStart: notAvailable(duration()).optional().describe('Raise the share of a new target slowly.'),
  queue: notAvailable(
    z.strictObject({
      max: integer(0).default(128).describe('How many may wait.'),
      timeout: duration({ min: 1 }).prefault('1s').describe('How long one may wait.'),
    }),
  )
    .optional()
    .describe('Let requests wait when every target is at its connection limit.'),
  circuitBreaker: notAvailable(
    z.strictObject({
      failureRate: percentage().prefault('50%').describe('The share of failures at which it opens.'),
      minRequests: integer(1).default(20).describe('Fewer requests say nothing of the share.'),
      openFor: duration({ min: 1 }).prefault('10s').describe('How long nothing is sent.'),
      halfOpenRequests: integer(1).default(3).describe('How many requests then try whether it works again.'),
    }),
  )
    .optional()
    .describe('Stop sending for a while when too much fails.'),
});
