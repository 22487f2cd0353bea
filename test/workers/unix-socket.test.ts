/** Unix sockets of a gateway on several threads: one of them serves, whoever it is at the moment. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, describe, it } from 'node:test';
import { RawClient } from '../support/raw-client.ts';
import { ask, TestThreads, toldConfig, toldPolicy } from '../support/threaded.ts';

const get = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';

describe('a Unix socket of several threads', () => {
  const at = (folder: string): string => join(folder, 'gw.sock');

  async function start(t: TestContext): Promise<{ threads: TestThreads; config: ReturnType<typeof toldConfig> }> {
    const threads = await TestThreads.create(t, toldConfig());
    const config = toldConfig({ listeners: { web: { unix: at(threads.folder) } } });
    const withSocket = await TestThreads.start(t, config);
    return { threads: withSocket, config };
  }

  it('is served by one of them, stays through replacements, and is removed in the end', async (t) => {
    const { threads, config } = await start(t);
    const { path } = threads.address() as { path: string };
    assert.equal((await ask({ path })).status, 200);
    const kept = await RawClient.connect(t, { path });
    assert.equal((await kept.write(get).response()).status, 200);

    await threads.write('told.mjs', toldPolicy('2'));
    await threads.apply(config);
    assert.equal((await ask({ path })).version, '2');
    assert.equal((await kept.write(get).response()).status, 200, 'the old thread finishes what was open');

    await ask({ path }, 'x-do: exit\r\n');
    await threads.logged('a serving thread was replaced');
    assert.equal((await ask({ path })).version, '2');

    await threads.gateway.stop(0);
    assert.deepEqual(
      readdirSync(join(path, '..')).filter((name) => name.includes('.sock')),
      [],
    );
  });

  it('stays where it is when the threads that were to take over are refused', async (t) => {
    const { threads, config } = await start(t);
    await threads.write(
      'told.mjs',
      toldPolicy('2', {
        atTopLevel: "import { existsSync, writeFileSync } from 'node:fs';",
        // The thread that gets there first is made, the other is not.
        inCreate: `const made = ${JSON.stringify(join(threads.folder, 'made'))};
    if (serves && existsSync(made)) throw new Error('not twice');
    if (serves) writeFileSync(made, '');`,
      }),
    );
    await assert.rejects(threads.apply(config), /not twice/);
    assert.equal((await ask(threads.address())).version, '1');
  });

  it('replaces one that nobody listens on any longer, but neither a live one nor a file', async (t) => {
    const { threads } = await start(t);
    const { path } = threads.address() as { path: string };
    const other = await TestThreads.create(t, toldConfig({ listeners: { web: { unix: path } } }));
    await assert.rejects(other.gateway.start(), new RegExp(`cannot listen on unix:${path}: the address is in use`));
    assert.equal((await ask({ path })).status, 200);

    const file = `${path}.txt`;
    writeFileSync(file, 'mine');
    const third = await TestThreads.create(t, toldConfig({ listeners: { web: { unix: file } } }));
    await assert.rejects(third.gateway.start(), /the address is in use/);
    assert.ok(existsSync(file));
  });
});
