/** What is made of what was recorded, on records that were made up. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { countExchanges } from '../../../src/testing/limits/count-exchanges.ts';
import { judge } from '../../../src/testing/limits/judge-limit.ts';
import type { LimitMeasurement } from '../../../src/testing/limits/limit-measurement.ts';
import type { PromisedLimit } from '../../../src/testing/limits/promised-limit.ts';
import { type HeaderSummary, nothingTold } from '../../../src/testing/limits/told-limits.ts';

const promised: PromisedLimit = { algorithm: 'sliding-window', limit: 10, windowMs: 1000, burst: 0 };

interface Recorded {
  readonly atMs: number;
  readonly tookMs?: number;
  readonly status?: number;
  readonly key?: number;
}

/** One each 10 ms for three seconds; of each second the first ten are admitted. */
const kept: readonly Recorded[] = Array.from({ length: 300 }, (_, index) => ({
  atMs: index * 10,
  status: index % 100 < 10 ? 200 : 429,
}));

function count(recorded: readonly Recorded[], { hasSameClock = true, areKeysNew = false, limit = promised } = {}) {
  const exchanges = {
    sentMs: Float64Array.from(recorded, ({ atMs }) => atMs),
    answeredMs: Float64Array.from(recorded, ({ atMs, tookMs = 1 }) => atMs + tookMs),
    status: Uint16Array.from(recorded, ({ status = 200 }) => status),
    key: Uint32Array.from(recorded, ({ key = 0 }) => key),
  };
  return countExchanges(exchanges, limit, { refusedStatuses: [429], hasSameClock, areKeysNew });
}

function judged(recorded: readonly Recorded[], about: Partial<LimitMeasurement> = {}) {
  const counts = count(recorded);
  const measured = {
    ...counts,
    urls: ['http://x/'],
    promised,
    clients: 1,
    connections: 1,
    keys: null,
    plannedLoad: 10,
    load: 10,
    clientPauseMs: 0,
    notSent: 0,
    trouble: null,
    usable: counts.admitted / counts.due,
    headers: nothingTold,
    waiting: null,
    ...about,
  };
  const { findings, verdict } = judge(measured, 2000);
  return { verdict, texts: findings.map(({ kind, text }) => `${kind}: ${text}`) };
}

suite('records of a limit', () => {
  test('are counted', () => {
    const counts = count([...kept, { atMs: 2995, status: 0 }, { atMs: 2996, status: 500, tookMs: 24 }]);
    assert.deepEqual(
      [counts.sent, counts.admitted, counts.refused, counts.failed, counts.other, counts.due],
      [302, 30, 270, 1, 1, 30],
    );
    assert.deepEqual(counts.statuses, { 200: 30, 429: 270, 500: 1 });
    assert.deepEqual(counts.answers, { p50Ms: 1, p99Ms: 1, longestMs: 24 });
    assert.deepEqual(
      counts.spans.map(({ spanMs, allowed, certain, possible }) => [spanMs, allowed, certain, possible]),
      [
        [100, 10, 10, 10],
        [500, 10, 10, 10],
        [1000, 10, 10, 11],
        [2000, 20, 20, 21],
        [3021, 40, 30, 30],
      ],
    );
    assert.equal(counts.window.spanMs, 1000);
  });

  test('of a window longer than the measurement are as well', () => {
    const limit = { ...promised, windowMs: 3_600_000 };
    const counts = count(kept.slice(0, 100), { limit });
    assert.deepEqual(counts.window, { spanMs: 3_600_000, allowed: 10, certain: 10, possible: 10 });
  });

  test('of several keys are those of the key with the most', () => {
    const recorded = kept.map((one, index) => ({ ...one, key: index % 2 }));
    const counts = count(recorded, { areKeysNew: true, limit: { ...promised, limit: 4 } });
    assert.deepEqual([counts.window.certain, counts.window.allowed, counts.keysBeyond], [5, 4, 2]);
    assert.equal(counts.due, 24);
  });

  test('are given what clocks may differ by, unless it is the same', () => {
    // The eleventh comes 999.5 ms after the first.
    const early = [...kept.filter(({ atMs, status }) => atMs < 1000 && status === 200), { atMs: 998.5, tookMs: 0.2 }];
    assert.equal(count(early).window.certain, 11);
    assert.equal(count(early, { hasSameClock: false }).window.certain, 10);
  });

  test('of a limit that was in use before are not held against it', () => {
    const limit: PromisedLimit = { algorithm: 'gcra', limit: 10, windowMs: 1000, burst: 9 };
    const used = Array.from({ length: 300 }, (_, index) => ({
      atMs: index * 10,
      status: index % 10 === 9 ? 200 : 429,
    }));
    assert.ok(count(used, { limit }).due <= 30);
    assert.ok(count(used, { limit, areKeysNew: true }).due > 37);
  });
});

suite('the verdict on a limit', () => {
  const told: HeaderSummary = { ...nothingTold, admitted: 30, refused: 270 };
  const all: HeaderSummary = {
    ...told,
    admittedWithRateLimit: 30,
    refusedWithRateLimit: 270,
    withPolicy: 300,
    refusedWithRetryAfter: 270,
  };
  const waited = { waited: 3, gotIn: 3, refusedThoughLeft: 0, leftTried: 5, longestToldSeconds: 1, stopped: null };

  const refused = ({ atMs }: Recorded): Recorded => ({ atMs, status: 429 });
  const nine = (status: number): Recorded[] => kept.slice(0, 9).map(({ atMs }) => ({ atMs, status }));

  test('is that it holds', () => {
    assert.deepEqual(judged(kept, { headers: all, waiting: waited }), { verdict: 'holds', texts: [] });
  });

  test('is that it is broken by a single one too many', () => {
    const { verdict, texts } = judged([...kept, { atMs: 500 }]);
    assert.equal(verdict, 'broken');
    assert.ok(texts.includes('broken: within 1s at least 11 were admitted, and 10 may be'));
  });

  test('is not that it is broken by one that may have come later', () => {
    assert.equal(judged([...kept.filter(({ atMs }) => atMs !== 1000), { atMs: 950, tookMs: 55 }]).verdict, 'holds');
  });

  test('is that it is broken when too little comes through', () => {
    const { verdict, texts } = judged(kept.map((one) => (one.atMs < 2000 ? one : refused(one))));
    assert.equal(verdict, 'broken');
    assert.deepEqual(texts, ['broken: 20 were admitted of 30 that were due: 66.7 % of the limit is usable']);
  });

  test('is a doubt where that may come of something that stood still', () => {
    const short = kept.map((one) => (one.atMs < 2000 ? one : refused(one)));
    const { verdict, texts } = judged(short, { clientPauseMs: 251 });
    assert.equal(verdict, 'in doubt');
    assert.match(texts[0], /66\.7 % of the limit is usable; but something stood still for 251 ms/);
    assert.equal(judged(short, { clientPauseMs: 250 }).verdict, 'broken');
  });

  for (const [what, recorded, about, expected] of [
    ['nothing was sent', [], { load: 0, usable: 0 }, 'in doubt: only 0.0 times the limit could be sent'],
    ['hardly more came', kept, { load: 1.2 }, 'in doubt: only 1.2 times the limit could be sent'],
    ['nothing was refused', kept.filter(({ status }) => status === 200), {}, 'in doubt: nothing was refused'],
    [
      'others answer',
      [...kept, ...nine(403)],
      {},
      'in doubt: 9 answers were neither admissions nor refusals; the statuses were 200, 403, 429',
    ],
    [
      'many are not answered',
      [...kept, ...nine(0)],
      { trouble: 'ECONNRESET' },
      'in doubt: 9 requests were not answered: ECONNRESET',
    ],
    [
      'one is not',
      [...kept, { atMs: 5, status: 0 }],
      { trouble: 'ECONNRESET' },
      'holds: 1 requests were not answered: ECONNRESET',
    ],
    ['an answer stalls', [...kept, { atMs: 5, status: 429, tookMs: 2500 }], {}, 'broken: an answer took 2500 ms'],
    [
      'the client stalls',
      [...kept, { atMs: 5, status: 429, tookMs: 2500 }],
      { clientPauseMs: 800 },
      'holds: an answer took 2500 ms, but the client itself stood still for 800 ms',
    ],
    [
      'a field is malformed',
      kept,
      { headers: { ...all, malformed: 1, malformedExample: 'ratelimit: x' } },
      'broken: 1 answers had a malformed field: ratelimit: x',
    ],
    [
      'refusals have some left',
      kept,
      { headers: { ...all, refusedWithLeft: 2 } },
      'broken: 2 refusals said that some are left',
    ],
    [
      'more are left than there are',
      kept,
      { headers: { ...all, mostLeft: 10 } },
      'broken: an answer said that 10 more are left, and 10 may come at once',
    ],
    [
      'nothing is told',
      kept,
      { headers: told },
      'holds: 270 of 270 refusals had no Retry-After; RateLimit was on 0 of 300 answers that were looked at',
    ],
    [
      'older fields are',
      kept,
      { headers: { ...all, admittedWithRateLimit: 0, withOlder: 9 } },
      'holds: RateLimit was on 270 of 300 answers that were looked at; older fields on some',
    ],
    [
      'waiting does not help',
      kept,
      { waiting: { ...waited, gotIn: 2 } },
      'broken: a client that waited as it was told was refused 1 times',
    ],
    [
      'what is left is not there',
      kept,
      { waiting: { ...waited, refusedThoughLeft: 1 } },
      'broken: a client was refused 1 times although some were left by the answer before',
    ],
    [
      'waiting was not tried',
      kept,
      { waiting: { ...waited, stopped: 'it was not refused' } },
      'holds: the client that waits: it was not refused',
    ],
  ] as readonly (readonly [string, readonly Recorded[], Partial<LimitMeasurement>, string])[]) {
    test(`when ${what}`, () => {
      const { verdict, texts } = judged(recorded, about);
      const bare = texts.map((text) => text.replace(/^\w+: /, ''));
      assert.equal(`${verdict}: ${bare.join('; ')}`, expected);
    });
  }
});
