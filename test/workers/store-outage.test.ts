/** What the log of a process with several threads says of a store that does not answer. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { eventually } from '../support/changes.ts';
import { Command, folderWith } from '../support/command.ts';
import { unlessInstalled } from '../support/needed-programs.ts';
import { RedisServer } from '../support/redis-server.ts';
import { ask, toldPolicy } from '../support/threaded.ts';

suite('an outage of a store', { skip: unlessInstalled('redis-server') }, () => {
  test('is told once by all threads together, and its end as well', { timeout: 120_000 }, async (t) => {
    const redis = await RedisServer.start(t);
    const cwd = await folderWith(t, { 'told.ts': toldPolicy() });
    const limit = { rateLimit: { rate: '1000/1h', by: 'route', store: 'shared' } };
    const gateway = await Command.serve(
      t,
      {
        threads: 2,
        stores: { shared: { type: 'redis', url: redis.url, timeout: '2s' } },
        routes: { all: { policies: [{ use: './told.ts' }, limit], respond: {} } },
      },
      { cwd },
    );
    const told = (): string[] =>
      gateway.log.filter(({ store }) => store === 'shared').map(({ msg }) => msg.replace(/:.*/, ''));
    const [begins, ends] = ['the store cannot be reached', 'the store answers again'];
    const { hostname: host, port } = new URL(gateway.url());
    const address = { host, port: Number(port) };

    await redis.kill();
    await eventually(() => told().length > 0, 'the outage to be told');
    await redis.restart();
    // By then all threads have it behind them.
    await gateway.logged(ends);
    assert.deepEqual(told(), [begins, ends]);

    const seen = gateway.log.length;
    await redis.kill();
    await eventually(() => told().length > 2, 'the next one to be told');
    await ask(address, 'x-do: exit\r\n');
    await gateway.logged('a serving thread was replaced', seen);
    await redis.restart();
    await gateway.logged(ends, seen);
    assert.deepEqual(told(), [begins, ends, begins, ends]);
    assert.equal((await ask(address)).status, 200);
  });
});
