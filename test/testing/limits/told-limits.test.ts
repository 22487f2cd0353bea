import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { HeaderFields } from '../../../src/http/header-fields.ts';
import { joined, nothingTold, readTold, summaryOf } from '../../../src/testing/limits/told-limits.ts';

const wallNow = Date.parse('2026-01-01T12:00:00Z');
const read = (fields: Readonly<Record<string, string>>) => readTold(HeaderFields.from(Object.entries(fields)), wallNow);

suite('what answers tell of limits', () => {
  test('the standard fields; of several limits that with the least left', () => {
    const told = read({
      'RateLimit-Policy': '"day";q=1000;w=86400, "second";q=10;w=1',
      RateLimit: '"day";r=900;t=3600, "second";r=3;t=1',
    });
    assert.deepEqual(
      [told.left, told.resetSeconds, told.hasRateLimit, told.hasPolicy, told.malformed],
      [3, 1, true, true, null],
    );
  });

  test('older fields', () => {
    const told = read({ 'X-RateLimit-Remaining': '7', 'X-RateLimit-Reset': '30' });
    assert.deepEqual([told.left, told.resetSeconds, told.hasRateLimit, told.hasOlder], [7, 30, false, true]);
  });

  for (const [value, seconds] of [
    ['5', 5],
    ['Thu, 01 Jan 2026 12:00:30 GMT', 30],
    ['Thu, 01 Jan 2026 11:00:00 GMT', 0],
  ] as const) {
    test(`Retry-After: ${value}`, () => assert.equal(read({ 'retry-after': value }).retryAfterSeconds, seconds));
  }

  for (const [name, value] of [
    ['ratelimit', 'limit=10, remaining=3'],
    ['ratelimit', '"a";r=-1'],
    ['ratelimit', '"a";r=1.5'],
    ['ratelimit', 'a;r=1'],
    ['ratelimit', '("a");r=1'],
    ['ratelimit', ''],
    ['ratelimit-policy', '"a";w=1'],
    ['retry-after', 'soon'],
    ['retry-after', '-1'],
    ['retry-after', 'Thu, 99 Jan'],
  ]) {
    test(`malformed: ${name}: ${value}`, () => {
      assert.equal(read({ [name]: value }).malformed, `${name}: ${value}`);
    });
  }

  test('what cannot be shown is not shown', () => {
    assert.equal(read({ 'retry-after': `a\u009b${'b'.repeat(500)}` }).malformed?.length, 200);
    assert.match(read({ 'retry-after': 'a\u009bb' }).malformed!, /a\?b$/);
  });

  test('are summed up', () => {
    const of = (fields: Readonly<Record<string, string>>, isRefused: boolean) =>
      summaryOf(HeaderFields.from(Object.entries(fields)), isRefused, wallNow);
    const policy = { 'ratelimit-policy': '"a";q=10;w=1' };
    const sum = [
      of({ ...policy, ratelimit: '"a";r=9;t=1' }, false),
      of({ ...policy, ratelimit: '"a";r=0;t=1', 'retry-after': '2' }, true),
      of({ ...policy, ratelimit: '"a";r=4;t=1', 'retry-after': '1' }, true),
      of({ ratelimit: '?' }, false),
    ].reduce(joined, nothingTold);
    assert.deepEqual(sum, {
      admitted: 2,
      refused: 2,
      admittedWithRateLimit: 2,
      refusedWithRateLimit: 2,
      withPolicy: 3,
      withOlder: 0,
      refusedWithRetryAfter: 2,
      malformed: 1,
      malformedExample: 'ratelimit: ?',
      refusedWithLeft: 1,
      mostLeft: 9,
      longestRetryAfterSeconds: 2,
      policies: ['"a";q=10;w=1'],
    });
  });
});
