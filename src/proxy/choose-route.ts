/** Station 3: from the bytes of the target to one canonical path, and from that to one route. */
import type { RouteInfo } from '../contract.ts';
import type { ErrorCode } from '../errors.ts';
import { VIA, kindBits } from '../http/field-kind.ts';
import { goesInCircles } from '../http/forwarded.ts';
import { parseAuthority } from '../http/host.ts';
import { CanonicalTarget, canonicalizeTarget } from '../http/path.ts';
import type { ServerStream } from '../wire/server-stream.ts';
import type { ProxyExchange } from './exchange.ts';
import type { RoutableRequest, RouteFound } from './router/route-rule.ts';
import type { Router } from './router/router.ts';

/** What this station needs of an exchange, and what it sets there: `explain` asks with less than a whole one. */
export type RoutedExchange<H> = Pick<
  ProxyExchange,
  | 'listener'
  | 'method'
  | 'protocol'
  | 'requestHeaders'
  | 'host'
  | 'port'
  | 'path'
  | 'query'
  | 'route'
  | 'reason'
  | 'methodRefused'
  | 'dropClaims'
> & {
  readonly stream: Pick<ServerStream, 'target' | 'method' | 'authority' | 'memo'>;
  chosen: H;
  setRoute(router: RouteTable<H>['router'], found: RouteFound<RouteInfo, H>): void;
};

/** What it needs of a snapshot. */
export interface RouteTable<H> {
  readonly router: Pick<Router<RouteInfo, H>, 'match' | 'valueOf'>;
  readonly notFound: H & { readonly info: RouteInfo };
}

const via = kindBits((kind) => kind === VIA);

/**
 * Sets host, path, query, route and params of the exchange. Everything after this station, the upstream included, sees
 * the canonical path and no other form of it (CVE-2019-9901, CVE-2021-43557).
 * @returns why the request cannot be routed, or null.
 */
export function chooseRoute<H>(exchange: RoutedExchange<H>, snapshot: RouteTable<H>): ErrorCode | null {
  exchange.chosen = snapshot.notFound;
  exchange.route = snapshot.notFound.info;
  const { stream } = exchange;
  // Made anew: what is kept grows old, and old memory that points to young memory is dear to the garbage collector.
  const target = new CanonicalTarget();
  if (!canonicalizeTarget(stream.target, stream.method, target)) return refuse(exchange, 'BAD_PATH', target.reason);
  exchange.path = target.path;
  exchange.query = target.query;
  if (!setHost(exchange, target)) return refuse(exchange, 'BAD_REQUEST', 'bad Host');
  if (hasCircled(exchange)) return refuse(exchange, 'LOOP_DETECTED', 'the request has come by here too often');
  exchange.dropClaims();

  const found = snapshot.router.match(asRoutable(exchange, target));
  if (found === null) return null;
  if (found.kind === 'method') {
    exchange.route = { name: snapshot.notFound.info.name, methods: found.allowed };
    exchange.methodRefused = true;
    return null;
  }
  if (target.hasEncodedSlash && found.encodedSlash === 'refuse') return refuse(exchange, 'BAD_PATH', 'encoded slash');
  if (found.emptySegments === 'keep') exchange.path = target.unmergedPath;
  exchange.setRoute(snapshot.router, found);
  return null;
}

function refuse(exchange: Pick<ProxyExchange, 'reason'>, code: ErrorCode, reason: string): ErrorCode {
  exchange.reason = reason;
  return code;
}

/** Detecting loops is what Via is for (RFC 9110, section 7.6.3); hardly any request has one. */
function hasCircled({ requestHeaders }: Pick<ProxyExchange, 'requestHeaders'>): boolean {
  return requestHeaders.mayHave(via) && goesInCircles(requestHeaders.joinKind(VIA));
}

/**
 * An absolute-form target names the host itself and Host must not contradict it (RFC 9112, section 3.2.2); two names for
 * one request would be two requests to two readers.
 */
function setHost(exchange: RoutedExchange<unknown>, target: CanonicalTarget): boolean {
  const { authority: named, memo } = exchange.stream;
  if (target.authority === '' && named !== '' && named === memo.authority) {
    exchange.host = memo.host;
    exchange.port = memo.port;
    return true;
  }
  if (named === '' && target.authority === '') return exchange.protocol === 'HTTP/1.0';
  const authority = parseAuthority(target.authority === '' ? named : target.authority);
  if (authority === null) return false;
  if (target.authority !== '' && named !== '') {
    const other = parseAuthority(named);
    if (other === null || other.host !== authority.host) return false;
  }
  exchange.host = authority.host;
  exchange.port = authority.port;
  if (target.authority === '') {
    memo.authority = named;
    memo.host = exchange.host;
    memo.port = exchange.port;
    memo.forwarding = '';
  }
  return true;
}

function asRoutable(exchange: RoutedExchange<unknown>, target: CanonicalTarget): RoutableRequest {
  return {
    listener: exchange.listener,
    method: exchange.method,
    host: exchange.host,
    matchPath: target.matchPath,
    path: target.path,
    unmergedMatchPath: target.unmergedMatchPath,
    unmergedPath: target.unmergedPath,
    query: target.query,
    headers: exchange.requestHeaders,
  };
}
