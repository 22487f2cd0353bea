import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { policyPlan, use } from './documents.ts';

suite('the plan of limits', () => {
  test('knows a raised limit from a lowered one', () => {
    const rates = (before: unknown, after: unknown): string[] =>
      policyPlan([use('rateLimit', { rate: before })], [use('rateLimit', { rate: after })]);
    const perMinute = { limit: 100, windowMs: 60_000 };
    assert.deepEqual(rates(perMinute, { ...perMinute, limit: 1000 }), [
      'limit-raised | limit raised: rate 100/1m → 1000/1m (rateLimit)',
    ]);
    assert.deepEqual(rates('100/1m', '50/1m'), ['limit-lowered | limit lowered: rate 100/1m → 50/1m (rateLimit)']);
    // Fewer at once, but more in the long run; and the other way round.
    assert.match(rates('100/1m', '50/1s')[0], /^limit-raised /);
    assert.match(rates('100/1s', '200/1m')[0], /^limit-raised /);
    assert.match(rates('100/1s', '100/1m')[0], /^limit-lowered /);
    assert.match(rates('100/1m', 'many')[0], /^limit-changed /);
    assert.deepEqual(
      policyPlan(
        [use('rateLimit', { rate: perMinute, by: 'ip', onStoreFailure: 'closed' }, { label: 'gold-limit' })],
        [use('rateLimit', { rate: perMinute, by: 'consumer', onStoreFailure: 'open' }, { label: 'gold-limit' })],
      ),
      [
        'limit-raised | limit raised: onStoreFailure closed → open (rateLimit gold-limit)',
        'limit-changed | limit changed: by ip → consumer (rateLimit gold-limit)',
      ],
    );
    const limited = (options: object) => [use('rateLimit', { rate: perMinute, enforce: true, ...options })];
    assert.deepEqual(policyPlan(limited({}), limited({ enforce: false })), [
      'limit-raised | limit raised: enforce true → false (rateLimit)',
    ]);
    assert.deepEqual(policyPlan(limited({ exempt: { groups: ['a'] } }), limited({ exempt: { groups: ['a', 'b'] } })), [
      'limit-raised | limit raised: exempt.groups + b (rateLimit)',
    ]);
    assert.deepEqual(policyPlan(limited({ exempt: { groups: ['a', 'b'] } }), limited({ exempt: { groups: ['b'] } })), [
      'limit-lowered | limit lowered: exempt.groups - a (rateLimit)',
    ]);
    assert.deepEqual(
      policyPlan([use('concurrency', { limit: 5, queue: 5 })], [use('concurrency', { limit: 6, queue: 9 })]),
      [
        'limit-raised | limit raised: limit 5 → 6 (concurrency)',
        'policy-changed | policy changed: queue 5 → 9 (concurrency)',
      ],
    );
    assert.deepEqual(policyPlan([use('quota', { limit: 5 })], []), ['limit-removed | limit removed (quota)']);
    assert.deepEqual(
      policyPlan(
        [use('concurrency', { limit: 'adaptive', min: 5, max: 100 })],
        [use('concurrency', { limit: 'adaptive', min: 6, max: 50 })],
      ),
      [
        'limit-raised | limit raised: min 5 → 6 (concurrency)',
        'limit-lowered | limit lowered: max 100 → 50 (concurrency)',
      ],
    );
    assert.deepEqual(policyPlan([use('concurrency', { limit: 5 })], [use('concurrency', { limit: 'adaptive' })]), [
      'limit-changed | limit changed: limit 5 → adaptive (concurrency)',
    ]);
    assert.deepEqual(policyPlan([], [use('concurrency', { limit: 5 })]), ['limit-added | limit added (concurrency)']);
    assert.deepEqual(policyPlan([use('quota', { limit: 5 })], [use('quota', { limit: 6 })]), [
      'limit-raised | limit raised: limit 5 → 6 (quota)',
    ]);
  });

  test('of rates by consumer or group any that is faster raises the limit', () => {
    const rates = (before: object, after: object): string[] =>
      policyPlan([use('rateLimit', { rates: before })], [use('rateLimit', { rates: after })]);
    const [slow, fast] = [
      { limit: 5, windowMs: 1000 },
      { limit: 9, windowMs: 1000 },
    ];
    assert.deepEqual(rates({ default: slow }, { default: slow, gold: fast }), [
      'limit-raised | limit raised: rates {default: 5/1s} → {default: 5/1s, gold: 9/1s} (rateLimit)',
    ]);
    assert.match(rates({ default: slow, gold: fast }, { default: slow })[0], /^limit-lowered/);
    assert.match(rates({ default: fast, gold: fast }, { default: slow, gold: fast })[0], /^limit-lowered/);
    assert.match(rates({ default: slow, gold: fast }, { default: fast, gold: slow })[0], /^limit-raised/);
  });

  test('of limits by consumer or group any that is higher raises the limit', () => {
    const limits = (before: object, after: object): string[] =>
      policyPlan([use('quota', { limits: before })], [use('quota', { limits: after })]);
    assert.deepEqual(limits({ default: 5 }, { default: 5, gold: 9 }), [
      'limit-raised | limit raised: limits {default: 5} → {default: 5, gold: 9} (quota)',
    ]);
    assert.match(limits({ default: 5, gold: 9 }, { default: 5 })[0], /^limit-lowered/);
    assert.match(limits({ default: 9, gold: 9 }, { default: 5, gold: 9 })[0], /^limit-lowered/);
  });

  test('of costs less is weaker, and so is not to look at what was used', () => {
    const costs = (before: unknown, after: unknown): string[] =>
      policyPlan([use('rateLimit', { cost: before })], [use('rateLimit', { cost: after })]);
    const corrected = { before: 5, after: 'response-header:x-used' };
    assert.deepEqual(costs(5, 1), ['limit-raised | limit raised: cost 5 → 1 (rateLimit)']);
    assert.match(costs(1, 5)[0], /^limit-lowered/);
    assert.deepEqual(costs(corrected, 5), [
      'limit-raised | limit raised: cost {before: 5, after: response-header:x-used} → 5 (rateLimit)',
    ]);
    assert.match(costs(5, corrected)[0], /^limit-changed/);
    assert.match(costs(corrected, { ...corrected, before: 6 })[0], /^limit-lowered/);
    assert.match(costs({ ...corrected, max: 50 }, { ...corrected, max: 20 })[0], /^limit-raised/);
    assert.match(costs(corrected, { ...corrected, after: 'value:used' })[0], /^limit-changed/);
    assert.match(costs('header:x', 'header:y')[0], /^limit-changed/);
  });
});
