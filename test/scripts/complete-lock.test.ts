import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type LockedPackages, missingEntries, platformOf } from '../../scripts/complete-lock.ts';

test('the name of a platform package tells its system, processor and C library', () => {
  assert.deepEqual(platformOf('@oxlint/binding-linux-x64-musl'), { os: ['linux'], cpu: ['x64'], libc: ['musl'] });
  assert.deepEqual(platformOf('@oxlint/binding-linux-arm64-gnu'), { os: ['linux'], cpu: ['arm64'], libc: ['glibc'] });
  assert.deepEqual(platformOf('@oxfmt/binding-linux-arm-musleabihf'), { os: ['linux'], cpu: ['arm'], libc: ['musl'] });
  assert.deepEqual(platformOf('@oxfmt/binding-win32-x64-msvc'), { os: ['win32'], cpu: ['x64'] });
  assert.deepEqual(platformOf('@oxlint-tsgolint/darwin-arm64'), { os: ['darwin'], cpu: ['arm64'] });
});

test('only the optional dependencies that the lock lacks are added, with the version their parent names', () => {
  const packages: LockedPackages = {
    'node_modules/tool': {
      version: '2.0.0',
      dev: true,
      optionalDependencies: { 't-linux-x64': '2.0.0', 't-win32-x64': '2.0.0' },
    },
    'node_modules/t-linux-x64': { version: '2.0.0' },
  };
  assert.deepEqual(missingEntries(packages), {
    'node_modules/t-win32-x64': { version: '2.0.0', dev: true, optional: true, os: ['win32'], cpu: ['x64'] },
  });
});

test('an optional dependency without an exact version is refused, because nobody could lock it', () => {
  const packages: LockedPackages = { 'node_modules/tool': { optionalDependencies: { 't-linux-x64': '^2.0.0' } } };
  assert.throws(() => missingEntries(packages), /t-linux-x64.*exact/);
});

test('the lock of this repository is complete and names no registry', () => {
  const text = readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8');
  const lock = JSON.parse(text) as { packages: LockedPackages };
  assert.deepEqual(missingEntries(lock.packages), {});
  assert.doesNotMatch(text, /"resolved":/);
});
