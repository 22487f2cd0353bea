import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { Command } from '../support/command.ts';
import { root } from './running-example.ts';

/** The examples that have a configuration. */
function examples(): string[] {
  return readdirSync(join(root, 'examples'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .filter((name) =>
      readdirSync(join(root, 'examples', name)).some((file) => /^gateway\.(yaml|config\.ts)$/.test(file)),
    );
}

it('every example has tests of its configuration, and they pass', async (t) => {
  const { stdout, stderr, exitCode } = await Command.run(t, ['test', 'examples'], { cwd: root });
  assert.equal(exitCode, 0, `${stdout}${stderr}`);
  const names = examples();
  assert.ok(names.length >= 5);
  for (const name of names) assert.match(stdout, new RegExp(`^examples/${name}/gateway\\.test\\.(yaml|ts):`, 'm'));
});
