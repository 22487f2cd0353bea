/**
 * Who the client is and how it called, when there are proxies in front of the gateway, and what the gateway tells the
 * upstream about it: `Forwarded` (RFC 7239), its predecessors `X-Forwarded-For`, `-Proto`, `-Host` and `-Port`, and
 * `Via` (RFC 9110, section 7.6.3).
 *
 * All of it is hearsay, and clients write such fields too. What was written by an address that is not in
 * `trustedProxies` is never looked at; nobody is trusted by default (CVE-2024-45806).
 */
import { type IpSet, formatIp, parseIp } from '../util/ip-set.ts';
import { TOKEN, VALUE } from './grammar.ts';
import { formatAuthority, parseForwardedAuthority } from './host.ts';

/** How a client called, as its peer saw it. */
export interface ClientView {
  /** Canonical text of the client's address; empty for a peer on a Unix socket. */
  readonly ip: string;
  readonly scheme: 'http' | 'https';
  /** Lower-case, without port; an IPv6 address without brackets. Empty when the request has none (HTTP/1.0). */
  readonly host: string;
  /** The port that the client named; 0 when it named none, so that the scheme's own is meant. */
  readonly port: number;
}

/** The values of the fields, repeated ones joined by `, ` (RFC 9110, section 5.3); empty when there is none. */
export interface ForwardingFields {
  readonly forwarded: string;
  readonly xForwardedFor: string;
  readonly xForwardedProto: string;
  readonly xForwardedHost: string;
  readonly xForwardedPort: string;
}

/**
 * How the client called, seen through the proxies that are trusted.
 *
 * The hops are walked from the right, beginning with the peer of the connection: each address was written by the one to
 * the right of it, so it counts as long as all of those are trusted. The first that is not is the client; what is to the
 * left of it is the client's own invention and not even parsed. An entry that is no address ends the walk at the last
 * address that was vouched for.
 *
 * A message with `X-Forwarded-For` is read by the X- fields alone and `Forwarded` is ignored: proxies that write only
 * the former are far more common, and those pass on whatever `Forwarded` the client invented. Of a list in
 * `X-Forwarded-Proto`, `-Host` or `-Port` only the last member counts, which the nearest proxy wrote.
 *
 * @param direct what the connection itself says; returned as it is when its peer is not trusted.
 */
export function resolveClient(direct: ClientView, trusted: IpSet, fields: ForwardingFields): ClientView {
  if (trusted.isEmpty || !trusted.has(direct.ip)) return direct;
  if (fields.forwarded !== '' && fields.xForwardedFor === '') return walkForwarded(direct, trusted, fields.forwarded);
  const authority = parseForwardedAuthority(lastMember(fields.xForwardedHost));
  return {
    ip: walkXForwardedFor(direct.ip, trusted, fields.xForwardedFor),
    scheme: parseScheme(lastMember(fields.xForwardedProto)) ?? direct.scheme,
    host: authority?.host ?? direct.host,
    port: parsePort(lastMember(fields.xForwardedPort)) ?? (authority ?? direct).port,
  };
}

function walkXForwardedFor(peer: string, trusted: IpSet, list: string): string {
  let ip = peer;
  for (let end = list.length; end > 0;) {
    const comma = list.lastIndexOf(',', end - 1);
    const address = parseXForwardedForMember(list.substring(comma + 1, end).trim());
    if (address === null) break;
    ip = address;
    if (comma === -1 || !trusted.has(address)) break;
    end = comma;
  }
  return ip;
}

function walkForwarded(direct: ClientView, trusted: IpSet, list: string): ClientView {
  let view = direct;
  for (let end = list.length; end > 0;) {
    const start = lastElementStart(list, end);
    const element = start === -1 ? null : parseForwardedElement(list.substring(start, end).trim());
    if (element === null) break;
    const address = parseNode(element.for);
    const authority = parseForwardedAuthority(element.host);
    view = {
      ip: address ?? view.ip,
      scheme: parseScheme(element.proto) ?? direct.scheme,
      host: authority?.host ?? direct.host,
      port: (authority ?? direct).port,
    };
    if (address === null || !trusted.has(address)) break;
    end = start - 1;
  }
  return view;
}

/**
 * Where the last element in front of `end` begins; -1 when its quotes do not match. Looking from the right, what a
 * trusted proxy has appended is understood whatever the client had put in front of it, an open quote included.
 */
function lastElementStart(list: string, end: number): number {
  for (let i = end - 1; i >= 0; i--) {
    const code = list.charCodeAt(i);
    if (code === COMMA) return i + 1;
    if (code !== QUOTE) continue;
    if (isEscaped(list, i)) return -1;
    do i--;
    while (i >= 0 && (list.charCodeAt(i) !== QUOTE || isEscaped(list, i)));
    if (i < 0) return -1;
  }
  return 0;
}

/** Whether an odd number of backslashes stands in front of the index. */
function isEscaped(text: string, index: number): boolean {
  let i = index - 1;
  while (i >= 0 && text.charCodeAt(i) === BACKSLASH) i--;
  return (index - i) % 2 === 0;
}

/** The parameters of one `forwarded-element` that matter here; empty when absent. */
export interface ForwardedElement {
  for: string;
  host: string;
  proto: string;
}

/**
 * One `forwarded-element` (RFC 7239, section 4), or null when it does not follow the grammar or repeats a parameter.
 * Values are returned without quotes and otherwise unchecked.
 */
export function parseForwardedElement(text: string): ForwardedElement | null {
  const element: ForwardedElement = { for: '', host: '', proto: '' };
  const seen: string[] = [];
  for (let i = 0; i < text.length;) {
    if (text.charCodeAt(i) === SEMICOLON) {
      i++;
      continue;
    }
    const equals = skipToken(text, i);
    if (equals === i || text.charCodeAt(equals) !== EQUALS) return null;
    const name = text.substring(i, equals).toLowerCase();
    const end = text.charCodeAt(equals + 1) === QUOTE ? skipQuoted(text, equals + 1) : skipToken(text, equals + 1);
    if (end <= equals + 1 || (end < text.length && text.charCodeAt(end) !== SEMICOLON)) return null;
    if (seen.includes(name)) return null;
    seen.push(name);
    if (name === 'for' || name === 'host' || name === 'proto') element[name] = unquote(text.substring(equals + 1, end));
    i = end;
  }
  return element;
}

function skipToken(text: string, start: number): number {
  let i = start;
  while (i < text.length && TOKEN[text.charCodeAt(i)] === 1) i++;
  return i;
}

/** The index behind the quoted-string that begins at `start`; -1 when it does not end. */
function skipQuoted(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) return i + 1;
    if (code === BACKSLASH) i++;
  }
  return -1;
}

function unquote(value: string): string {
  return value.startsWith('"') ? value.slice(1, -1).replaceAll(/\\(.)/g, '$1') : value;
}

/** The address of a `node` (RFC 7239, section 6), or null: `unknown` and obfuscated names identify nobody. */
function parseNode(node: string): string | null {
  if (!node.startsWith('[')) {
    const colon = node.indexOf(':');
    if (colon !== -1 && !isNodePort(node.substring(colon + 1))) return null;
    return canonicalOf(colon === -1 ? node : node.substring(0, colon), 4);
  }
  const bracket = node.indexOf(']');
  const rest = node.substring(bracket + 1);
  if (bracket === -1 || (rest !== '' && !(rest.startsWith(':') && isNodePort(rest.substring(1))))) return null;
  return canonicalOf(node.substring(1, bracket), 6);
}

const isNodePort = (text: string): boolean => /^(?:\d{1,5}|_[\w.-]+)$/.test(text);

/** `X-Forwarded-For` has no specification; in the field its members are nodes, and bare IPv6 addresses. */
function parseXForwardedForMember(text: string): string | null {
  return parseNode(text) ?? canonicalOf(text, 6);
}

/** Canonical text, if the address is spelled in the notation of this family. */
function canonicalOf(text: string, family: 4 | 6): string | null {
  const address = text.includes(':') === (family === 6) ? parseIp(text) : null;
  return address && formatIp(address);
}

function lastMember(list: string): string {
  const comma = list.lastIndexOf(',');
  return comma === -1 ? list : list.substring(comma + 1).trim();
}

function parseScheme(text: string): 'http' | 'https' | null {
  const scheme = text.toLowerCase();
  return scheme === 'http' || scheme === 'https' ? scheme : null;
}

function parsePort(text: string): number | null {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port > 0 && port <= 65_535 ? port : null;
}

/** `X-Forwarded-Port` for the upstream: the port that the client named, or the default of the scheme. */
export function forwardedPort(view: ClientView): string {
  if (view.port !== 0) return String(view.port);
  return view.scheme === 'https' ? '443' : '80';
}

/**
 * `X-Forwarded-For` for the upstream; empty when there is nothing to say.
 * @param client what `resolveClient` returned: `direct` itself when the peer is not trusted, and then what it sent is
 * replaced. Otherwise the peer is added to what it sent, whichever of the two notations that was.
 */
export function forwardedFor(direct: ClientView, client: ClientView, received: ForwardingFields): string {
  if (client === direct) return direct.ip;
  const list = received.xForwardedFor;
  if (list !== '') return direct.ip === '' ? list : `${list}, ${direct.ip}`;
  return client.ip === direct.ip || direct.ip === '' ? client.ip : `${client.ip}, ${direct.ip}`;
}

/**
 * `Forwarded` for the upstream; parameters as for `forwardedFor`. A received `Forwarded` that was not believed, because
 * `X-Forwarded-For` was there as well, is replaced by what was believed: the two never tell the upstream different
 * stories.
 */
export function forwarded(direct: ClientView, client: ClientView, received: ForwardingFields): string {
  if (client === direct) return forwardedElement(direct, gatewayNode);
  if (received.forwarded !== '' && received.xForwardedFor === '') {
    return `${received.forwarded}, ${forwardedElement(direct, gatewayNode)}`;
  }
  if (client.ip === direct.ip) return forwardedElement(client, gatewayNode);
  return `${forwardedElement(client, '')}, ${forwardedElement(direct, gatewayNode)}`;
}

/** How the gateway calls itself in `by`: an obfuscated identifier (RFC 7239, section 6.3), not one of its addresses. */
const gatewayNode = '_gatewright';

/**
 * The element that describes one hop (RFC 7239, section 4): `for=192.0.2.60;host=example.com;proto=http;by=_gatewright`.
 * @param peer the address that is reported, the scheme it used and the host it named.
 * @param by who received it; empty to leave it out.
 * @throws {TypeError} for a host that no field value can hold.
 */
export function forwardedElement(peer: ClientView, by: string): string {
  const host = peer.host === '' ? '' : `;host=${quoteIfNeeded(formatAuthority(peer.host, peer.port))}`;
  const suffix = by === '' ? '' : `;by=${quoteIfNeeded(by)}`;
  return `for=${forwardedNode(peer.ip)}${host};proto=${peer.scheme}${suffix}`;
}

/** An address as a `node`; IPv6 is in brackets, and so in quotes. A peer on a Unix socket is `unknown`. */
function forwardedNode(ip: string): string {
  if (ip === '') return 'unknown';
  return ip.includes(':') ? `"[${ip}]"` : ip;
}

/** A token as it is, anything else as a quoted-string (RFC 9110, section 5.6.4). */
function quoteIfNeeded(text: string): string {
  if (text !== '' && skipToken(text, 0) === text.length) return text;
  let quoted = '"';
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (VALUE[code] !== 1) throw new TypeError('not a valid value for the header Forwarded');
    quoted += code === QUOTE || code === BACKSLASH ? `\\${text[i]}` : text[i];
  }
  return `${quoted}"`;
}

/** How the gateway calls itself in `Via`. */
const viaPseudonym = 'gatewright';

/** Gateways may stand behind each other, so a few passages are nothing unusual. */
const mostPassages = 8;

const viaMembers = { 'HTTP/1.0': '1.0 gatewright', 'HTTP/1.1': '1.1 gatewright', 'HTTP/2': '2 gatewright' } as const;

/** `Via` with this gateway appended. @param protocol the one by which the message was received. */
export function appendVia(received: string, protocol: keyof typeof viaMembers): string {
  return received === '' ? viaMembers[protocol] : `${received}, ${viaMembers[protocol]}`;
}

/**
 * Whether a request has passed so many gateways of our name that it must be going in circles; it would run until its
 * head is too large. Comments are not told apart: a client that writes our name into one only gets its own request
 * refused, while an open parenthesis must not hide the passages behind it.
 */
export function goesInCircles(receivedVia: string): boolean {
  if (!receivedVia.includes(viaPseudonym)) return false;
  let passages = 0;
  for (const member of receivedVia.split(',')) {
    if (isOwnPassage(member)) passages++;
  }
  return passages > mostPassages;
}

const isOwnPassage = (member: string): boolean => member.trim().split(/[ \t]+/, 2)[1] === viaPseudonym;

const QUOTE = 0x22;
const COMMA = 0x2c;
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const BACKSLASH = 0x5c;
