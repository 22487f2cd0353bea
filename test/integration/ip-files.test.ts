/** A file of networks beside a configuration that is served by two threads. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../support/changes.ts';
import { TestThreads, ask, toldConfig } from '../support/threaded.ts';

test('a file of networks that changes is followed by every thread, without a reload, and a bad one is not', async (t) => {
  const policies = [{ use: './told.mjs' }, { ipFilter: { deny: [{ file: './blocked.txt' }] } }];
  const config = toldConfig({ routes: { all: { policies, respond: { body: 'hello' } } } });
  const threads = await TestThreads.start(t, config, { files: { 'blocked.txt': '# nobody yet\n' } });

  /** Whether that is what both threads answer. */
  const allAnswer = async (expected: number): Promise<boolean> => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => ask(threads.address())));
    const seen = new Set(answers.map(({ thread }) => thread));
    return seen.size === 2 && answers.every(({ status }) => status === expected);
  };
  await eventually(() => allAnswer(200), 'both threads to let everybody pass');
  await threads.write('blocked.txt', '127.0.0.0/8\n');
  await eventually(() => allAnswer(403), 'both threads to refuse what the file has by now', 15_000);
  await threads.write('blocked.txt', 'oops\n');
  await eventually(() => allAnswer(403), 'both threads to go by what was known', 15_000);
  await threads.write('blocked.txt', '# nobody any more\n');
  await eventually(() => allAnswer(200), 'both threads to let everybody pass again', 15_000);
  const { threads: all } = await threads.gateway.status();
  assert.deepEqual(new Set(all.map(({ revision }) => revision)), new Set([1]));
});
