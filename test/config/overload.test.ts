/** What is refused when there is more to do than can be done: values that make no sense, and what would have no effect. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configOf, planOf } from './plan/documents.ts';
import { problemsOf } from './load-text.ts';

const consumers = `consumers: {ann: {groups: [gold], apiKeys: [{hash: "sha256:${'0'.repeat(64)}"}]}}\n`;
const routes = 'routes: {r: {respond: {}, policies: [apiKey]}}\n';

test('overload is off unless it is written, and then has defaults', async () => {
  assert.equal((await configOf(routes)).overload, null);
  assert.deepEqual((await configOf(`overload: {}\n${routes}`)).overload, {
    eventLoopLag: 200,
    memory: 0.9,
    retryAfter: 5_000,
    groups: {},
  });
  const { overload, routes: made } = await configOf(
    `overload: {eventLoopLag: false, memory: 80%, retryAfter: 1m, groups: {gold: high}}\n${consumers}${routes}  \n`,
  );
  assert.deepEqual(overload, { eventLoopLag: null, memory: 0.8, retryAfter: 60_000, groups: { gold: 'high' } });
  assert.equal(made['r'].importance, 'normal');
});

test('values of overload that make no sense are refused', async () => {
  for (const [written, problem] of [
    ['{eventLoopLag: 0ms}', /BAD_VALUE overload\.eventLoopLag/],
    ['{eventLoopLag: 10s}', /BAD_VALUE overload\.eventLoopLag/],
    ['{eventLoopLag: true}', /BAD_VALUE overload\.eventLoopLag: write a duration from 20ms to 4s, or false/],
    ['{memory: 100%}', /BAD_VALUE overload\.memory: write a percentage from 50% to 99%, or false/],
    ['{memory: 0%}', /BAD_VALUE overload\.memory/],
    ['{memory: 1GiB}', /BAD_VALUE overload\.memory/],
    ['{retryAfter: 1ms}', /BAD_VALUE overload\.retryAfter/],
    ['{groups: {gold: urgent}}', /BAD_VALUE overload\.groups\.gold/],
    ['{eventLoopLag: false, memory: false}', /BAD_VALUE overload: looks at nothing/],
    ['{eventLoopLags: 1s}', /UNKNOWN_KEY .*did you mean "?`?eventLoopLag/],
  ] as const) {
    assert.match((await problemsOf(`overload: ${written}\n${consumers}${routes}`)).join('\n'), problem, written);
  }
  assert.match((await problemsOf('routes: {r: {importance: urgent, respond: {}}}')).join(), /routes\.r\.importance/);
});

test('what would have no effect is told', async () => {
  assert.deepEqual(await problemsOf('routes: {r: {importance: low, respond: {}}}'), [
    '1:26 warning NO_EFFECT routes.r.importance: has no effect, as without `overload` nothing is refused',
  ]);
  assert.deepEqual(await problemsOf('overload: {}\nroutes: {r: {importance: low, respond: {}}}'), []);
  assert.deepEqual(await problemsOf(`overload: {groups: {golf: high}}\n${consumers}${routes}`), [
    '1:21 warning UNKNOWN_GROUP overload.groups.golf: no consumer is in a group "golf" (did you mean "gold"?)',
  ]);
  assert.deepEqual(await problemsOf(`overload: {groups: {gold: high}}\n${consumers}${routes}`), []);
  assert.match(
    (await problemsOf(`overload: {groups: {gold: high}}\n${consumers}routes: {r: {respond: {}}}`)).join(),
    /NO_EFFECT overload\.groups: has no effect, as no policy of any route finds out who calls/,
  );
});

test('the plan says when it protects less', async () => {
  const route = 'routes: {r: {respond: {}}}';
  assert.deepEqual(await planOf(`overload: {}\n${route}`, route), [
    'protection-removed | overload: protection removed: nothing is refused for overload',
  ]);
  assert.deepEqual(await planOf(route, `overload: {}\n${route}`), [
    'protection-added | overload: protection added: requests are refused for overload',
  ]);
  assert.deepEqual(
    await planOf(
      `overload: {eventLoopLag: 100ms, memory: 95%}\n${route}`,
      `overload: {eventLoopLag: 300ms, memory: 90%, groups: {gold: high}, retryAfter: 9s}\nroutes: {r: {respond: {}, importance: high}}`,
    ),
    [
      'protection-removed | overload: protection removed: event loop lag 100ms → 300ms',
      'route-changed | route r: changed: importance normal → high',
      'protection-added | overload: protection added: memory 95% → 90%',
      'setting-changed | overload: changed: groups.gold now high',
      'setting-changed | overload: changed: retryAfter 5s → 9s',
    ],
  );
  assert.deepEqual(await planOf(`overload: {memory: false}\n${route}`, `overload: {eventLoopLag: false}\n${route}`), [
    'protection-removed | overload: protection removed: event loop lag 200ms → none',
    'protection-added | overload: protection added: memory none → 90%',
  ]);
});
