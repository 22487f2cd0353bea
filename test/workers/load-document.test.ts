/** How a process that serves reads its configuration: code in it may do what it wants, and harms nobody. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { digestOf, loadDocument } from '../../src/workers/load-document.ts';
import { folderWith } from '../support/command.ts';
import type { Scope } from '../support/scope.ts';
import { toldPolicy } from '../support/threaded.ts';

async function load(t: Scope, files: Readonly<Record<string, string>>, policies: readonly string[], limitMs?: number) {
  const uses = policies.map((use) => ({ use }));
  const gateway = JSON.stringify({ routes: { r: { policies: uses, respond: {} } } });
  const folder = await folderWith(t, { 'gateway.json': gateway, ...files });
  const file = join(folder, 'gateway.json');
  const options = limitMs === undefined ? {} : { importLimitMs: limitMs };
  return { folder, file, loaded: await loadDocument({ file, env: {} }, options) };
}

describe('code that comes with a configuration', () => {
  it('is given up when it never finishes loading, and its file is watched', async (t) => {
    const files = { 'good.ts': toldPolicy(), 'endless.ts': 'for (;;);\n' };
    for (const order of [
      ['./good.ts', './endless.ts'],
      ['./endless.ts', './good.ts'],
    ]) {
      const { folder, loaded } = await load(t, files, order, 1_000);
      assert.equal(loaded.config, null);
      const [{ code, message }] = loaded.problems;
      assert.equal(code, 'MODULE');
      assert.match(message, /endless\.ts: it has not finished loading after 1 s|good\.ts: it has not finished/);
      assert.ok(loaded.files.includes(join(folder, 'endless.ts')));
    }
  });

  it('is given up when its policies never get made', async (t) => {
    const files = { 'endless.ts': toldPolicy('1', { inCreate: 'for (;;);' }) };
    const { loaded } = await load(t, files, ['./endless.ts'], 1_000);
    assert.equal(loaded.config, null);
    assert.match(loaded.problems[0].message, /endless\.ts: it has not finished loading after 1 s/);
  });

  it('cannot end the process, nor keep it waiting for what nobody promises', async (t) => {
    const ends = await load(t, { 'p.ts': 'process.exit(7);\n' }, ['./p.ts']);
    assert.match(ends.loaded.problems[0].message, /p\.ts: it ended with code 7 while it was loaded/);
    const waits = await load(t, { 'p.ts': 'await new Promise(() => {});\n' }, ['./p.ts']);
    assert.equal(waits.loaded.config, null);
    assert.match(waits.loaded.problems[0].message, /p\.ts: it waits for what never comes while it was loaded/);
  });

  it('is what the digest of the code is about, the files that it imports included', async (t) => {
    const files = {
      'p.ts': `import './inner.ts';\n${toldPolicy()}`,
      'inner.ts': 'export const one = 1;\n',
      'other.txt': 'x',
    };
    const { folder, file, loaded } = await load(t, files, ['./p.ts']);
    assert.notEqual(loaded.config, null);
    for (const name of ['gateway.json', 'p.ts', 'inner.ts']) assert.ok(loaded.files.includes(join(folder, name)), name);
    assert.equal(digestOf(loaded.files), loaded.digest);
    writeFileSync(join(folder, 'inner.ts'), 'export const one = 2;\n');
    assert.notEqual(digestOf(loaded.files), loaded.digest);
    const again = await loadDocument({ file, env: {} });
    assert.notEqual(again.codeDigest, loaded.codeDigest);
    writeFileSync(file, JSON.stringify({ routes: { r: { policies: [{ use: './p.ts' }], respond: { status: 201 } } } }));
    const changed = await loadDocument({ file, env: {} });
    assert.equal(changed.codeDigest, again.codeDigest, 'its code is the same');
    assert.notEqual(changed.digest, again.digest);
  });
});

describe('the digest of a document', () => {
  it('is that of what was read, not of what was there later', async (t) => {
    const folder = await folderWith(t, { 'gateway.json': '{"routes": {"r": {"respond": {}}}}' });
    const file = join(folder, 'gateway.json');
    const reading = loadDocument({ file, env: {} });
    writeFileSync(file, '{"routes": {"r": {"respond": {"status": 201}}}}');
    const { digest, files, config } = await reading;
    assert.equal(config!.routes['r'].respond!.status === 201, digestOf(files) === digest);
  });

  it('changes when a file that is named comes or goes, and with what is served instead of the file', async (t) => {
    const text = '{"routes": {"r": {"respond": {"body": "${file:./body.txt}"}}}}';
    const folder = await folderWith(t, { 'gateway.json': text });
    const file = join(folder, 'gateway.json');
    const missing = await loadDocument({ file, env: {} });
    assert.equal(missing.config, null);
    writeFileSync(join(folder, 'body.txt'), 'b');
    const there = await loadDocument({ file, env: {} });
    assert.notEqual(there.digest, missing.digest);
    const replaced = await loadDocument({ file, env: {}, replacement: { text: `${text} `, format: 'json' } });
    assert.notEqual(replaced.digest, there.digest);
    assert.equal((await loadDocument({ file, env: {}, replacement: { text, format: 'json' } })).digest, there.digest);
    rmSync(file);
    const gone = await loadDocument({ file, env: {} });
    assert.deepEqual(gone.files, [file]);
    assert.equal(digestOf(gone.files), gone.digest);
  });
});
