/** What operators can know and do about limits. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { limitAnswer, limitsAnswer } from '../../src/admin/limit-schemas.ts';
import { limitFacts } from '../../src/policies/limit-facts.ts';
import type { Scope } from '../support/scope.ts';
import { AdminApi, holds } from './admin-api.ts';

const config = `
admin: {token: "\${env:GATEWRIGHT_ADMIN_TOKEN}"}
consumers:
  ann: {groups: [gold], apiKeys: [{hash: "sha256:${'0'.repeat(64)}"}]}
  ben: {apiKeys: [{hash: "sha256:${'1'.repeat(64)}"}]}
policies:
  tiers: {rateLimit: {rates: {gold: 100/1h, default: 10/1h}}}
routes:
  a: {match: {path: /a}, policies: [apiKey, tiers, {quota: {limit: 5, per: month, by: group, timezone: Europe/Berlin}}], respond: {}}
  b: {match: {path: /b}, policies: [apiKey, tiers, {concurrency: {limit: 3, queue: 2, by: route, name: busy}}], respond: {}}
  c:
    match: {path: /c}
    policies:
      - {rateLimit: {rate: 7/1m, burst: 1, by: [ip, "header:x-a"], name: pairs, enforce: false}}
      - {rateLimit: {rate: 7/1m, by: ip, algorithm: sliding-window}}
      - {rateLimit: {rate: 9/1m, by: global, algorithm: fixed-window, name: all}}
      - {concurrency: {limit: adaptive, min: 5, name: yielding}}
    respond: {}
`;

/** The limiter that requests of a route are counted by. */
function limiterOf(api: AdminApi, route: string, index: number, who = 'default') {
  const facts = limitFacts(api.control.config.routes[route].policies[index], route)!;
  const { rule, identity } = facts.tiers.find((tier) => tier.who === who)!;
  return {
    counter: api.control.limits.counter(facts.identity),
    limiter: api.control.limits.limiter(identity, rule),
    identity,
    rule,
  };
}

async function list(api: AdminApi, query = '') {
  return holds(limitsAnswer, (await api.ask(`/api/v1/limits${query}`)).json);
}

async function look(api: AdminApi, path: string) {
  return holds(limitAnswer, (await api.ask(`/api/v1/limits/${path}`)).json);
}

const start = (t: Scope): Promise<AdminApi> => AdminApi.start(t, config);

suite('limits in the admin API', () => {
  test('are told with who is counted, by which rule, and where', async (t) => {
    const { total, limits } = await list(await start(t));
    assert.equal(total, 7);
    const byName = Object.groupBy(limits, ({ name }) => name);
    assert.deepEqual(Object.keys(byName), ['all', 'busy', 'default', 'pairs', 'tiers', 'yielding']);
    const { id, ...tiers } = byName['tiers']![0];
    assert.match(id, /^[0-9a-f]{16}$/);
    const rule = { algorithm: 'gcra', windowMs: 3_600_000, per: null, timezone: null, inHand: null };
    assert.deepEqual(tiers, {
      name: 'tiers',
      kind: 'rateLimit',
      scope: 'name',
      routes: { total: 2, routes: ['a', 'b'] },
      by: ['consumer'],
      enforce: true,
      store: 'memory',
      rules: [
        { for: 'gold', ...rule, limit: 100, capacity: 100 },
        { for: 'default', ...rule, limit: 10, capacity: 10 },
      ],
      permits: null,
      totals: null,
    });
    const shown = limits.map(({ name, scope, by, enforce, rules, permits }) => [
      name,
      scope,
      by,
      enforce,
      rules[0]?.algorithm,
      rules[0]?.capacity ?? rules[0]?.per,
      permits,
    ]);
    assert.deepEqual(
      shown.filter(([name]) => name !== 'tiers'),
      [
        ['all', 'name', ['global'], true, 'fixed-window', null, null],
        ['busy', 'name', ['route'], true, undefined, undefined, { limit: 3, adaptive: null, queue: 2 }],
        ['default', 'route', ['group'], true, 'calendar', 'month', null],
        ['default', 'route', ['ip'], true, 'sliding-window', null, null],
        ['pairs', 'name', ['ip', 'header:x-a'], false, 'gcra', 2, null],
        [
          'yielding',
          'name',
          ['route'],
          true,
          undefined,
          undefined,
          { limit: 20, adaptive: { min: 5, max: 1000 }, queue: 0 },
        ],
      ],
    );
    assert.equal((await list(await start(t), '?q=pai')).total, 1);
  });

  test('are told with what they have done', async (t) => {
    const api = await start(t);
    const { counter } = limiterOf(api, 'a', 1);
    counter.admitted();
    counter.admitted();
    const ann = { consumer: { name: 'ann' }, clientIp: '192.0.2.1' };
    counter.refused(true, ann);
    counter.refused(false, ann);
    assert.deepEqual((await look(api, 'tiers')).limit.totals, { admitted: 2, refused: 1, wouldRefuse: 1 });
  });

  test('are told with whom they have refused most', async (t) => {
    const api = await start(t);
    const { counter } = limiterOf(api, 'a', 1);
    const other = limiterOf(api, 'c', 1).counter;
    const refuse = (name: string | null, clientIp: string, times: number): void => {
      for (let i = 0; i < times; i++) counter.refused(true, { consumer: name === null ? null : { name }, clientIp });
    };
    assert.deepEqual((await look(api, 'tiers')).refused, []);
    for (let i = 0; i < 30; i++) refuse(null, `192.0.2.${i}`, 1);
    refuse(null, '2001:db8::1', 2);
    refuse(null, '2001:db8::2', 3);
    refuse('ben', '192.0.2.1', 4);
    refuse('ben', '192.0.2.2', 4);
    counter.refused(false, { consumer: { name: 'ann' }, clientIp: '192.0.2.1' });
    counter.refused(false, { consumer: { name: 'ann' }, clientIp: '192.0.2.1' });
    other.refused(true, { consumer: { name: 'eve' }, clientIp: '192.0.2.1' });
    const { refused } = await look(api, 'tiers');
    assert.equal(refused.length, 20);
    assert.deepEqual(
      refused.slice(0, 3).map((one) => [one.consumer, one.address, one.refused, one.wouldRefuse]),
      [
        ['ben', null, 8, 0],
        [null, '2001:db8::/64', 5, 0],
        ['ann', null, 0, 2],
      ],
    );
    assert.ok(refused.every(({ lastAt }) => lastAt === api.clock.wallNow()));
  });

  test('tell what is left to a key, and charge nothing', async (t) => {
    const api = await start(t);
    const { limiter } = limiterOf(api, 'a', 1, 'gold');
    for (let i = 0; i < 30; i++) limiter.charge('ann', 1);
    for (let i = 0; i < 2; i++) {
      assert.deepEqual((await look(api, 'tiers?consumer=ann')).consumption, {
        rules: [{ for: 'gold', limit: 100, remaining: 70, resetMs: 30 * 36_000, moreMs: 36_000 }],
        permits: null,
      });
    }
    const byKey = (await look(api, 'tiers?key=ann')).consumption!.rules;
    assert.deepEqual(
      byKey.map((one) => [one.for, one.remaining]),
      [
        ['gold', 70],
        ['default', 10],
      ],
    );
    assert.deepEqual(
      (await look(api, 'tiers?consumer=ben')).consumption!.rules.map((one) => one.for),
      ['default'],
    );
    assert.equal((await look(api, 'tiers')).consumption, null, 'of nobody');
  });

  test('tell it of addresses, lists, and limits with one key for all', async (t) => {
    const api = await start(t);
    const { limits } = await list(api);
    const ofIp = limits.find(({ by }) => by[0] === 'ip' && by.length === 1)!.id;
    limiterOf(api, 'c', 1).limiter.charge('192.0.2.1', 4);
    for (const query of ['address=192.0.2.1', 'key=192.0.2.1']) {
      assert.equal((await look(api, `${ofIp}?${query}`)).consumption!.rules[0].remaining, 3, query);
    }
    limiterOf(api, 'c', 1).limiter.charge('6:536939960:0', 1);
    assert.equal(
      (await look(api, `${ofIp}?address=2001:db8::7`)).consumption!.rules[0].remaining,
      6,
      'of IPv6 the /64',
    );
    limiterOf(api, 'c', 0).limiter.charge('9:192.0.2.13:a"b', 2);
    const pair = encodeURIComponent(JSON.stringify(['192.0.2.1', 'a"b']));
    assert.equal((await look(api, `pairs?key=${pair}`)).consumption!.rules[0].remaining, 0);
    limiterOf(api, 'c', 2).limiter.charge('', 2);
    assert.equal((await look(api, 'all')).consumption!.rules[0].remaining, 7);
    const unknown = limiterOf(api, 'a', 1);
    api.control.limits.limiter(`${unknown.identity} by address`, unknown.rule).charge('192.0.2.1', 4);
    assert.deepEqual(
      (await look(api, 'tiers?address=192.0.2.1')).consumption!.rules.map(({ remaining }) => remaining),
      [100, 6],
    );
  });

  test('tell it of groups, and of what is on its way', async (t) => {
    const api = await start(t);
    const { limits } = await list(api);
    const quota = limits.find(({ kind }) => kind === 'quota')!.id;
    limiterOf(api, 'a', 2).limiter.charge('gold', 2);
    assert.equal((await look(api, `${quota}?consumer=ann`)).consumption!.rules[0].remaining, 3);
    assert.equal(await api.outcome(`/api/v1/limits/${quota}?consumer=ben`), '400 ADMIN_BAD_INPUT');
    const { identity } = limitFacts(api.control.config.routes['b'].policies[2], 'b')!;
    const pool = api.control.limits.permits(identity, 3, 2);
    assert.ok(pool.tryAcquire('b') && pool.tryAcquire('b') && pool.tryQueue('b'));
    assert.deepEqual((await look(api, 'busy?key=b')).consumption, { rules: [], permits: { held: 2, waiting: 1 } });
    assert.deepEqual((await look(api, 'busy?key=a')).consumption!.permits, { held: 0, waiting: 0 });
  });

  test('are made to forget a key', async (t) => {
    const api = await start(t);
    const { limiter } = limiterOf(api, 'a', 1, 'gold');
    for (const key of ['ann', 'eve']) while (limiter.charge(key, 1).isAllowed);
    assert.equal(await api.outcome('/api/v1/limits/tiers/reset?consumer=ann', { method: 'POST' }), '200');
    assert.equal(limiter.charge('ann', 0).remaining, 100);
    assert.equal(limiter.charge('eve', 0).remaining, 0);
    assert.equal(await api.outcome('/api/v1/limits/tiers/reset?key=eve', { method: 'POST' }), '200');
    assert.equal(limiter.charge('eve', 0).remaining, 100);
  });

  test('tell what is in hand of a lease, and to look for the rest in the store', async (t) => {
    const api = await AdminApi.start(
      t,
      `
admin: {token: "\${env:GATEWRIGHT_ADMIN_TOKEN}"}
threads: 4
stores: {shared: {type: redis, url: "redis://127.0.0.1:1"}}
routes:
  a:
    match: {path: /}
    policies:
      - {rateLimit: {rates: {gold: 1000/1s, default: 20/1s}, by: consumer, store: shared, mode: lease, name: hot}}
      - {rateLimit: {rate: 1000/1s, by: ip, store: shared, name: exact}}
    respond: {}
`,
    );
    const { limits } = await list(api);
    assert.deepEqual(
      limits.map(({ name, store, rules }) => [name, store, rules.map(({ inHand }) => inHand)]),
      [
        ['exact', 'shared', [null]],
        ['hot', 'shared', [48, 4]],
      ],
    );
    for (const path of ['hot?consumer=ann', 'exact?address=192.0.2.1']) {
      assert.match((await api.ask(`/api/v1/limits/${path}`)).text, /counts in the store shared: look there/);
    }
  });

  test('say what is wrong with a question', async (t) => {
    const api = await start(t);
    for (const [path, outcome] of [
      ['nobody', '404 ADMIN_NOT_FOUND'],
      ['default', '400 ADMIN_BAD_INPUT'],
      ['tiers?key=a&consumer=ann', '400 ADMIN_BAD_INPUT'],
      ['tiers?who=ann', '400 ADMIN_BAD_INPUT'],
      ['tiers?address=here', '400 ADMIN_BAD_INPUT'],
      ['all?consumer=ann', '400 ADMIN_BAD_INPUT'],
      ['pairs?key=a', '400 ADMIN_BAD_INPUT'],
      ['pairs?key=%5B%22a%22%5D', '400 ADMIN_BAD_INPUT'],
      ['pairs?key=%5B1,2%5D', '400 ADMIN_BAD_INPUT'],
      ['pairs?address=192.0.2.1', '400 ADMIN_BAD_INPUT'],
    ]) {
      assert.equal(await api.outcome(`/api/v1/limits/${path}`), outcome, path);
    }
    for (const path of ['tiers/reset', 'busy/reset?key=b', 'nobody/reset?key=b']) {
      assert.match(await api.outcome(`/api/v1/limits/${path}`, { method: 'POST' }), /^40[04] /, path);
    }
  });
});
