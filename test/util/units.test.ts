import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { z } from '../../src/util/schema.ts';
import {
  duration,
  formatDuration,
  formatPercentage,
  formatRate,
  formatSize,
  parseDuration,
  parsePercentage,
  parseRate,
  parseSize,
  percentage,
  rate,
  size,
} from '../../src/util/units.ts';

suite('durations', () => {
  test('are milliseconds, whatever their unit', () => {
    const cases: Record<string, number> = {
      '250ms': 250,
      '5s': 5000,
      '1m': 60_000,
      '1h': 3_600_000,
      '1d': 86_400_000,
      '1.5s': 1500,
      '0s': 0,
    };
    for (const [text, ms] of Object.entries(cases)) assert.equal(parseDuration(text), ms, text);
  });

  test('need a unit that is known, and whole milliseconds', () => {
    for (const text of [
      '',
      '5',
      's',
      '-5s',
      '+5s',
      '5 s',
      ' 5s',
      '5s ',
      '5S',
      '5sec',
      '0.5ms',
      '1e3s',
      '0x5s',
      '5s5m',
      '.5s',
      '5.s',
      '٥s',
      '99999999999999999d',
    ]) {
      assert.equal(parseDuration(text), null, text);
    }
  });

  test('can be written and read back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 45 }), (ms) => {
        assert.equal(parseDuration(formatDuration(ms)), ms);
      }),
    );
  });

  test('are written with the largest unit that fits', () => {
    assert.deepEqual([0, 999, 1000, 90_000, 120_000, 86_400_000].map(formatDuration), [
      '0ms',
      '999ms',
      '1s',
      '90s',
      '2m',
      '1d',
    ]);
  });
});

suite('sizes', () => {
  test('are bytes, in powers of 1024', () => {
    const cases: Record<string, number> = {
      '512B': 512,
      '16KiB': 16_384,
      '10MiB': 10_485_760,
      '1GiB': 2 ** 30,
      '2TiB': 2 ** 41,
      '0B': 0,
      '1.5KiB': 1536,
    };
    for (const [text, bytes] of Object.entries(cases)) assert.equal(parseSize(text), bytes, text);
  });

  test('have no unit that two people read differently', () => {
    for (const text of ['16', '16K', '16KB', '16kb', '16k', '16Kib', '1.0001KiB', '-1B', '9999999TiB']) {
      assert.equal(parseSize(text), null, text);
    }
  });

  test('can be written and read back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), (bytes) => {
        const text = formatSize(bytes);
        // More digits than a person writes are not read.
        assert.equal(parseSize(text), /^[0-9]{1,15}[A-Z]/.test(text) ? bytes : null);
      }),
    );
  });
});

suite('rates and percentages', () => {
  test('a rate is a limit in a window', () => {
    assert.deepEqual(parseRate('100/1m'), { limit: 100, windowMs: 60_000 });
    assert.equal(formatRate({ limit: 100, windowMs: 60_000 }), '100/1m');
    for (const text of ['', '100', '100/', '/1m', '0/1m', '100/0s', '1.5/1m', '-1/1m', '100/1m/1s', '100 / 1m']) {
      assert.equal(parseRate(text), null, text);
    }
  });

  test('a percentage is a fraction from 0 to 1', () => {
    assert.equal(parsePercentage('50%'), 0.5);
    assert.equal(parsePercentage('0%'), 0);
    assert.equal(parsePercentage('100%'), 1);
    assert.equal(parsePercentage('0.5%'), 0.005);
    for (const text of ['', '50', '%', '101%', '100.1%', '-1%', '50 %']) {
      assert.equal(parsePercentage(text), null, text);
    }
    assert.equal(formatPercentage(0.005), '0.5%');
    assert.equal(formatPercentage(0.07), '7%');
  });
});

suite('the schemas of quantities', () => {
  const messageOf = (schema: z.ZodType, value: unknown): string =>
    schema.safeParse(value).error?.issues[0]?.message ?? '';

  test('parse to plain numbers', () => {
    assert.equal(duration().parse('5s'), 5000);
    assert.equal(size().parse('1KiB'), 1024);
    assert.equal(percentage().parse('5%'), 0.05);
    assert.deepEqual(rate().parse('5/1s'), { limit: 5, windowMs: 1000 });
  });

  test('refuse bare numbers, because seconds are not milliseconds', () => {
    assert.equal(messageOf(duration(), 5), 'write a duration such as 250ms, 5s, 1m, 1h or 1d');
    assert.equal(messageOf(size(), 5), 'write a size such as 512B, 16KiB, 10MiB or 1GiB');
  });

  test('say what is wrong, in the words of a person', () => {
    assert.equal(messageOf(duration(), '5 s'), '"5 s" is not a duration such as 250ms, 5s, 1m, 1h or 1d');
    assert.equal(messageOf(duration({ min: 1 }), '0s'), '0s is too little: write at least 1ms');
    assert.equal(messageOf(size({ max: 1024 }), '2KiB'), '2KiB is too much: write at most 1KiB');
    assert.equal(messageOf(duration(), '1000d'), '1000d is too much: write at most 366d');
  });

  test('take their defaults as people write them', () => {
    assert.deepEqual(z.object({ wait: duration().prefault('1m') }).parse({}), { wait: 60_000 });
  });
});
