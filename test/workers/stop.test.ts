/** A gateway on several threads that is stopped in the middle of something. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '../support/changes.ts';
import { ask, TestThreads, toldConfig, toldPolicy } from '../support/threaded.ts';

describe('a gateway that is stopped', () => {
  it('ends while a change is being made, and the change is refused', async (t) => {
    const threads = await TestThreads.start(t, toldConfig());
    await threads.write('told.mjs', toldPolicy('2'));
    const change = threads.apply(toldConfig());
    change.catch(() => {});
    await Promise.all([threads.gateway.stop(1_000), change.catch(() => {})]);
    await assert.rejects(threads.apply(toldConfig()), /the gateway was stopped/);
  });

  it('ends while a thread is being replaced', async (t) => {
    const threads = await TestThreads.start(t, toldConfig({ threads: 1 }));
    await ask(threads.address(), 'x-do: exit\r\n');
    await threads.logged('a serving thread died and is replaced');
    await threads.gateway.stop(1_000);
    assert.equal(threads.gateway.isComplete, false);
    assert.ok(!threads.log.some(({ message }) => message === 'a serving thread cannot begin'));
  });

  it('ends although a thread hangs, after its grace', async (t) => {
    const threads = await TestThreads.start(t, toldConfig({ threads: 1 }), { hangLimitMs: 60_000 });
    const hanging = ask(threads.address(), 'x-do: hang\r\n');
    await eventually(async () => (await threads.gateway.status()).threads[0].state === 'silent', 'the thread to hang');
    await threads.gateway.stop(0);
    assert.equal((await hanging).status, 0);
  });
});
