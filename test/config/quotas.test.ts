/** Where quotas are kept. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadText, problemsOf } from './load-text.ts';

const routes = 'routes: {r: {policies: [{quota: {limit: 5, per: day}}], respond: {}}}\n';

test('the database of quotas is a file beside the configuration; without one there is none', async () => {
  const { config, problems } = await loadText(`quotas: {database: ./quotas.db}\n${routes}`);
  assert.deepEqual(problems, []);
  assert.equal(config?.quotas.database, `${config?.baseDir}/quotas.db`);
  assert.deepEqual((await loadText(routes)).config?.quotas, { database: null });
});

test('the database of quotas must be nobody else’s, have a name, and be of use', async () => {
  for (const [text, expected] of [
    [
      `quotas: {database: ./state/../a.db}\nconsumerSources: {database: a.db}\n${routes}`,
      '1:20 error BAD_VALUE quotas.database is the database of consumers as well (consumerSources.database): name another file',
    ],
    [`quotas: {database: ""}\n${routes}`, '1:20 error BAD_VALUE quotas.database: is empty'],
    [`quotas: {file: a.db}\n${routes}`, '1:10 error UNKNOWN_KEY unknown key "file" in quotas; known here: database'],
    [
      'quotas: {database: a.db}\nroutes: {r: {policies: [{rateLimit: {rate: 5/1m}}], respond: {}}}\n',
      '1:20 warning UNUSED quotas.database is not used by anything: no route has a quota that is counted in memory',
    ],
  ] as const) {
    assert.deepEqual(await problemsOf(text), [expected]);
  }
});

test('a quota of the defaults, of what no route matches, or within another policy uses it', async () => {
  const quota = '{quota: {limit: 5, per: day}}';
  for (const text of [
    `defaults: {policies: [${quota}]}\nroutes: {r: {respond: {}}}\n`,
    `notFound: {policies: [${quota}]}\nroutes: {r: {respond: {}}}\n`,
    `policies: {daily: ${quota}}\nroutes: {r: {policies: [daily], respond: {}}}\n`,
  ]) {
    assert.deepEqual(await problemsOf(`quotas: {database: a.db}\n${text}`), []);
  }
});
