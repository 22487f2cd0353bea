/** The head of the request that goes to the upstream: what is copied, what is removed, what the gateway says itself. */
import type { Consumer } from '../contract.ts';
import {
  CALLER,
  FORWARDED,
  VIA,
  X_FORWARDED_FOR,
  X_FORWARDED_HOST,
  X_FORWARDED_PORT,
  X_FORWARDED_PROTO,
  isForwarding,
  isIdentity,
  kindBits,
} from '../http/field-kind.ts';
import { appendVia, forwarded, forwardedFor, forwardedPort } from '../http/forwarded.ts';
import { HeaderFields } from '../http/header-fields.ts';
import { formatAuthority } from '../http/host.ts';
import { flat } from '../wire/latin1.ts';
import type { ProxyExchange } from './exchange.ts';
import type { Target, Upstream } from './upstream.ts';

/** `GET /path?query HTTP/1.1` and Host. */
export function requestLine(exchange: Pick<ProxyExchange, 'method' | 'query'>, path: string, host: string): string {
  const { query } = exchange;
  const target = query === '' ? path : `${path}?${query}`;
  return `${exchange.method} ${target} HTTP/1.1\r\nhost: ${host}\r\n`;
}

/** The Host that the upstream gets. A client of HTTP/1.0 may have named none. */
export function upstreamHost(
  exchange: Pick<ProxyExchange, 'host' | 'port'>,
  rewritten: string | null,
  upstream: Pick<Upstream, 'hostHeader'>,
  target: Pick<Target, 'authority'>,
): string {
  if (rewritten !== null) return rewritten;
  if (upstream.hostHeader === 'target') return target.authority;
  if (upstream.hostHeader !== 'preserve') return upstream.hostHeader;
  return exchange.host === '' ? target.authority : formatAuthority(exchange.host, exchange.port);
}

/**
 * The fields that are sent on. Hop-by-hop fields are gone before the gateway writes its own, so `Connection` cannot take
 * those away (CVE-2024-45410). Of the fields that say who the client is, only those of trusted proxies and of policies
 * have come this far (see `ProxyExchange.dropClaims`).
 */
export function copiedFields(headers: HeaderFields): string {
  return headers.mayHave(keptClaims) ? headers.ordinaryLines() + headers.linesOf(isKeptClaim) : headers.ordinaryLines();
}

function isKeptClaim(kind: number): boolean {
  return isForwarding(kind) || isIdentity(kind);
}

const keptClaims = kindBits(isKeptClaim);

/** Who calls, for the upstream. What a policy has set itself stays as it is. */
export function consumerFields({ consumer }: Pick<ProxyExchange, 'consumer'>, headers: HeaderFields): string {
  if (consumer === null) return '';
  if (headers.mayHave(callers) && headers.has('x-consumer')) return '';
  let lines = consumerLines.get(consumer);
  if (lines === undefined) {
    lines = flat(linesOf(consumer));
    consumerLines.set(consumer, lines);
  }
  return lines;
}

const callers = kindBits((kind) => kind === CALLER);
/** Most requests come from few consumers. */
const consumerLines = new WeakMap<Consumer, string>();

function linesOf({ name, groups }: Consumer): string {
  const consumer = `x-consumer: ${encode(name)}\r\n`;
  return groups.length === 0 ? consumer : `${consumer}x-consumer-groups: ${groups.map(encode).join(', ')}\r\n`;
}

/** The names of the configuration stay as they are; what a policy has made up may hold anything. */
function encode(name: string): string {
  return name.toWellFormed().replaceAll(/[^\x21-\x24\x26-\x2b\x2d-\x7e]/gu, encodeURIComponent);
}

/**
 * Who called and how: X-Forwarded-*, Forwarded and Via. One that a policy has set is left to it.
 * @param headers what `copiedFields` was given.
 */
export function forwardingFields(exchange: ProxyExchange, headers: HeaderFields): string {
  const { memo } = exchange.stream;
  const isPlain = exchange.trusted.isEmpty && exchange.protocol === 'HTTP/1.1';
  const isUsual = isPlain && memo.host === exchange.host && memo.port === exchange.port;
  if (!isUsual || headers.mayHave(told)) {
    return `${ownFields(exchange, headers)}via: ${appendVia(headers.joinKind(VIA), exchange.protocol)}\r\n`;
  }
  // Nothing but the connection and the host go into it, so it is kept for the next request.
  if (memo.forwarding === '') {
    memo.forwarding = flat(`${ownFields(exchange, noFields)}via: ${appendVia('', exchange.protocol)}\r\n`);
  }
  return memo.forwarding;
}

/** Kinds that say something about the way of a request already. */
const told = kindBits((kind) => isForwarding(kind) || kind === VIA);

const noFields = new HeaderFields();

/** What the gateway says itself, except for what is in `given`. */
function ownFields(exchange: ProxyExchange, given: HeaderFields): string {
  const direct = exchange.directView;
  const client = exchange.clientView;
  const chain = forwardedFor(direct, client, exchange.received);
  const field = (name: string, kind: number, value: string): string =>
    value === '' || given.kinds.includes(kind) ? '' : `${name}: ${value}\r\n`;
  return (
    field('x-forwarded-for', X_FORWARDED_FOR, chain) +
    field('x-forwarded-proto', X_FORWARDED_PROTO, client.scheme) +
    field('x-forwarded-host', X_FORWARDED_HOST, client.host === '' ? '' : formatAuthority(client.host, client.port)) +
    field('x-forwarded-port', X_FORWARDED_PORT, forwardedPort(client)) +
    field('forwarded', FORWARDED, forwarded(direct, client, exchange.received))
  );
}
