import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Command, folderWith } from '../support/command.ts';
import type { Scope } from '../support/scope.ts';

async function runWith(t: Scope, cacheHome: string): Promise<void> {
  const command = await Command.run(t, ['--version'], { env: { XDG_CACHE_HOME: cacheHome } });
  assert.equal(command.exitCode, 0);
  assert.equal(command.stderr, '');
}

/** Runs a command with caches in a folder. @returns what is in it for us afterwards. */
async function cachedIn(t: Scope, folder: string): Promise<readonly string[]> {
  await runWith(t, folder);
  return readdirSync(join(folder, 'gatewright'), { recursive: true, encoding: 'utf8' });
}

test('compiled code is kept in a folder that only its owner has', async (t) => {
  const folder = await folderWith(t);
  assert.notEqual((await cachedIn(t, folder)).length, 0);
  assert.equal(statSync(join(folder, 'gatewright')).mode & 0o777, 0o700);
});

test('nothing is run from, or put into, a folder that others can write to', async (t) => {
  const folder = await folderWith(t);
  mkdirSync(join(folder, 'gatewright'));
  chmodSync(join(folder, 'gatewright'), 0o777);
  assert.deepEqual(await cachedIn(t, folder), []);
  chmodSync(join(folder, 'gatewright'), 0o1777);
  assert.deepEqual(await cachedIn(t, folder), []);
});

test('nor where others can put another folder in its place, a symbolic link to it included', async (t) => {
  const folder = await folderWith(t);
  mkdirSync(join(folder, 'open/gatewright'), { recursive: true });
  chmodSync(join(folder, 'open'), 0o777);
  assert.deepEqual(await cachedIn(t, join(folder, 'open')), []);
  symlinkSync('open/gatewright', join(folder, 'gatewright'));
  assert.deepEqual(await cachedIn(t, folder), []);
  // As /tmp is, where everybody keeps what is theirs.
  chmodSync(join(folder, 'open'), 0o1777);
  assert.notEqual((await cachedIn(t, join(folder, 'open'))).length, 0);
});

test('where there can be no cache, commands run without', async (t) => {
  const folder = await folderWith(t, { gatewright: 'a file' });
  await runWith(t, folder);
});
