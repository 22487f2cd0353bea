/**
 * Who may use the admin API. With a token: whoever presents it. Without one: only callers on this machine, as far as that
 * can be seen: the peer, the name it calls by, and that no other page or proxy makes it call (CVE-2020-11710,
 * CVE-2022-24112). There is no default token (CVE-2020-13945).
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { parseAuthority } from '../http/host.ts';
import { IpSet } from '../util/ip-set.ts';
import { AttemptLimit } from './attempt-limit.ts';
import type { Refusal } from './endpoint.ts';

const loopback = IpSet.parse(['127.0.0.0/8', '::1']);

/** Fields that only somebody in between writes. */
const proxyFields = ['via', 'forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip'] as const;

export interface AccessGuardOptions {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Called with the address of whoever presents a wrong token. */
  readonly onWrongToken: (address: string) => void;
}

export class AccessGuard {
  private readonly attempts: AttemptLimit;
  private readonly onWrongToken: (address: string) => void;
  private expected: { readonly token: string; readonly digest: Buffer } | null = null;

  constructor({ now, onWrongToken }: AccessGuardOptions) {
    this.attempts = new AttemptLimit(now);
    this.onWrongToken = onWrongToken;
  }

  /** @returns why the request is refused; null when it is not. */
  refusalOf(request: IncomingMessage, token: string | null): Refusal | null {
    const refused = token === null ? refusalOfStranger(request) : this.refusalOfToken(request, token);
    if (refused !== null) return refused;
    // With a token a page can only ask, not read the answer nor make a browser present the token; that it may not change
    // anything either is the second lock.
    const isSafe = request.method === 'GET' || request.method === 'HEAD';
    return token !== null && isSafe ? null : refusalOfPage(request);
  }

  private refusalOfToken(request: IncomingMessage, token: string): Refusal | null {
    const address = request.socket.remoteAddress ?? '';
    const waitMs = this.attempts.refusedFor(address);
    if (waitMs > 0) {
      return { code: 'ADMIN_TOO_MANY_ATTEMPTS', headers: { 'retry-after': String(Math.ceil(waitMs / 1000)) } };
    }
    const presented = presentedToken(request);
    // A missing token is compared as well, so that it takes as long as a wrong one.
    if (timingSafeEqual(digestOf(presented ?? ''), this.digestOfExpected(token)) && presented !== null) return null;
    if (presented !== null) {
      this.attempts.failed(address);
      this.onWrongToken(address);
    }
    // One challenge for both: RFC 6750 would have `error="invalid_token"` for a wrong one, which tells them apart.
    return { code: 'ADMIN_UNAUTHORIZED', headers: { 'www-authenticate': 'Bearer realm="gatewright admin"' } };
  }

  private digestOfExpected(token: string): Buffer {
    if (this.expected?.token === token) return this.expected.digest;
    const digest = digestOf(Buffer.from(token).toString('latin1'));
    this.expected = { token, digest };
    return digest;
  }
}

/** Digests are of one length whatever the token is, so that comparing them says nothing about it, not even its length. */
function digestOf(latin1: string): Buffer {
  return createHash('sha256').update(latin1, 'latin1').digest();
}

/** The bytes of the token as one character each; null when there is none, or more than one could be meant. */
function presentedToken(request: IncomingMessage): string | null {
  const values = request.headersDistinct['authorization'] ?? [];
  const match = values.length === 1 ? /^Bearer +(\S+)$/i.exec(values[0]) : null;
  return match === null ? null : match[1];
}

/** For a gateway without a token: whoever is not on this machine. */
function refusalOfStranger(request: IncomingMessage): Refusal | null {
  if (!loopback.has(request.socket.remoteAddress ?? '')) {
    return forbidden('Without a token only callers on the same machine are served.');
  }
  if (proxyFields.some((name) => request.headersDistinct[name] !== undefined)) {
    return forbidden('Without a token requests that have come through a proxy are not served.');
  }
  return isLoopbackHost(request)
    ? null
    : forbidden('Without a token the host must be localhost or a loopback address, with the port of the admin API.');
}

/** A name of somebody's that resolves to 127.0.0.1 would let that somebody's page in (DNS rebinding). */
function isLoopbackHost(request: IncomingMessage): boolean {
  const hosts = request.headersDistinct['host'] ?? [];
  const authority = hosts.length === 1 ? parseAuthority(hosts[0]) : null;
  if (authority === null) return false;
  const { host, port } = authority;
  return (host === 'localhost' || loopback.has(host)) && (port === 0 ? 80 : port) === request.socket.localPort;
}

/** Requests that a page of another origin makes. Another port of the same host is another origin, and another program's. */
function refusalOfPage(request: IncomingMessage): Refusal | null {
  const { origin, host } = request.headers;
  const site = request.headers['sec-fetch-site'];
  const isOwnSite = site === undefined || site === 'same-origin' || site === 'none';
  if (isOwnSite && (origin === undefined || isOriginOf(origin, host ?? ''))) return null;
  return forbidden('Requests that a page of another origin makes are not served.');
}

function isOriginOf(origin: string, host: string): boolean {
  const page = URL.parse(origin);
  if (page === null || !/^https?:$/.test(page.protocol)) return false;
  const [own, theirs] = [parseAuthority(host), parseAuthority(page.host)];
  return own !== null && theirs !== null && own.host === theirs.host && own.port === theirs.port;
}

function forbidden(detail: string): Refusal {
  return { code: 'ADMIN_FORBIDDEN', detail };
}
