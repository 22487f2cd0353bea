import type { GatewayConfig, ListenerConfig } from '../config/schema.ts';

/** What of a URL says where a request goes. */
export interface RequestPlace {
  readonly scheme: 'http' | 'https';
  /** Host and port as written. */
  readonly authority: string;
  /** null when the URL names none. */
  readonly port: number | null;
  /** Path and query as written: nothing is normalised, that is the gateway's work. */
  readonly target: string;
}

/** Takes a URL apart and leaves its parts as they are. @throws {TypeError} when it is none that can be asked for. */
export function requestPlace(url: string): RequestPlace {
  const match = /^(https?):\/\/([^/?#@\s]+)([^\s\u0000-\u001f\u007f]*)$/.exec(url);
  if (match === null) {
    throw new TypeError(`${JSON.stringify(url)} is not a URL such as http://api.example.com/catalog/7`);
  }
  const [, scheme, authority, rest] = match;
  const port = /:([0-9]{1,5})$/.exec(authority);
  return {
    scheme: scheme === 'https' ? 'https' : 'http',
    authority,
    port: port === null ? null : Number(port[1]),
    target: rest.startsWith('/') ? rest : `/${rest}`,
  };
}

/**
 * The listener that a request comes in on: the one that is named, otherwise the one that has the scheme and the port of
 * the URL, otherwise the only one with its scheme.
 * @throws {TypeError} when it is not clear which one that is.
 */
export function chooseListener(
  place: Pick<RequestPlace, 'scheme' | 'port'>,
  named: string | undefined,
  listeners: GatewayConfig['listeners'],
): string {
  const { scheme } = place;
  if (named !== undefined) {
    if (!Object.hasOwn(listeners, named)) throw new TypeError(`there is no listener ${named}`);
    if (schemeOf(listeners[named]) !== scheme) throw new TypeError(`the listener ${named} does not serve ${scheme}`);
    return named;
  }
  const candidates = Object.keys(listeners).filter((name) => schemeOf(listeners[name]) === scheme);
  const port = place.port ?? (scheme === 'https' ? 443 : 80);
  const exact = candidates.filter((name) => listeners[name].unix === null && listeners[name].port === port);
  if (exact.length === 1) return exact[0];
  if (candidates.length === 1) return candidates[0];
  if (candidates.length === 0) throw new TypeError(`no listener serves ${scheme}`);
  throw new TypeError(`several listeners could be meant, name one with \`listener\`: ${candidates.join(', ')}`);
}

function schemeOf({ tls }: ListenerConfig): 'http' | 'https' {
  return tls === undefined ? 'http' : 'https';
}
