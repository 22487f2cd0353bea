import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { explain } from '../../src/compile/explain/explain.ts';
import { findRouteProblems } from '../../src/compile/route-findings.ts';
import { explanationText } from '../../src/cli/explanation-text.ts';
import { parseConfig } from '../../src/config/load.ts';
import { builtinPolicies } from '../../src/policies/index.ts';

async function load(limit: string, threads: number | 'auto' = 4) {
  const text = `threads: ${threads}
stores: {shared: {type: redis, url: "redis://127.0.0.1:1"}}
routes:
  other: {match: {path: /other}, respond: {}}
  search: {match: {path: /}, policies: [{${limit}}], respond: {}}
  more: {match: {path: /more}, policies: [{${limit}}], respond: {}}
`;
  const { config, problems, analyse } = await parseConfig(text, {
    registry: builtinPolicies,
    fileName: 'gateway.yaml',
    analyseRoutes: async (...given) => findRouteProblems(...given),
  });
  assert.ok(config !== null, problems.map(({ message }) => message).join('\n'));
  const explained = explain(config, { method: 'GET', url: 'http://a/', headers: [] });
  const found = (await analyse()).map(({ line, severity, code, message }) => `${line} ${severity} ${code} ${message}`);
  return { found, lease: explained.policies[0].lease, shown: explanationText(explained) };
}

const leased = 'store: shared, mode: lease';

suite('a limit that is leased', () => {
  test('is explained with how many more than it says are let pass', async () => {
    const { lease, shown, found } = await load(`rateLimit: {rate: 1000/1s, by: ip, name: hot, ${leased}}`);
    assert.deepEqual(lease, {
      store: 'shared',
      threads: 4,
      rules: [{ for: 'default', limit: 1000, inHand: 48 }],
      isWhole: true,
    });
    assert.match(
      shown,
      /rateLimit \(.*from route; leased from the store shared: each machine of 4 threads may let pass up to 48 more than 1000\)/,
    );
    assert.deepEqual(found, []);
  });

  test('is explained for each of its rates, and for what requests cost', async () => {
    const rates = 'rates: {gold: 1000/1s, default: 100/1s}';
    const fixed = await load(`rateLimit: {${rates}, by: ip, cost: 5, lease: {size: 8}, ${leased}}`);
    assert.deepEqual(
      fixed.lease?.rules.map(({ for: who, inHand }) => [who, inHand]),
      [
        ['gold', 20],
        ['default', 20],
      ],
    );
    assert.match(fixed.shown, /up to 20 more than 1000 for gold, 20 more than 100\)/);
    const open = await load(`quota: {limit: 100, per: day, by: ip, cost: "header:x-cost", ${leased}}`, 1);
    assert.deepEqual(open.lease?.rules, [{ for: 'default', limit: 100, inHand: 5 }]);
    assert.match(
      open.shown,
      /each machine of 1 thread may .* 5 more than 100, or what one request costs for each thread\)/,
    );
  });

  test('is told by a check where that is much, once for all routes that have it', async () => {
    const small = await load(`rateLimit: {rate: 12/1s, by: ip, name: hot, ${leased}}`);
    assert.deepEqual(small.found, [
      '5 warning LOOSE_LIMIT the limit hot is leased: on each machine (4 threads) up to 4 more than 12; write mode: exact, or give it a smaller lease',
    ]);
    const one = await load(`rateLimit: {rate: 12/1s, by: ip, name: hot, ${leased}}`, 1);
    assert.deepEqual(one.found, []);
    const large = await load(`rateLimit: {rates: {a: 100/1s, default: 9999/1s}, by: ip, lease: {size: 80}, ${leased}}`);
    assert.equal(large.found.length, 2, 'one for each route');
    assert.match(large.found[0], /^5 .* up to 80 more than 100 of "a"; write/);
  });

  test('is not one where each request is decided by itself', async () => {
    for (const limit of ['store: shared', '']) {
      const { found, lease, shown } = await load(`rateLimit: {rate: 2/1s, by: ip${limit === '' ? '' : `, ${limit}`}}`);
      assert.deepEqual([found, lease], [[], undefined]);
      assert.doesNotMatch(shown, /leased/);
    }
  });
});
