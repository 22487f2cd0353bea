/** Large configurations load in a moment. The bounds are wide, for slow machines: they catch what grows with a square. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { loadText } from './load-text.ts';

const ROUTES = 100_000;
const MAX_MS = 10_000;

const head = { listeners: { web: { port: 8080 } }, upstreams: { u: { targets: ['http://127.0.0.1:3001'] } } };
const names = Array.from({ length: ROUTES }, (_, index) => index);

async function timed(text: string, fileName: string): Promise<{ routes: number; problems: number; ms: number }> {
  const begun = performance.now();
  const { config, problems } = await loadText(text, { fileName });
  const ms = performance.now() - begun;
  return { routes: Object.keys(config?.routes ?? {}).length, problems: problems.length, ms };
}

suite('a hundred thousand routes', () => {
  test('load from YAML', async () => {
    const routes = names.map((n) => `  r${n}:\n    match:\n      path: /x/${n}\n    upstream: u\n`);
    const text = `upstreams: {u: {targets: ["http://127.0.0.1:3001"]}}\nroutes:\n${routes.join('')}`;
    const { routes: loaded, problems, ms } = await timed(text, '/gw/gateway.yaml');
    assert.deepEqual([loaded, problems], [ROUTES, 0]);
    assert.ok(ms < MAX_MS, `it took ${ms} ms`);
  });

  test('load from JSON', async () => {
    const routes = Object.fromEntries(names.map((n) => [`r${n}`, { match: { path: `/x/${n}` }, upstream: 'u' }]));
    const {
      routes: loaded,
      problems,
      ms,
    } = await timed(JSON.stringify({ ...head, routes }, null, 2), '/gw/gateway.json');
    assert.deepEqual([loaded, problems], [ROUTES, 0]);
    assert.ok(ms < MAX_MS, `it took ${ms} ms`);
  });

  test('can all be wrong, and every one is told with its place', async () => {
    const some = names.slice(0, 20_000);
    const routes = some.map((n) => `  r${n}: {match: {pth: /x/${n}}, upstream: u}\n`);
    const text = `upstreams: {u: {targets: ["http://127.0.0.1:3001"]}}\nroutes:\n${routes.join('')}`;
    const begun = performance.now();
    const { problems } = await loadText(text);
    assert.equal(problems.length, some.length);
    assert.deepEqual(
      problems.map(({ line }) => line),
      some.map((n) => n + 3),
    );
    assert.ok(performance.now() - begun < MAX_MS);
  });
});
