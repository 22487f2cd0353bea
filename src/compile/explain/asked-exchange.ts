/** A request as it was described, in the form in which the data path chooses a route for it. */
import type { GatewayConfig } from '../../config/schema.ts';
import type { Exchange, RouteInfo } from '../../contract.ts';
import { HeaderFields } from '../../http/header-fields.ts';
import { isToken } from '../../http/grammar.ts';
import type { RoutedExchange, RouteTable } from '../../proxy/choose-route.ts';
import { removeClaims } from '../../proxy/exchange.ts';
import type { RouteFound } from '../../proxy/router/route-rule.ts';

/** A request to be explained. */
export interface ExplainRequest {
  readonly method: string;
  /** `http://host/path?query`, or a path, whose host is in the headers. */
  readonly url: string;
  /** One value of a name or several; or names and values in pairs. */
  readonly headers?: HeaderPairs | Readonly<Record<string, string | readonly string[]>> | undefined;
  /** By default the first one that suits the scheme of the URL. */
  readonly listener?: string | undefined;
}

/** A request as a connection would bring it. */
export interface AskedRequest {
  readonly protocol: Exchange['protocol'];
  readonly method: string;
  readonly listener: string;
  /** As on the wire. */
  readonly target: string;
  /** The value of Host; empty for none. */
  readonly authority: string;
  /** Not changed. */
  readonly headers: HeaderFields;
  /** Names of headers that were dropped before. */
  readonly droppedHeaders: readonly string[];
  /** Whether it is from a trusted proxy. */
  readonly isBelieved: boolean;
}

type HeaderPairs = readonly (readonly [name: string, value: string])[];

/** A request that no client could send. The message is for whoever asked. */
export class ExplainError extends Error {
  override readonly name = 'ExplainError';
}

const noParams: Readonly<Record<string, string>> = {};

export class AskedExchange<H> implements RoutedExchange<H> {
  readonly protocol: Exchange['protocol'];
  readonly listener: string;
  readonly method: string;
  readonly requestHeaders: HeaderFields;
  readonly droppedHeaders: string[];
  readonly stream: RoutedExchange<H>['stream'];
  host = '';
  port = 0;
  path = '';
  query = '';
  params = noParams;
  reason = '';
  route: RouteInfo;
  methodRefused = false;
  chosen: H;
  private readonly isBelieved: boolean;

  constructor(request: AskedRequest, notFound: RouteTable<H>['notFound']) {
    const { method, target, authority } = request;
    this.protocol = request.protocol;
    this.listener = request.listener;
    this.method = method;
    this.requestHeaders = request.headers.clone();
    this.droppedHeaders = [...request.droppedHeaders];
    this.isBelieved = request.isBelieved;
    this.stream = { method, target, authority, memo: { authority: '', host: '', port: 0, forwarding: '' } };
    this.chosen = notFound;
    this.route = notFound.info;
  }

  dropClaims(): void {
    const before = new Set(Array.from(this.requestHeaders, ([name]) => name));
    removeClaims(this.requestHeaders, this.isBelieved);
    for (const name of before) if (!this.requestHeaders.has(name)) this.droppedHeaders.push(name);
  }

  setRoute(router: RouteTable<H>['router'], { number, shared, params }: RouteFound<RouteInfo, H>): void {
    this.route = router.valueOf(number);
    this.chosen = shared;
    this.params = params;
  }
}

/**
 * The request that was described, as one of a client that is no trusted proxy.
 * @throws {ExplainError}
 */
export function readRequest(config: GatewayConfig, request: ExplainRequest): AskedRequest {
  const { method } = request;
  if (!isToken(method)) throw new ExplainError(`${JSON.stringify(method)} is not a method such as GET`);
  const { scheme, authority, target } = readUrl(request.url, method);
  const fields = pairsOf(request.headers);
  const named = hostOf(fields);
  const listener = listenerOf(config, request.listener, scheme);
  const all = named === undefined ? [['host', authority] as const, ...fields] : fields;
  const keepsUnderscores = config.listeners[listener].limits.underscores === 'keep';
  const isKept = ([name]: HeaderPairs[number]): boolean => keepsUnderscores || !name.includes('_');
  return {
    protocol: 'HTTP/1.1',
    method,
    listener,
    target,
    authority: named ?? authority,
    headers: readHeaders(all.filter(isKept)),
    droppedHeaders: all.filter((field) => !isKept(field)).map(([name]) => name),
    isBelieved: false,
  };
}

/**
 * The value of the Host header that is among the others; undefined when none is.
 * @throws {ExplainError} when there are several.
 */
export function hostOf(fields: HeaderPairs): string | undefined {
  const named = fields.filter(([name]) => name.toLowerCase() === 'host').map(([, value]) => value);
  if (named.length > 1) throw new ExplainError('a request has one Host');
  return named[0];
}

function readHeaders(fields: HeaderPairs): HeaderFields {
  try {
    return HeaderFields.from(fields);
  } catch (error) {
    // The message of a field that is not valid may quote it, and it may be a credential.
    if (error instanceof TypeError) throw new ExplainError('a header has a name or a value that no header can have');
    throw error;
  }
}

const ABSOLUTE = /^(https?):\/\/([^/?#]+)(.*)$/is;

/**
 * Nothing is changed on the way, as a browser would: what becomes of a path is what is asked.
 * @throws {ExplainError}
 */
export function readUrl(url: string, method: string): { scheme: string; authority: string; target: string } {
  if (url.startsWith('/') || url === '*') return { scheme: '', authority: '', target: url };
  const match = ABSOLUTE.exec(url);
  if (match === null) throw new ExplainError('the URL is http://host/path, https://host/path or a path: /path');
  const [, scheme, authority, rest] = match;
  if (authority.includes('@')) throw new ExplainError('the URL has no user name or password');
  if (rest === '' && method === 'OPTIONS') return { scheme, authority, target: '*' };
  return { scheme, authority, target: rest.startsWith('/') ? rest : `/${rest}` };
}

function pairsOf(headers: ExplainRequest['headers'] = []): HeaderPairs {
  if (isPairs(headers)) return headers;
  return Object.entries(headers).flatMap(([name, values]) =>
    (typeof values === 'string' ? [values] : values).map((value) => [name, value] as const),
  );
}

const isPairs = (headers: NonNullable<ExplainRequest['headers']>): headers is HeaderPairs => Array.isArray(headers);

function listenerOf({ listeners }: GatewayConfig, named: string | undefined, scheme: string): string {
  const names = Object.keys(listeners);
  if (named === undefined) {
    const isSuitable = (name: string): boolean =>
      scheme === '' || (listeners[name].tls !== undefined) === (scheme.toLowerCase() === 'https');
    const found = names.find(isSuitable) ?? names[0];
    if (found === undefined) throw new ExplainError('the configuration has no listener');
    return found;
  }
  if (names.includes(named)) return named;
  throw new ExplainError(`there is no listener ${JSON.stringify(named)}; there is ${names.join(', ')}`);
}
