/** What of a request tells those apart who are counted each by himself; and what a request costs, which is read likewise. */
import type { Exchange } from '../../contract.ts';
import { readCookies } from '../../http/cookie-pairs.ts';
import { readParameters } from '../../http/form-text.ts';
import { isToken } from '../../http/grammar.ts';
import { clientNetwork } from '../../util/client-network.ts';
import { ClaimPath } from '../authentication/claim-path.ts';

/** Undefined where the request has nothing of the kind. */
export type PartReader = (exchange: Exchange) => string | undefined;

/** Parts of what was sent, verified or found out by a policy, by the word before the colon. */
const namedParts: Readonly<Record<string, (name: string) => PartReader>> = {
  header: (name) => (exchange) => {
    const { requestHeaders } = exchange;
    return requestHeaders.has(name) ? joined(requestHeaders.getAll(name)) : undefined;
  },
  cookie: (name) => (exchange) => {
    const { requestHeaders } = exchange;
    return requestHeaders.has('cookie') ? joined(readCookies(requestHeaders.getAll('cookie'), name)) : undefined;
  },
  query: (name) => (exchange) => {
    const values = exchange.query === '' ? null : readParameters(exchange.query, name);
    return values === null ? undefined : joined(values);
  },
  param: (name) => (exchange) => (Object.hasOwn(exchange.params, name) ? exchange.params[name] : undefined),
  claim: (name) => {
    const path = new ClaimPath(name);
    return ({ credential }) => (credential === null ? undefined : textOf(path.of(credential.claims)));
  },
  value: (name) => (exchange) => {
    const value = exchange.values.get(name);
    return value === undefined ? undefined : String(value);
  },
};

const plainParts: Readonly<Record<string, PartReader>> = {
  ip: addressOf,
  consumer: ({ consumer }) => consumer?.name,
  group: ({ consumer }) => consumer?.groups[0],
};

const plainPartNames: readonly string[] = [...Object.keys(plainParts), 'route', 'global'];
export const namedPartNames: readonly string[] = Object.keys(namedParts);

/** Why the text names no part of a request; null if it does. */
export function problemOfPart(text: string): string | null {
  if (plainPartNames.includes(text)) return null;
  const [kind, name] = split(text);
  if (!namedPartNames.includes(kind)) {
    const named = namedPartNames.map((word) => `${word}:NAME`);
    return `${JSON.stringify(text)} is none of ${[...plainPartNames, ...named].join(', ')}`;
  }
  if (name === '') return `name the ${kind}, as in ${kind}:NAME`;
  return (kind === 'header' || kind === 'cookie') && !isToken(name) ? `"${name}" is no name of a ${kind}` : null;
}

/** @param route the name of the route. */
export function readerOf(text: string, route: string): PartReader {
  if (text === 'route') return () => route;
  if (text === 'global') return () => '';
  if (Object.hasOwn(plainParts, text)) return plainParts[text];
  const [kind, name] = split(text);
  return namedParts[kind](kind === 'header' ? name.toLowerCase() : name);
}

/** The client; whoever comes through a Unix socket is one. */
export function addressOf({ clientIp }: Pick<Exchange, 'clientIp'>): string {
  return clientIp.includes(':') ? clientNetwork(clientIp) : clientIp;
}

function split(text: string): readonly [kind: string, name: string] {
  const colon = text.indexOf(':');
  return colon === -1 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)];
}

/** Whoever sends several is told apart by all of them: which of them the upstream reads nobody knows. */
function joined(values: readonly string[]): string | undefined {
  return values.length <= 1 ? values[0] : values.map(withLength).join('');
}

/** No two lists of texts are one (CVE-2023-35941). */
export function withLength(text: string): string {
  return `${text.length}:${text}`;
}

function textOf(claim: unknown): string | undefined {
  if (claim === undefined || claim === null) return undefined;
  return typeof claim === 'string' ? claim : JSON.stringify(claim);
}
