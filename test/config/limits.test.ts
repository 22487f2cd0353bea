/** Limits that make a difference between callers who are not there, or not known yet. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { problemsOf } from './load-text.ts';

const consumers = `consumers: {ann: {groups: [gold], apiKeys: [{hash: "sha256:${'0'.repeat(64)}"}]}}\n`;

const list = (policies: string, more = ''): Promise<string[]> =>
  problemsOf(`${consumers}${more}\nroutes:\n  r: {respond: {}, policies: [${policies}]}\n`);

test('consumers and groups that a limit names must be there', async () => {
  const limit = (rest: string): string => `apiKey, {rateLimit: {${rest}}}`;
  assert.deepEqual(await list(limit('rates: {golf: 5/1m, default: 1/1m}')), [
    '4:60 warning UNKNOWN_CONSUMER routes.r.policies[1].rateLimit.rates.golf: there is neither a consumer nor a group "golf" (did you mean "gold"?)',
  ]);
  assert.match(
    (await list(limit('rate: 1/1m, exempt: {consumers: [anne]}'))).join(),
    /^4:\d+ warning UNKNOWN_CONSUMER routes\.r\.policies\[1\]\.rateLimit\.exempt\.consumers\[0\]: .*\(did you mean "ann"\?\)$/,
  );
  assert.match(
    (await list('apiKey, {quota: {limit: 1, per: day, exempt: {groups: [staff]}}}')).join(),
    /^4:\d+ warning UNKNOWN_GROUP .*: no consumer is in a group "staff"$/,
  );
  const rest = 'rates: {gold: 5/1m, ann: 6/1m, default: 1/1m}, exempt: {consumers: [ann], groups: [gold]}';
  assert.deepEqual(await list(limit(rest)), []);
  assert.deepEqual(await list(limit('rates: {golf: 5/1m, default: 1/1m}'), 'consumerSources: {database: ./c.db}'), []);
});

test('they are known only behind a policy that finds out who calls', async () => {
  const early = '{concurrency: {limit: 1, exempt: {groups: [gold]}}}, apiKey';
  assert.deepEqual(await list(early), [
    '4:31 warning NO_EFFECT routes.r.policies[0]: what concurrency says of consumers and groups has no effect, as no policy before it finds out who calls',
  ]);
  for (const policies of [
    'apiKey, {concurrency: {limit: 1, exempt: {groups: [gold]}}}',
    '{concurrency: {limit: 1, exempt: {addresses: [10.0.0.0/8]}}}, apiKey',
    '{rateLimit: {rates: {default: 1/1m}}}, apiKey',
  ]) {
    assert.deepEqual(await list(policies), [], policies);
  }
  const named = 'policies: {tiers: {rateLimit: {rates: {gold: 5/1m, default: 1/1m}}}}';
  assert.deepEqual(await list('tiers', named), [], 'other routes may know who calls');
});

test('limits of quotas name consumers and groups as well', async () => {
  assert.match(
    (await list('apiKey, {quota: {limits: {golf: 5, default: 1}, per: day}}')).join(),
    /UNKNOWN_CONSUMER routes\.r\.policies\[1\]\.quota\.limits\.golf: .*\(did you mean "gold"\?\)$/,
  );
});

test('values are noted by policies of the user only', async () => {
  for (const [policies, told] of [
    ['{rateLimit: {rate: 1/1m, by: [ip, "value:tenant"]}}', 'rateLimit gets nothing by value:tenant, which only'],
    ['{quota: {limit: 1, per: day, cost: "value:a"}}', 'quota gets nothing by value:a, which only'],
    ['{rateLimit: {rate: 1/1m, by: ip, cost: {after: "value:b"}}}', 'note'],
  ]) {
    assert.match(
      (await list(policies)).join(),
      new RegExp(`warning NO_EFFECT routes\\.r\\.policies\\[0\\]: .*${told}`),
    );
  }
});
