import type { Outcome } from '../contract.ts';
import type { ProxyExchange } from '../proxy/exchange.ts';
import type { AccessLogEntry } from '../telemetry/access-log-line.ts';
import { SecretFilter } from '../telemetry/secret-filter.ts';
import type { Clock } from '../util/clock.ts';

/**
 * What the access log says of an exchange.
 * @param hide the text without secrets.
 */
export function accessEntry(
  exchange: ProxyExchange,
  outcome: Outcome,
  clock: Clock,
  hide: (text: string) => string,
): AccessLogEntry {
  const { forward } = exchange;
  return {
    timeMs: clock.wallNow() - outcome.durationMs,
    requestId: exchange.requestId,
    traceId: '',
    clientIp: exchange.clientIp,
    method: exchange.method,
    host: exchange.host,
    path: exchange.path,
    query: exchange.query,
    route: exchange.route.name,
    consumer: exchange.consumer?.name ?? '',
    upstream: forward?.upstream.name ?? '',
    target: forward?.target?.url ?? '',
    status: outcome.status,
    code: outcome.code ?? '',
    reason: exchange.reason === '' ? '' : hide(exchange.reason),
    cache: '',
    attempts: outcome.attempts,
    bytesIn: outcome.bytesIn,
    bytesOut: outcome.bytesOut,
    durationMs: outcome.durationMs,
    upstreamMs: forward === null || forward.answeredAt === 0 ? -1 : forward.answeredAt - forward.sentAt,
    protocol: exchange.protocol,
    userAgent: exchange.requestHeaders.get('user-agent') ?? '',
    requestHeaders: exchange.requestHeaders,
  };
}

/** Reasons are constants, mostly; those of policies of the user may be anything. */
const reasonsRemembered = 1000;

/** Takes what is secret out of the reasons that policies give, in case that one of them is careless. */
export function reasonsWithout(secrets: readonly string[]): (text: string) => string {
  const filter = new SecretFilter(secrets);
  const known = new Map<string, string>();
  return (text) => {
    let shown = known.get(text);
    if (shown === undefined) {
      if (known.size === reasonsRemembered) known.clear();
      known.set(text, (shown = filter.text(text)));
    }
    return shown;
  };
}
