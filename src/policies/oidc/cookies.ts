/**
 * The cookies of one `oidc` policy: the session, over several cookies where it is long, and one for each login that is
 * under way. All names begin with that of the session, so whatever belongs to the policy is known by its name.
 */
import type { Exchange } from '../../contract.ts';

/** Browsers keep at least 4096 bytes of a cookie, its name and attributes included (RFC 6265, section 6.1). */
const chunkLength = 3_800;
const maxChunks = 4;

/** The longest text that fits. */
export const maxCookieText = chunkLength * maxChunks;

/** More logins at once than this in one browser are mistakes; together they would make the head of requests too long. */
const maxLogins = 6;

/** A browser takes it only with `Secure`, `Path=/` and for one host (RFC 6265bis, section 4.1.3.2). */
const hostPrefix = '__Host-';
const loginMark = '.login-';
const chunkCount = /^([2-9])\.(.*)$/s;

/** The name of a login's cookie has these many characters of its state. */
const loginKeyLength = 10;

export class OidcCookies {
  private readonly plainName: string;

  /** @param name as configured; over https the browser is held to keeping the cookie to this host (`__Host-`). */
  constructor(name: string) {
    this.plainName = name;
  }

  private nameAt({ scheme }: Exchange): string {
    return scheme === 'https' ? hostPrefix + this.plainName : this.plainName;
  }

  /** The text of the session; empty when there is none or it is not whole. */
  readSession(exchange: Exchange): string {
    const name = this.nameAt(exchange);
    const first = readCookie(exchange, name);
    if (first.charCodeAt(1) !== DOT) return first;
    const [, count, start] = chunkCount.exec(first) ?? ['', '0', ''];
    if (Number(count) > maxChunks || start === '') return '';
    let text = start;
    for (let i = 1; i < Number(count); i++) {
      const chunk = readCookie(exchange, `${name}.${i}`);
      if (chunk === '') return '';
      text += chunk;
    }
    return text;
  }

  /**
   * Values for `Set-Cookie`.
   * @param text at most `maxCookieText` long.
   */
  writeSession(exchange: Exchange, text: string, maxAgeMs: number): string[] {
    const name = this.nameAt(exchange);
    const count = Math.max(1, Math.ceil(text.length / chunkLength));
    const written = Array.from({ length: count }, (_, i) => {
      const chunk = text.slice(i * chunkLength, (i + 1) * chunkLength);
      const value = i === 0 && count > 1 ? `${count}.${chunk}` : chunk;
      return setCookie(exchange, i === 0 ? name : `${name}.${i}`, value, maxAgeMs);
    });
    return [...written, ...this.removeChunks(exchange, count)];
  }

  removeSession(exchange: Exchange): string[] {
    return [setCookie(exchange, this.nameAt(exchange), '', 0), ...this.removeChunks(exchange, 1)];
  }

  /** What is left of a longer session, as far as the browser has it. */
  private removeChunks(exchange: Exchange, from: number): string[] {
    const name = this.nameAt(exchange);
    const names = Array.from({ length: maxChunks - from }, (_, i) => `${name}.${from + i}`);
    return names
      .filter((chunk) => readCookie(exchange, chunk) !== '')
      .map((chunk) => setCookie(exchange, chunk, '', 0));
  }

  readLogin(exchange: Exchange, state: string): string {
    return readCookie(exchange, this.loginName(exchange, state));
  }

  /** Each login has a cookie of its own, so that several tabs can log in at once. */
  writeLogin(exchange: Exchange, state: string, text: string, maxAgeMs: number): string[] {
    const others = this.loginsOf(exchange);
    const removed = others.length < maxLogins ? [] : others.map((name) => setCookie(exchange, name, '', 0));
    return [...removed, setCookie(exchange, this.loginName(exchange, state), text, maxAgeMs)];
  }

  removeLogin(exchange: Exchange, state: string): string {
    return setCookie(exchange, this.loginName(exchange, state), '', 0);
  }

  private loginName(exchange: Exchange, state: string): string {
    return `${this.nameAt(exchange)}${loginMark}${state.slice(0, loginKeyLength)}`;
  }

  private loginsOf(exchange: Exchange): string[] {
    const prefix = this.nameAt(exchange) + loginMark;
    const names = exchange.requestHeaders
      .getAll('cookie')
      .flatMap((field) => field.split(';').map((pair) => pair.slice(0, pair.indexOf('=')).trim()));
    return names.filter((name) => name.startsWith(prefix) && /^[\w-]{1,10}$/.test(name.slice(prefix.length)));
  }

  /** Takes the cookies of the policy out of the request, and leaves all others as they are. */
  conceal({ requestHeaders }: Exchange): void {
    const fields = requestHeaders.getAll('cookie');
    const left = fields.map((field) => this.without(field));
    if (fields.every((field, index) => field === left[index])) return;
    requestHeaders.remove('cookie');
    for (const field of left) if (field !== '') requestHeaders.add('cookie', field);
  }

  /** This is done for every request, so nothing is cut out that is left where it is. */
  private without(field: string): string {
    if (!field.includes(this.plainName)) return field;
    let left = '';
    for (let start = 0; start < field.length;) {
      const semicolon = field.indexOf(';', start);
      const end = semicolon === -1 ? field.length : semicolon;
      // With the semicolon in front, if there is something in front of that.
      if (!this.isOwn(field, start)) left += field.substring(left === '' ? start : start - 1, end);
      start = end + 1;
    }
    return left.trim();
  }

  /** Over either scheme: a cookie that a browser has of the other one is no business of the upstream. */
  private isOwn(field: string, pairStart: number): boolean {
    let at = skipBlanks(field, pairStart);
    if (field.startsWith(hostPrefix, at)) at += hostPrefix.length;
    if (!field.startsWith(this.plainName, at)) return false;
    at += this.plainName.length;
    return field.charCodeAt(at) === DOT || field.charCodeAt(skipBlanks(field, at)) === EQUALS;
  }
}

function skipBlanks(text: string, start: number): number {
  let at = start;
  while (text.charCodeAt(at) === SPACE || text.charCodeAt(at) === TAB) at++;
  return at;
}

function setCookie({ scheme }: Exchange, name: string, value: string, maxAgeMs: number): string {
  const secure = scheme === 'https' ? '; Secure' : '';
  const maxAge = Math.max(0, Math.floor(maxAgeMs / 1000));
  return `${name}=${value}; Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Lax${secure}`;
}

/**
 * The value of a cookie, the first of its name; empty for none. Nothing else is looked at or made, because this is done
 * for every request.
 */
function readCookie({ requestHeaders }: Exchange, name: string): string {
  const first = requestHeaders.get('cookie');
  if (first === undefined) return '';
  const value = valueIn(first, name);
  if (value !== '') return value;
  // HTTP/2 may divide them over several fields (RFC 9113, section 8.2.3).
  for (const field of requestHeaders.getAll('cookie')) {
    const found = valueIn(field, name);
    if (found !== '') return found;
  }
  return '';
}

function valueIn(field: string, name: string): string {
  for (let at = field.indexOf(name); at !== -1; at = field.indexOf(name, at + 1)) {
    const equals = at + name.length;
    if (field.charCodeAt(equals) !== EQUALS || !beginsPair(field, at)) continue;
    const end = field.indexOf(';', equals);
    return field.substring(equals + 1, end === -1 ? field.length : end).trimEnd();
  }
  return '';
}

function beginsPair(field: string, at: number): boolean {
  let before = at - 1;
  while (before >= 0 && (field.charCodeAt(before) === SPACE || field.charCodeAt(before) === TAB)) before--;
  return before < 0 || field.charCodeAt(before) === SEMICOLON;
}

const EQUALS = 0x3d;
const SEMICOLON = 0x3b;
const SPACE = 0x20;
const TAB = 0x09;
const DOT = 0x2e;
