/** What is in the signed debug header: the route that was chosen, no secret, and never more than fits. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { debugEnv as env, liveOf, message, signed, withDebug } from '../support/debug-request.ts';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { request } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';

const get = 'GET /catalog/7?x=1 HTTP/1.1';

describe('what the debug header holds', () => {
  it('is the route that was chosen also for what only a trusted proxy may say', async (t) => {
    for (const [listener, route] of [
      [{ trustedProxies: ['127.0.0.1'] }, 'known'],
      [{}, 'all'],
    ] as const) {
      const upstream = await RawUpstream.start(t);
      const config = withDebug(proxyTo(upstream.url, { listener }));
      const known = { match: { headers: { 'x-consumer': 'ada' } }, upstream: 'service' };
      const gateway = await TestGateway.start(t, { ...config, routes: { ...config.routes, known } }, { env });
      const live = liveOf(await request(t, gateway.address(), message(get, `x-consumer: ada\r\n${signed(get)}`)));
      assert.equal(live.explanation?.route?.name, route);
      assert.equal((await gateway.observation()).route, route);
    }
  });

  it('CVE-2022-29266: has no secret of the configuration in it, however it is spelt there', async (t) => {
    const canaries = { PATH_TOKEN: 'canary/1', HEADER_KEY: 'canary-2"quoted"', ...env };
    const upstream = await RawUpstream.start(t);
    const config = withDebug(proxyTo(upstream.url, { route: { rewrite: { path: '/v1/${env:PATH_TOKEN}/x' } } }));
    const beta = {
      match: { path: '/catalog/*', headers: { 'x-beta': '${env:HEADER_KEY}' } },
      respond: { body: '${env:HEADER_KEY}' },
    };
    const tea = { match: { path: '/tea' }, respond: { body: '${env:HEADER_KEY} ${env:PATH_TOKEN}' } };
    const gateway = await TestGateway.start(
      t,
      { ...config, routes: { ...config.routes, beta, tea } },
      { env: canaries },
    );
    for (const line of [get, 'GET /tea HTTP/1.1']) {
      const response = await request(t, gateway.address(), message(line, signed(line)));
      const live = liveOf(response);
      assert.match(JSON.stringify(live), /\*\*\*/);
      assert.doesNotMatch(JSON.stringify(live), /canary/);
    }
  });

  it('fits: a target of ten thousand bytes, a hundred headers, names beyond ASCII', async (t) => {
    const upstream = await RawUpstream.start(t);
    const proxy = await TestGateway.start(t, withDebug(proxyTo(upstream.url)), { env });
    const line = `GET /${'x'.repeat(10_000)} HTTP/1.1`;
    const long = liveOf(await request(t, proxy.address(), message(line, signed(line))));
    assert.equal(long.explanation?.route?.name, 'all');
    assert.equal(long.happened.status, 200);
    assert.deepEqual(long.leftOut, ['nearMisses', 'alsoMatched', 'request', 'action']);
    const many = Array.from({ length: 80 }, (_, index) => `x-forwarded-${'y'.repeat(200)}${index}: 1\r\n`).join('');
    const crowded = liveOf(await request(t, proxy.address(), message(get, many + signed(get))));
    assert.equal(crowded.explanation?.route?.name, 'all');
    assert.ok(crowded.leftOut.includes('request'));
    const config = withDebug({
      listeners: { web: { host: '127.0.0.1', port: 0 } },
      routes: { tea: { match: { path: '/tea' }, respond: { body: 'thé 茶 🍵 \u007f' } } },
    });
    const gateway = await TestGateway.start(t, config, { env });
    const tea = 'GET /tea HTTP/1.1';
    const { explanation } = liveOf(await request(t, gateway.address(), message(tea, signed(tea))));
    assert.ok(explanation?.action?.kind === 'respond' && explanation.action.body === 'thé 茶 🍵 \u007f');
  });
});
