/**
 * A service that lets people log in and says of any request whose it is, in the ways that proxies expect of one: as
 * oauth2-proxy does at `/oauth2/auth` (202 or 401) and as an upstream of its own at `/` (202 or a redirect to the login).
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { joinedByName, pairsOf } from '../../src/testing/raw-headers.ts';

const cookieName = '_oauth2_proxy';
const key = 'CANARY-cookie-secret';

/** What the service saw of a question. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

export class LoginService {
  readonly asked: Asked[] = [];
  /** Whoever is logged in gets a new cookie with every answer. */
  renews = false;
  private readonly server: Server;

  private constructor() {
    this.server = createServer((request, response) => this.serve(request, response));
  }

  static async start(t: TestContext): Promise<LoginService> {
    const service = new LoginService();
    await once(service.server.listen(0, '127.0.0.1'), 'listening');
    t.after(() => service.stop());
    return service;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.server.close().closeAllConnections();
  }

  /** The cookie of somebody who has logged in. */
  static cookieOf(user: string): string {
    return `${cookieName}=${user}|${sign(user)}`;
  }

  private serve(request: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://service');
    switch (pathname) {
      case '/oauth2/auth':
      case '/':
        this.answer(request, response, pathname);
        return;
      case '/oauth2/start':
        redirect(response, `/oauth2/callback?state=${encodeURIComponent(searchParams.get('rd') ?? '/')}`, [
          `${cookieName}_csrf=c; Path=/; HttpOnly`,
        ]);
        return;
      case '/oauth2/callback':
        if (!(request.headers.cookie ?? '').includes(`${cookieName}_csrf=c`)) {
          response.writeHead(403).end('no csrf cookie');
          return;
        }
        redirect(response, searchParams.get('state') ?? '/', [
          `${LoginService.cookieOf('ann')}; Path=/; HttpOnly`,
          `${cookieName}_csrf=; Path=/; Max-Age=0`,
        ]);
        return;
      default:
        response.writeHead(404).end();
    }
  }

  private answer(request: IncomingMessage, response: ServerResponse, pathname: string): void {
    const headers = joinedByName(pairsOf(request.rawHeaders));
    this.asked.push({ method: request.method ?? '', path: request.url ?? '', headers });
    const user = userOf(request.headers.cookie ?? '');
    if (user !== null) {
      if (this.renews) response.setHeader('set-cookie', `${LoginService.cookieOf(user)}; Path=/; HttpOnly`);
      response.setHeader('X-Auth-Request-User', user);
      response.setHeader('X-Auth-Request-Email', `${user}@example.com`);
      response.writeHead(202).end();
    } else if (pathname === '/oauth2/auth') {
      response.writeHead(401, { 'content-type': 'text/plain' }).end('Unauthorized\n');
    } else {
      const { 'x-forwarded-proto': scheme, 'x-forwarded-host': host, 'x-forwarded-uri': uri } = headers;
      redirect(response, `/oauth2/start?rd=${encodeURIComponent(`${scheme}://${host}${uri}`)}`, []);
    }
  }
}

function redirect(response: ServerResponse, location: string, cookies: readonly string[]): void {
  response.writeHead(302, { location, 'set-cookie': [...cookies], 'content-type': 'text/html' });
  response.end('<a href="">Found</a>');
}

function sign(user: string): string {
  return createHmac('sha256', key).update(user).digest('base64url');
}

function userOf(cookies: string): string | null {
  const match = /(?:^|; )_oauth2_proxy=([^|;]+)\|([\w-]+)/.exec(cookies);
  if (match === null) return null;
  const [, user, signature] = match;
  const expected = Buffer.from(sign(user));
  const given = Buffer.from(signature);
  return given.length === expected.length && timingSafeEqual(given, expected) ? user : null;
}
