/** URLs that the gateway itself calls (RFC 9110, section 4.2): of issuers, of services that are asked about a request. */
import { TARGET } from './grammar.ts';

export interface CallUrl {
  /** Scheme, host and port, as in `https://issuer.example`. */
  readonly origin: string;
  readonly isSecure: boolean;
  /** An IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
  /** What `Host` says. */
  readonly authority: string;
  /** Path and query. */
  readonly target: string;
}

/**
 * Strict where the parser of the platform is not: it drops line breaks and tabs, and takes `\` for `/`
 * (CVE-2022-31150: what reaches the wire passes one validator).
 * @throws {TypeError} that says what is wrong and does not repeat the URL, which may have a secret in it.
 */
export function parseCallUrl(text: string): CallUrl {
  for (let i = 0; i < text.length; i++) {
    const isAllowed = TARGET[text.charCodeAt(i)] === 1 && text[i] !== '\\';
    if (!isAllowed) throw new TypeError('a URL is visible ASCII without `\\`');
  }
  if (!/^https?:\/\/[^/]/i.test(text)) throw new TypeError('not an http:// or https:// URL');
  if (text.includes('#')) throw new TypeError('a URL that is called has no fragment');
  // Also an empty one: what stands before the `@` looks like the host to whoever reads it.
  if (/^https?:\/\/[^/?]*@/i.test(text)) throw new TypeError('a URL must not have a user or a password in it');
  if (!URL.canParse(text)) throw new TypeError('not a URL');
  const { origin, protocol, hostname, host, port, pathname, search } = new URL(text);
  const isSecure = protocol === 'https:';
  return {
    origin,
    isSecure,
    host: hostname.startsWith('[') ? hostname.slice(1, -1) : hostname,
    port: port === '' ? (isSecure ? 443 : 80) : Number(port),
    authority: host,
    target: pathname + search,
  };
}
