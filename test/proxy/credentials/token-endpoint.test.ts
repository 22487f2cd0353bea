/** Client credentials with a token endpoint of the test, which works, fails and dies as it is told (RFC 6749, section 4.4). */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, suite, test } from 'node:test';
import type { ConfigInput } from '../../../src/config/schema.ts';
import { Changes } from '../../support/changes.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { TestGateway, proxyTo } from '../../support/gateway.ts';
import { fieldValue } from '../../support/message-parser.ts';
import { request as exchangeOnce } from '../../support/raw-client.ts';
import { RawUpstream, ok } from '../../support/raw-upstream.ts';
import { TestThreads } from '../../support/threaded.ts';

const secret = 'canary secret: + & %';

interface Asked {
  readonly url: string;
  readonly authorization: string | undefined;
  readonly form: URLSearchParams;
}

class TokenEndpoint {
  readonly asked: Asked[] = [];
  /** What it does with a request for a token. */
  mood: 'well' | 'fails' | 'hangs' | 'garbage' = 'well';
  lifetimeS = 100;
  private given = 0;
  private readonly changes = new Changes();
  private readonly server = createServer((request, response) => void this.answer(request, response));

  static async start(t: TestContext): Promise<TokenEndpoint> {
    const endpoint = new TokenEndpoint();
    endpoint.server.listen(0, '127.0.0.1');
    await once(endpoint.server, 'listening');
    t.after(() => endpoint.stop());
    return endpoint;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  async untilAsked(times: number): Promise<void> {
    await this.changes.until(
      () => this.asked.length >= times,
      () => `request ${times} for a token; there were ${this.asked.length}`,
    );
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    const { url = '', headers } = request;
    response.setHeader('content-type', 'application/json');
    // As some servers say of every answer, although the token is good for longer.
    response.setHeader('cache-control', 'no-cache, no-store, max-age=0, must-revalidate');
    if (url === '/.well-known/openid-configuration') {
      response.end(JSON.stringify({ issuer: this.url, token_endpoint: `${this.url}/discovered` }));
      return;
    }
    this.asked.push({ url, authorization: headers.authorization, form: new URLSearchParams(body) });
    if (this.mood === 'fails') response.writeHead(401).end('{"error": "canary of the endpoint"}');
    else if (this.mood === 'garbage') response.end('{"access_token": "canary\\r\\nx: y", "token_type": "Bearer"}');
    else if (this.mood === 'well') {
      const token = { access_token: `canary-token-${++this.given}`, token_type: 'bearer', expires_in: this.lifetimeS };
      response.end(JSON.stringify(token));
    }
    this.changes.notify();
  }
}

type Grant = NonNullable<NonNullable<NonNullable<ConfigInput['upstreams']>[string]['auth']>['clientCredentials']>;

const grantOf = (endpoint: TokenEndpoint, more: Partial<Grant> = {}): Grant => ({
  tokenUrl: `${endpoint.url}/token`,
  clientId: 'gate:way',
  clientSecret: secret,
  ...more,
});

async function start(
  t: TestContext,
  more: Partial<Grant> = {},
  { withIssuer = false, mood = 'well' }: { withIssuer?: boolean; mood?: TokenEndpoint['mood'] } = {},
) {
  const endpoint = await TokenEndpoint.start(t);
  endpoint.mood = mood;
  let status = 200;
  const upstream = await RawUpstream.start(t, {
    onRequest: () => (status === 200 ? ok() : `HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`),
  });
  const clock = new FakeClock();
  const { tokenUrl: _, ...others } = grantOf(endpoint, more);
  const clientCredentials = withIssuer ? { ...others, issuer: endpoint.url } : grantOf(endpoint, more);
  const gateway = await TestGateway.start(t, proxyTo(upstream.url, { upstream: { auth: { clientCredentials } } }), {
    clock,
  });
  const send = () =>
    exchangeOnce(t, gateway.address(), 'GET / HTTP/1.1\r\nhost: a\r\nauthorization: Bearer mine\r\n\r\n');
  const tokenOfLast = (): string | undefined => fieldValue(upstream.requests.at(-1)!.fields, 'authorization');
  const answers = (next: number): void => {
    status = next;
  };
  return { endpoint, upstream, clock, gateway, send, tokenOfLast, answers };
}

test('one token serves many requests, and takes the place of what the client sends', async (t) => {
  const { endpoint, send, tokenOfLast } = await start(t, { scope: ['a', 'b'], audience: 'https://billing' });
  const responses = await Promise.all(Array.from({ length: 20 }, send));
  assert.deepEqual([...new Set(responses.map(({ status }) => status))], [200], 'the first ones wait for it');
  assert.equal(tokenOfLast(), 'Bearer canary-token-1');
  assert.equal(endpoint.asked.length, 1);
  const [{ authorization, form, url }] = endpoint.asked;
  assert.equal(url, '/token');
  assert.deepEqual(
    [...form],
    [
      ['grant_type', 'client_credentials'],
      ['scope', 'a b'],
      ['audience', 'https://billing'],
    ],
  );
  // RFC 6749, section 2.3.1: both are encoded as in a form before they are put together.
  const [id, password] = Buffer.from(authorization!.slice('Basic '.length), 'base64').toString().split(':');
  assert.deepEqual(
    [id, password].map((text) => new URLSearchParams(`x=${text}`).get('x')),
    ['gate:way', secret],
  );
});

test('clientAuth: post puts id and secret into the form', async (t) => {
  const { endpoint, send } = await start(t, { clientAuth: 'post', resource: 'https://r' });
  assert.equal((await send()).status, 200);
  const [{ authorization, form }] = endpoint.asked;
  assert.equal(authorization, undefined);
  assert.deepEqual(
    [form.get('client_id'), form.get('client_secret'), form.get('resource')],
    ['gate:way', secret, 'https://r'],
  );
});

test('an issuer says where tokens are given out', async (t) => {
  const { endpoint, send, tokenOfLast } = await start(t, {}, { withIssuer: true });
  assert.equal((await send()).status, 200);
  assert.equal(tokenOfLast(), 'Bearer canary-token-1');
  assert.deepEqual(
    endpoint.asked.map(({ url }) => url),
    ['/discovered'],
  );
});

test('it is fetched again ahead of its expiry, and not before, whatever Cache-Control says', async (t) => {
  const { endpoint, send, tokenOfLast, clock } = await start(t);
  await send();
  clock.advance(70_000);
  await send();
  assert.equal(endpoint.asked.length, 1);
  // Not much further than to the moment: time goes on for the request as well, and the network has its own.
  clock.advance(10_500);
  await endpoint.untilAsked(2);
  while (tokenOfLast() !== 'Bearer canary-token-2') assert.equal((await send()).status, 200);
  assert.equal(endpoint.asked.length, 2);
});

suite('an endpoint that does not give out tokens', () => {
  for (const mood of ['fails', 'garbage'] as const) {
    test(`(${mood}) is 503, with nothing sent to the upstream and no secret anywhere`, async (t) => {
      const { endpoint, upstream, gateway, send, clock } = await start(t, {}, { mood });
      const response = await send();
      assert.equal(response.status, 503);
      assert.equal(JSON.parse(response.body).code, 'UPSTREAM_AUTH_UNAVAILABLE');
      assert.equal(upstream.requests.length, 0);
      assert.doesNotMatch(JSON.stringify([response, gateway.log, gateway.observations]), /canary/);
      endpoint.mood = 'well';
      clock.advance(10_500);
      assert.equal((await send()).status, 200);
    });
  }

  test('and one that hangs: requests wait no longer for it than its time-out, and not one after another', async (t) => {
    const { endpoint, upstream, send, clock } = await start(t, { timeout: '2s' }, { mood: 'hangs' });
    const waiting = Promise.all([send(), send(), send()]);
    await endpoint.untilAsked(1);
    clock.advance(2_500);
    assert.deepEqual(
      (await waiting).map(({ status }) => status),
      [503, 503, 503],
    );
    assert.equal((await send()).status, 503, 'during the cooldown at once');
    assert.equal(upstream.requests.length, 0);
    assert.equal(endpoint.asked.length, 1);
  });

  test('and one that dies: the last token serves until its end', async (t) => {
    const { endpoint, upstream, gateway, send, tokenOfLast, clock } = await start(t);
    assert.equal((await send()).status, 200);
    endpoint.stop();
    clock.advance(90_000);
    assert.equal((await send()).status, 200);
    assert.equal(tokenOfLast(), 'Bearer canary-token-1');
    clock.advance(10_000);
    const before = upstream.requests.length;
    const response = await send();
    assert.equal(response.status, 503);
    assert.equal(JSON.parse(response.body).code, 'UPSTREAM_AUTH_UNAVAILABLE');
    assert.equal(upstream.requests.length, before);
    assert.doesNotMatch(JSON.stringify([response, gateway.log, gateway.observations]), /canary/);
  });
});

test('an upstream that answers 401 makes it ask for another one, at most once per cooldown', async (t) => {
  const { endpoint, send, tokenOfLast, clock, answers } = await start(t, { cooldown: '10s' });
  await send();
  answers(401);
  for (let i = 0; i < 20; i++) assert.equal((await send()).status, 401);
  assert.equal(endpoint.asked.length, 1, 'it is too early for another one');
  clock.advance(10_000);
  for (let i = 0; i < 20; i++) await send();
  await endpoint.untilAsked(2);
  answers(200);
  while (tokenOfLast() !== 'Bearer canary-token-2') assert.equal((await send()).status, 200);
  assert.equal(endpoint.asked.length, 2);
});

test('after a change that does not concern it the token stays', async (t) => {
  const { endpoint, send, gateway, upstream } = await start(t);
  await send();
  const auth = { clientCredentials: grantOf(endpoint) };
  await gateway.apply(proxyTo(upstream.url, { upstream: { auth, hostHeader: 'other' } }));
  assert.equal((await send()).status, 200);
  assert.equal(endpoint.asked.length, 1);
});

test('all threads have one', async (t) => {
  const endpoint = await TokenEndpoint.start(t);
  const upstream = await RawUpstream.start(t);
  const auth = { clientCredentials: grantOf(endpoint) };
  const threads = await TestThreads.start(t, { ...proxyTo(upstream.url, { upstream: { auth } }), threads: 2 });
  for (let i = 0; i < 20; i++) {
    const response = await exchangeOnce(t, threads.address(), 'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    assert.equal(response.status, 200);
  }
  const tokens = new Set(upstream.requests.map(({ fields }) => fieldValue(fields, 'authorization')));
  assert.deepEqual([...tokens], ['Bearer canary-token-1']);
  assert.equal(endpoint.asked.length, 1);
  assert.doesNotMatch(JSON.stringify(threads.log), /canary/);
});
