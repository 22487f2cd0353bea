/** Who may use the admin API, and who may not. */
import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { type TestContext, describe, it } from 'node:test';
import { AttemptLimit } from '../../src/admin/attempt-limit.ts';
import { eventually } from '../support/changes.ts';
import { RawClient } from '../support/raw-client.ts';
import { AdminApi, type Answer, token, withToken } from './admin-api.ts';

const open = 'routes: {all: {respond: {}}}\n';
const status = '/api/v1/status';

const wrong = { headers: { authorization: 'Bearer x' } };

const bearer = (value: string): { authorization: string } => ({ authorization: `Bearer ${value}` });

describe('with a token, the admin API', () => {
  it('serves whoever presents it, by whatever name', async (t) => {
    const api = await AdminApi.start(t);
    assert.equal(await api.outcome(status), '200');
    assert.equal(await api.outcome(status, { headers: { authorization: `bearer  ${token}` } }), '200');
    assert.equal(await api.outcome(status, { headers: { ...withToken, host: 'gw.example.com' } }), '200');
    assert.equal(await api.outcome(status, { headers: { ...withToken, 'x-forwarded-for': '192.0.2.1' } }), '200');
  });

  it('answers a missing and a wrong token alike, and says so before anything else', async (t) => {
    const api = await AdminApi.start(t);
    const seen = (answer: Answer): unknown => {
      const { date: _, ...headers } = answer.headers;
      return [answer.status, headers, answer.text];
    };
    const missing = await api.ask(status, { headers: {} });
    assert.equal(missing.status, 401);
    assert.equal(missing.headers['www-authenticate'], 'Bearer realm="gatewright admin"');
    for (const authorization of [
      'Bearer wrong',
      `Bearer ${token}x`,
      `Bearer ${token.slice(1)}`,
      `Basic ${token}`,
      'Bearer',
      token,
      `Bearer ${token} x`,
    ]) {
      assert.deepEqual(seen(await api.ask(status, { headers: { authorization } })), seen(missing), authorization);
    }
    const unknown = await api.ask('/api/v1/nothing', { headers: {} });
    assert.deepEqual(seen(unknown), seen(missing));
    assert.equal(await api.outcome('/api/v1/reload', { headers: {} }), '401 ADMIN_UNAUTHORIZED');
    assert.match(api.log, /"msg":"the admin API has refused a token"/);
    assert.match(api.log, /"address":"127\.0\.0\.1"/);
  });

  it('does not take a token from elsewhere, nor one of several', async (t) => {
    const api = await AdminApi.start(t);
    assert.equal(await api.outcome(`${status}?token=${token}`, { headers: {} }), '401 ADMIN_UNAUTHORIZED');
    assert.equal(await api.outcome(status, { headers: { cookie: `token=${token}` } }), '401 ADMIN_UNAUTHORIZED');
    const two = { Authorization: [`Bearer ${token}`, 'Bearer x'] };
    assert.equal(await api.outcome(status, { headers: two }), '401 ADMIN_UNAUTHORIZED');
  });

  it('takes a token with letters beyond ASCII as its UTF-8 bytes', async (t) => {
    const api = await AdminApi.start(t, undefined, {}, { env: { GATEWRIGHT_ADMIN_TOKEN: 'schlüssel-für-tür' } });
    const bytes = Buffer.from('schlüssel-für-tür').toString('latin1');
    assert.equal(await api.outcome(status, { headers: bearer(bytes) }), '200');
    assert.equal(await api.outcome(status, { headers: bearer('schlussel-fur-tur') }), '401 ADMIN_UNAUTHORIZED');
  });

  it('refuses an address for a while after ten wrong tokens, even the right one, and then slowly', async (t) => {
    const api = await AdminApi.start(t);
    for (let i = 0; i < 10; i++) assert.equal(await api.outcome(status, wrong), '401 ADMIN_UNAUTHORIZED');
    const blocked = await api.ask(status);
    assert.deepEqual([blocked.status, blocked.json['code']], [429, 'ADMIN_TOO_MANY_ATTEMPTS']);
    assert.equal(blocked.headers['retry-after'], '6');
    assert.equal(await api.outcome('/livez', { headers: {} }), '200');
    api.clock.advance(5_900);
    assert.equal(await api.outcome(status), '429 ADMIN_TOO_MANY_ATTEMPTS');
    api.clock.advance(200);
    assert.equal(await api.outcome(status), '200');
    assert.equal(await api.outcome(status, { headers: bearer('x') }), '401 ADMIN_UNAUTHORIZED');
    assert.equal(await api.outcome(status), '429 ADMIN_TOO_MANY_ATTEMPTS');
    api.clock.advance(60_000);
    for (let i = 0; i < 10; i++) assert.equal(await api.outcome(status, wrong), '401 ADMIN_UNAUTHORIZED');
    assert.equal(await api.outcome(status), '429 ADMIN_TOO_MANY_ATTEMPTS');
  });

  it('does not count requests without a token: a probe that has none locks nobody out', async (t) => {
    const api = await AdminApi.start(t);
    for (let i = 0; i < 30; i++) assert.equal(await api.outcome(status, { headers: {} }), '401 ADMIN_UNAUTHORIZED');
    assert.equal(await api.outcome(status), '200');
  });

  it('lets pages of another origin change nothing', async (t) => {
    const api = await AdminApi.start(t);
    const host = new URL(api.url).host;
    for (const [headers, expected] of [
      [{ origin: `http://${host}` }, '200'],
      [{ origin: `http://${host}`, 'sec-fetch-site': 'same-origin' }, '200'],
      [{ origin: 'https://gw.example.com', host: 'gw.example.com' }, '200'],
      [{ origin: 'http://evil.example' }, '403 ADMIN_FORBIDDEN'],
      [{ origin: `http://${host.replace(/\d+$/, '1')}` }, '403 ADMIN_FORBIDDEN'],
      [{ origin: 'null' }, '403 ADMIN_FORBIDDEN'],
      [{ 'sec-fetch-site': 'cross-site' }, '403 ADMIN_FORBIDDEN'],
      [{ 'sec-fetch-site': 'same-site' }, '403 ADMIN_FORBIDDEN'],
    ] as const) {
      const question = { method: 'POST', headers: { ...withToken, ...headers } };
      assert.equal(await api.outcome('/api/v1/reload', question), expected, JSON.stringify(headers));
    }
    assert.equal(api.control.asked.length, 3);
  });
});

describe('without a token, the admin API', () => {
  it('serves callers on this machine by a loopback name (CVE-2020-11710)', async (t) => {
    const api = await AdminApi.start(t, open);
    for (const host of ['127.0.0.1', 'localhost', 'LOCALHOST', 'localhost.', '127.9.9.9', '[::1]']) {
      assert.equal(await api.outcome(status, { headers: { host: `${host}:${api.port}` } }), '200', host);
    }
  });

  it('refuses every other name: somebody may have made it resolve to this machine (DNS rebinding)', async (t) => {
    const api = await AdminApi.start(t, open);
    for (const host of [
      `evil.example:${api.port}`,
      `localhost.evil.example:${api.port}`,
      `127.0.0.1.nip.io:${api.port}`,
      '127.0.0.1',
      'localhost:1',
      `0.0.0.0:${api.port}`,
      `user@localhost:${api.port}`,
      `localhost:${api.port}/`,
      `[::ffff:10.0.0.1]:${api.port}`,
      `2130706433:${api.port}`,
    ]) {
      assert.equal(await api.outcome(status, { headers: { host } }), '403 ADMIN_FORBIDDEN', host);
    }
    const client = await RawClient.connect(t, { host: '127.0.0.1', port: api.port });
    client.write(`GET ${status} HTTP/1.0\r\n\r\n`);
    const { body } = await client.response();
    assert.match(body, /ADMIN_FORBIDDEN/, 'HTTP/1.0 needs no Host');
    assert.equal(await api.outcome('/livez', { headers: { host: 'evil.example' } }), '200');
  });

  it('refuses a request with two hosts', async (t) => {
    const api = await AdminApi.start(t, open);
    const client = await RawClient.connect(t, { host: '127.0.0.1', port: api.port });
    client.write(`GET ${status} HTTP/1.1\r\nHost: localhost:${api.port}\r\nHost: evil.example\r\n\r\n`);
    assert.match(await client.response().then(({ startLine }) => startLine), / 40[03] /);
  });

  it('refuses pages of another origin, for reading as well', async (t) => {
    const api = await AdminApi.start(t, open);
    const host = `127.0.0.1:${api.port}`;
    for (const headers of [
      { host, origin: 'http://evil.example' },
      { host, origin: 'null' },
      { host, origin: 'http://127.0.0.1:3000' },
      { host, origin: '' },
      { host, 'sec-fetch-site': 'cross-site' },
      { host, 'sec-fetch-site': 'same-site' },
      { host, 'sec-fetch-site': 'x' },
      { host, origin: `http://localhost:${api.port}` },
    ]) {
      const what = JSON.stringify(headers);
      assert.equal(await api.outcome(status, { headers }), '403 ADMIN_FORBIDDEN', what);
      assert.equal(await api.outcome('/api/v1/reload', { method: 'POST', headers }), '403 ADMIN_FORBIDDEN', what);
    }
    const own = { host, origin: `http://${host}`, 'sec-fetch-site': 'same-origin' };
    assert.equal(await api.outcome('/api/v1/reload', { method: 'POST', headers: own }), '200');
    assert.equal(await api.outcome(status, { headers: { host, 'sec-fetch-site': 'none' } }), '200');
  });

  it('refuses what has come through a proxy, this gateway included (CVE-2022-24112)', async (t) => {
    const api = await AdminApi.start(t, open);
    const host = `127.0.0.1:${api.port}`;
    for (const name of ['via', 'forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip']) {
      assert.equal(await api.outcome(status, { headers: { host, [name]: '127.0.0.1' } }), '403 ADMIN_FORBIDDEN', name);
    }
  });

  const outside = Object.values(networkInterfaces())
    .flat()
    .find((address) => address?.family === 'IPv4' && !address.internal)?.address;

  it('refuses callers that are not on the loopback interface', { skip: outside === undefined }, async (t) => {
    const api = await AdminApi.start(t, open, { host: '0.0.0.0' });
    const client = await RawClient.connect(t, { host: outside!, port: api.port });
    client.write(`GET ${status} HTTP/1.1\r\nHost: localhost:${api.port}\r\n\r\n`);
    const { body } = await client.response();
    assert.match(body, /ADMIN_FORBIDDEN.*only callers on the same machine/);
  });

  it('has no default token (CVE-2020-13945)', async (t) => {
    const api = await AdminApi.start(t, open);
    const headers = { ...bearer('undefined'), host: `evil.example:${api.port}` };
    assert.equal(await api.outcome(status, { headers }), '403 ADMIN_FORBIDDEN');
  });
});

describe('the admin port', () => {
  it('asks for a body only when it wants it', async (t) => {
    const api = await AdminApi.start(t);
    const head = (authorization: string): string =>
      `PUT /api/v1/config?dryRun=1 HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nContent-Type: application/yaml\r\n` +
      `Content-Length: 10\r\nExpect: 100-continue\r\n\r\n`;
    const wanted = await RawClient.connect(t, { host: '127.0.0.1', port: api.port });
    wanted.write(head(`Bearer ${token}`));
    await wanted.until((received) => received.startsWith('HTTP/1.1 100 '), 'to be asked for the body');
    wanted.write('routes: {}');
    await wanted.until((received) => received.includes('HTTP/1.1 200 '), 'the answer');
    const refused = await RawClient.connect(t, { host: '127.0.0.1', port: api.port });
    refused.write(head('Bearer wrong'));
    await refused.until((received) => received.startsWith('HTTP/1.1 401 '), 'the refusal');
  });

  it('closes the connection instead of reading a long body that it has refused', async (t) => {
    const api = await AdminApi.start(t);
    const client = await RawClient.connect(t, { host: '127.0.0.1', port: api.port });
    client.write(
      `PUT /api/v1/config HTTP/1.1\r\nHost: a\r\nContent-Type: application/yaml\r\nContent-Length: 60000000\r\n\r\n`,
    );
    await client.untilEnded();
    assert.match(client.received, /^HTTP\/1\.1 401 [\s\S]*\r\nconnection: close\r\n/i);
  });

  for (const [what, bytes, expected] of [
    ['something that is not HTTP', 'hello\r\n\r\n', 'BAD_REQUEST'],
    ['too large a head', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 'HEAD_TOO_LARGE'],
  ] as const) {
    it(`answers ${what} with problem details`, async (t) => {
      const api = await AdminApi.start(t);
      const client = await RawClient.connect(t, { host: '127.0.0.1', port: api.port });
      client.write(bytes);
      const { body, fields } = await client.response();
      assert.equal((JSON.parse(body) as { code: string }).code, expected);
      assert.ok(fields.some(([name, value]) => name === 'content-type' && value === 'application/problem+json'));
    });
  }

  it('does not wait for a head that does not come', { timeout: 20_000 }, async (t) => {
    const api = await AdminApi.start(t);
    const client = await RawClient.connect(t, { host: '127.0.0.1', port: api.port });
    client.write('GET /livez HTTP/1.1\r\nHost');
    await client.untilEnded(15_000);
    assert.match(client.received, /REQUEST_TIMEOUT/);
  });

  it('takes a bounded number of connections', async (t) => {
    const api = await AdminApi.start(t);
    const clients = await Promise.all(Array.from({ length: 300 }, () => connected(t, api)));
    // Those beyond the bound are closed at once; asking on all of them shows which.
    for (const client of clients) client.write('GET /livez HTTP/1.1\r\nHost: a\r\n\r\n');
    const served = await Promise.all(
      clients.map((client) =>
        client.response().then(
          () => true,
          () => false,
        ),
      ),
    );
    assert.equal(served.filter(Boolean).length, 256);
    for (const client of clients) client.destroy();
    await eventually(async () => (await api.outcome('/livez').catch(() => '')) === '200', 'it to serve again');
  });
});

async function connected(t: TestContext, api: AdminApi): Promise<RawClient> {
  return RawClient.connect(t, { host: '127.0.0.1', port: api.port });
}

describe('the limit of attempts', () => {
  it('counts a /64 of IPv6 as one, and every IPv4 address by itself, however it is spelled', () => {
    const limit = new AttemptLimit(() => 0);
    for (let i = 0; i < 10; i++) limit.failed(`2001:db8:1:2::${i}`);
    assert.ok(limit.refusedFor('2001:db8:1:2:ffff::1') > 0);
    assert.equal(limit.refusedFor('2001:db8:1:3::1'), 0);
    for (let i = 0; i < 10; i++) limit.failed('::ffff:192.0.2.1');
    assert.ok(limit.refusedFor('192.0.2.1') > 0);
    assert.equal(limit.refusedFor('192.0.2.2'), 0);
  });

  it('remembers a bounded number of addresses, those that were wrong last', () => {
    const limit = new AttemptLimit(() => 0);
    for (let i = 0; i < 10; i++) limit.failed('192.0.2.1');
    for (let i = 0; i < 4_095; i++) limit.failed(`10.0.${i >> 8}.${i & 255}`);
    assert.ok(limit.refusedFor('192.0.2.1') > 0);
    limit.failed('10.1.0.0');
    assert.equal(limit.refusedFor('192.0.2.1'), 0);
  });
});
