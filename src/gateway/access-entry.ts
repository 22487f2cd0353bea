import type { Outcome } from '../contract.ts';
import type { ProxyExchange } from '../proxy/exchange.ts';
import type { AccessLogEntry } from '../telemetry/access-log-line.ts';
import type { Clock } from '../util/clock.ts';

/** What the access log says of an exchange. */
export function accessEntry(exchange: ProxyExchange, outcome: Outcome, clock: Clock): AccessLogEntry {
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
    reason: exchange.reason,
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
