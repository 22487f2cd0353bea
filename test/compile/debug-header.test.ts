import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { createDebugHeader, fitIntoHeader } from '../../src/compile/explain/debug-header.ts';
import { explain } from '../../src/compile/explain/explain.ts';
import type { LiveExplanation } from '../../src/compile/explain/explanation.ts';
import { hiderOf } from '../../src/compile/explain/hide-secrets.ts';
import { loadText, problemsOf } from '../config/load-text.ts';

const routes = 'routes: {r: {respond: {}}}';

describe('telemetry.debug', () => {
  it('is off unless configured, and then takes a secret and five minutes', async () => {
    const { config } = await loadText(routes);
    assert.equal(config?.telemetry.debug, null);
    assert.equal(createDebugHeader(config, { definitionOf: () => undefined, secrets: [] }), null);
    const secret = 's'.repeat(32);
    const on = await loadText(`${routes}\ntelemetry: {debug: {secret: "\${env:S}"}}`, { env: { S: secret } });
    assert.deepEqual(on.config?.telemetry.debug, { secret, maxAge: 300_000 });
    assert.deepEqual(on.problems, []);
    assert.deepEqual(on.secrets, [secret]);
  });

  it('refuses a secret that could be guessed and a time that is too long, without showing the secret', async () => {
    const problems = async (debug: string): Promise<string[]> =>
      problemsOf(`${routes}\ntelemetry: {debug: ${debug}}`, {
        env: { SHORT: 'canary-too-short', LONG: 'c'.repeat(32) },
      });
    const [short] = await problems('{secret: "${env:SHORT}"}');
    assert.match(short, /2:29 error BAD_VALUE telemetry\.debug\.secret: is shorter than 32 characters/);
    assert.doesNotMatch(short, /canary/);
    const [clear] = await problems(`{secret: ${'c'.repeat(32)}}`);
    assert.match(clear, /warning SECRET_IN_CLEAR telemetry\.debug\.secret is a secret/);
    assert.match((await problems('{}'))[0], /MISSING telemetry\.debug needs "secret"/);
    for (const maxAge of ['61m', '0s', '999ms', 'forever']) {
      const [problem] = await problems(`{secret: "\${env:LONG}", maxAge: ${maxAge}}`);
      assert.match(problem, /error BAD_VALUE telemetry\.debug\.maxAge/, maxAge);
    }
  });
});

const happened = { status: 502, code: null, reason: '', upstream: 'u', target: 'http://h', attempts: 1, requestId: '' };
const { config } = await loadText(`
routes:
  one: {match: {path: "/a/{b}"}, respond: {body: hello}}
  two: {match: {path: /a/*}, respond: {}}
  three: {match: {path: /a/b, methods: [PUT]}, respond: {}}
`);
assert.ok(config !== null);
const explanation = explain(config, { method: 'GET', url: 'http://h/a/b' });

describe('what the debug header is cut to', () => {
  const live = (
    changes: Partial<LiveExplanation['explanation']>,
    more: Partial<LiveExplanation> = {},
  ): LiveExplanation => ({
    explanation: { ...explanation, ...changes },
    happened,
    timings: [],
    leftOut: [],
    ...more,
  });
  const read = (each: LiveExplanation): LiveExplanation => JSON.parse(fitIntoHeader(each)) as LiveExplanation;

  it('is near misses first, then the other routes, and what happened last', () => {
    assert.ok(explanation.nearMisses.length > 0 && explanation.alsoMatched.length > 0);
    assert.deepEqual(read(live({})), live({}));
    const [miss] = explanation.nearMisses;
    const [beaten] = explanation.alsoMatched;
    const long = 'x'.repeat(9000);
    const nearMisses = [{ ...miss, message: long }];
    assert.deepEqual(read(live({ nearMisses })), live({ nearMisses: [] }, { leftOut: ['nearMisses'] }));
    const both = read(live({ nearMisses, alsoMatched: [{ ...beaten, message: long }] }));
    assert.deepEqual(both.leftOut, ['nearMisses', 'alsoMatched']);
    assert.equal(both.explanation?.alsoMatchedTotal, explanation.alsoMatchedTotal);
    const outcome = { ...explanation.outcome, message: long };
    const none = read(live({ outcome }));
    assert.equal(none.explanation, null);
    assert.deepEqual(none.happened, happened);
    assert.equal(none.leftOut.at(-1), 'explanation');
    const nothing = read(live({ outcome }, { happened: { ...happened, target: long } }));
    assert.deepEqual(nothing.happened, { ...happened, target: `${'x'.repeat(256)}…` });
    assert.equal(nothing.leftOut.at(-1), 'timings');
  });

  it('is always a field value of at most 8 KiB, whatever is in it', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 30 }),
      fc.integer({ min: 1, max: 3000 }).map((count) => 'é'.repeat(count)),
    );
    fc.assert(
      fc.property(text, text, text, text, (target, message, url, reason) => {
        const value = fitIntoHeader(
          live(
            { request: { ...explanation.request, target }, outcome: { ...explanation.outcome, message } },
            {
              happened: { ...happened, target: url, reason },
              timings: [{ station: 6, event: 'balance', ms: 1, detail: url }],
            },
          ),
        );
        assert.match(value, /^[\x20-\x7e]{2,8192}$/);
        const shown = JSON.parse(value) as LiveExplanation;
        if (shown.leftOut.length === 0) assert.equal(shown.explanation?.request.target, target);
      }),
    );
  });
});

describe('secrets in what is explained', () => {
  it('are hidden in every spelling that a path, a query or a quotation has for them', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', minLength: 6, maxLength: 20 }),
        fc.string({ maxLength: 5 }),
        (secret, rest) => {
          const hide = hiderOf([secret, secret + rest, '']);
          const spellings = [
            secret,
            encodeURI(secret),
            encodeURIComponent(secret),
            JSON.stringify(secret).slice(1, -1),
          ];
          for (const spelling of spellings) assert.equal(hide(`\n${spelling}\n`), '\n***\n');
          assert.equal(hide(secret + rest), '***');
        },
      ),
    );
  });
});
