/** Bans in the admin API. */
import assert from 'node:assert/strict';
import { type TestContext, describe, it } from 'node:test';
import { banAnswer, bansAnswer } from '../../src/admin/ban-schemas.ts';
import { AdminApi, holds, json } from './admin-api.ts';

const minute = 60_000;

async function add(api: AdminApi, body: unknown) {
  return api.ask('/api/v1/bans', { method: 'POST', headers: json, body: JSON.stringify(body) });
}

const remove = (api: AdminApi, network: string) => api.outcome(`/api/v1/bans/${network}`, { method: 'DELETE' });

async function networks(api: AdminApi, query = ''): Promise<string[]> {
  const { bans } = holds(bansAnswer, (await api.ask(`/api/v1/bans${query}`)).json);
  return bans.map(({ network }) => network);
}

const withProxies = `
admin: {token: "\${env:GATEWRIGHT_ADMIN_TOKEN}"}
listeners: {web: {port: 8080, trustedProxies: [10.0.0.0/24]}}
routes: {all: {respond: {}}}
`;

describe('the admin API', () => {
  it('bans clients and networks, tells of them and lifts their bans', async (t) => {
    const api = await AdminApi.start(t);
    const events: unknown[] = [];
    api.control.subscribe(({ kind, about }) => events.push([kind, about]));
    assert.deepEqual(await networks(api), []);
    const { ban } = holds(banAnswer, (await add(api, { address: '192.0.2.1', for: '1h', reason: 'scans "us"' })).json);
    assert.deepEqual(
      [ban.network, ban.until - ban.since, ban.by, ban.reason],
      ['192.0.2.1', 60 * minute, 'admin API', 'scans "us"'],
    );
    assert.ok(api.control.bans.list().length === 1);
    assert.equal((await add(api, { network: '198.51.100.7/24', for: '30d' })).status, 200);
    assert.equal((await add(api, { address: '2001:db8::5', for: '2h' })).status, 200);
    assert.deepEqual(await networks(api), ['198.51.100.0/24', '2001:db8::/64', '192.0.2.1'], 'the last to end first');
    assert.deepEqual(await networks(api, '?address=198.51.100.9'), ['198.51.100.0/24']);
    assert.deepEqual(await networks(api, '?address=2001:db8::9'), ['2001:db8::/64']);
    assert.deepEqual(await networks(api, '?q=SCANS'), ['192.0.2.1']);
    assert.deepEqual(await networks(api, '?limit=1&offset=1'), ['2001:db8::/64']);

    assert.equal(await remove(api, '198.51.100.9'), '404 ADMIN_NOT_FOUND', 'it is banned as one of many');
    assert.equal(await remove(api, '198.51.100.0%2F24'), '200');
    assert.equal(await remove(api, '2001%3Adb8%3A%3A%2f64'), '200');
    assert.equal(await remove(api, '192.0.2.1'), '200');
    assert.equal(await remove(api, '192.0.2.1'), '404 ADMIN_NOT_FOUND');
    assert.deepEqual(await networks(api), []);
    assert.deepEqual(events[0], ['ban', { what: 'added', network: '192.0.2.1', for: '1h', reason: 'scans "us"' }]);
    assert.deepEqual(events.at(-1), ['ban', { what: 'removed', network: '192.0.2.1' }]);
  });

  it('does not ban what is no network, nearly everybody, or for no time', async (t) => {
    const api = await AdminApi.start(t);
    const wrong: readonly unknown[] = [
      {},
      [],
      'all',
      { address: '192.0.2.1' },
      { for: '1h' },
      { address: '192.0.2.1', network: '192.0.2.0/24', for: '1h' },
      { address: '192.0.2.0/24', for: '1h' },
      { address: 'example.com', for: '1h' },
      { address: '', for: '1h' },
      { address: 3_221_225_985, for: '1h' },
      { address: '192.0.2.1\n', for: '1h' },
      { network: '0.0.0.0/0', for: '1h' },
      { network: '10.0.0.0/7', for: '1h' },
      { network: '::/0', for: '1h' },
      { network: '2001:db8::/129', for: '1h' },
      { network: '::ffff:0:0/96', for: '1h' },
      { network: '192.0.2.0/ 24', for: '1h' },
      { network: 'x'.repeat(3_000), for: '1h' },
      { address: '192.0.2.1', for: '0s' },
      { address: '192.0.2.1', for: '10' },
      { address: '192.0.2.1', for: '9999d' },
      { address: '192.0.2.1', for: '1h', reason: 'two\nlines' },
      { address: '192.0.2.1', for: '1h', reason: 'x'.repeat(101) },
      { address: '192.0.2.1', for: '1h', extra: 1 },
    ];
    for (const body of wrong) assert.equal((await add(api, body)).status, 400, JSON.stringify(body));
    for (const path of ['nonsense', '%00', '192.0.2.1%2F', '1.2.3', '%2F', '..%2F..']) {
      assert.equal(await remove(api, path), '400 ADMIN_BAD_INPUT', path);
    }
    assert.equal(await api.outcome('/api/v1/bans?address=nobody'), '400 ADMIN_BAD_INPUT');
    assert.deepEqual(await networks(api), []);
  });

  it('does not ban a proxy that is trusted', async (t) => {
    const api = await AdminApi.start(t, withProxies);
    const refused = await add(api, { address: '10.0.0.7', for: '1h' });
    assert.equal(refused.status, 400);
    assert.match(refused.text, /10\.0\.0\.7 is a trusted proxy/);
    assert.equal((await add(api, { network: '::ffff:10.0.0.7/128', for: '1h' })).status, 400);
    assert.equal((await add(api, { address: '10.0.1.7', for: '1h' })).status, 200);
  });

  it('has no more bans than there may be', async (t: TestContext) => {
    const api = await AdminApi.start(t);
    t.mock.method(api.control.bans, 'order', () => null);
    assert.equal((await add(api, { address: '192.0.2.1', for: '1h' })).status, 409);
  });
});
