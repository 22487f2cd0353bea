/** Who asks: somebody in front of a browser, who can be sent to log in, or a program, which can not. */
import type { Exchange } from '../../contract.ts';

/** Longer ones would not fit into the cookie of a login; whoever wants one begins at the start page. */
const maxReturnLength = 1_500;

/**
 * Whether a browser asks for a page that it is going to show. Modern ones say so (Fetch Metadata); of others, and over
 * plain http, where they do not, it is told from what they accept.
 */
export function isNavigation({ method, requestHeaders }: Exchange): boolean {
  const mode = requestHeaders.get('sec-fetch-mode');
  if (mode !== undefined) return mode === 'navigate' && requestHeaders.get('sec-purpose') === undefined;
  const isRead = method === 'GET' || method === 'HEAD';
  return (
    isRead && !requestHeaders.has('x-requested-with') && /\btext\/html\b/i.test(requestHeaders.get('accept') ?? '')
  );
}

/** The page that was asked for, to come back to with GET: what was posted is lost with the login. */
export function returnPathOf({ path, query }: Exchange): string {
  const target = query === '' ? path : `${path}?${query}`;
  return target.length <= maxReturnLength && isOwnPath(target) ? target : '/';
}

/**
 * Whether it is a path of this origin to every reader. Browsers take `//host`, `/\host` and what they make of tabs and
 * line breaks in them for another host, and so an open redirect would be made of it.
 */
export function isOwnPath(target: string): boolean {
  return /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(target);
}

/**
 * Whether the request was made by a page of this origin, or by the one in front of the browser: what ends a session must
 * not be a link or an image on somebody else's page (cross-site request forgery).
 */
export function isFromOwnPage(exchange: Exchange, origin: string): boolean {
  const { method, requestHeaders } = exchange;
  const site = requestHeaders.get('sec-fetch-site');
  if (site !== undefined) return site === 'same-origin' || site === 'none';
  const from = requestHeaders.get('origin');
  if (from !== undefined) return from === origin;
  const referrer = requestHeaders.get('referer');
  if (referrer !== undefined) return URL.canParse(referrer) && new URL(referrer).origin === origin;
  // Every browser says where a POST to another site comes from; what says nothing is none.
  return method === 'POST';
}
