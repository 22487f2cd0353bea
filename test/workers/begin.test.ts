/** How a gateway on several threads begins: what a thread loads, and who waits for whom. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { eventually } from '../support/changes.ts';
import { freePort } from '../support/free-port.ts';
import { type Answer, ask, TestThreads, toldConfig, toldPolicy } from '../support/threaded.ts';

/** Whoever comes second waits for the file `go`. */
const patient = `if (serves) {
  const { writeFileSync, existsSync } = process.getBuiltinModule('node:fs');
  try {
    writeFileSync(import.meta.dirname + '/first', '', { flag: 'wx' });
  } catch {
    while (!existsSync(import.meta.dirname + '/go')) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
  }
}`;

describe('a gateway that begins', () => {
  it('serves on its first thread while the others are not ready, and is complete when they are', async (t) => {
    const port = await freePort();
    const config = toldConfig({ threads: 2, listeners: { web: { host: '127.0.0.1', port } } });
    const files = { 'told.mjs': toldPolicy('1', { inCreate: patient }) };
    const threads = await TestThreads.create(t, config, { files });
    let hasStarted = false;
    const started = threads.gateway.start().then(() => (hasStarted = true));
    let answer: Answer | null = null;
    await eventually(async () => {
      answer = await ask({ host: '127.0.0.1', port });
      return answer.status === 200;
    }, 'the first thread to serve');
    assert.equal(hasStarted, false);
    assert.equal(threads.gateway.isComplete, false);
    writeFileSync(join(threads.folder, 'go'), '');
    await started;
    assert.equal(threads.gateway.isComplete, true);
  });

  it('does not begin when one of its threads cannot, and then nobody listens', async (t) => {
    const port = await freePort();
    const config = toldConfig({ threads: 2, listeners: { web: { host: '127.0.0.1', port } } });
    const failing = patient.replace(/while .*/, "throw new Error('not twice');");
    const files = { 'told.mjs': toldPolicy('1', { inCreate: failing }) };
    const threads = await TestThreads.create(t, config, { files });
    await assert.rejects(threads.gateway.start(), /not twice/);
    await threads.gateway.stop(0);
    assert.equal((await ask({ host: '127.0.0.1', port })).status, 0);
  });
});

describe('a serving thread', () => {
  it('loads no library, and nothing of Node that takes long, for a configuration that has no need of them', async () => {
    const script = `
      import { registerHooks } from 'node:module';
      const urls = [];
      registerHooks({ load(url, context, next) { urls.push(url); return next(url, context); } });
      await import('./src/workers/serve.ts');
      console.log(JSON.stringify(urls));
      process.exit();`;
    const root = join(import.meta.dirname, '../..');
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
      cwd: root,
    });
    const urls = JSON.parse(stdout) as string[];
    assert.ok(urls.some((url) => url.endsWith('/src/proxy/forward.ts')));
    const heavy =
      /node_modules|^node:(?:http|https|http2|zlib|child_process|inspector)$|\/src\/policies\/(?!index\.ts)/;
    assert.deepEqual(
      urls.filter((url) => heavy.test(url)),
      [],
    );
  });
});
