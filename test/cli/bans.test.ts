/** `gatewright bans`, on a gateway that runs. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Command } from '../support/command.ts';
import { type CommandOutcome, runHere } from '../support/run-here.ts';
import { RawClient } from '../support/raw-client.ts';

const token = 'a-token-of-the-operator';
const env = { GATEWRIGHT_ADMIN_TOKEN: token };
const config = {
  admin: { port: 0, token: '${env:GATEWRIGHT_ADMIN_TOKEN}' },
  threads: 2,
  routes: { all: { policies: [{ ban: { after: 3, for: '2h' } }, 'apiKey'], respond: { body: 'hello' } } },
};

describe('gatewright bans', () => {
  it('shows who is banned by policies, bans others and lifts bans', async (t) => {
    const gateway = await Command.serve(t, config, { env });
    const bans = (...args: string[]) => runHere(['bans', ...args, '--admin', gateway.admin], { env });
    const { hostname: host, port } = new URL(gateway.url());
    const ask = async (localAddress: string): Promise<number> => {
      const client = await RawClient.connect(t, { host, port: Number(port), localAddress });
      const { status } = await client.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n').response();
      return status;
    };

    assert.equal((await bans('list')).stdout, 'nobody is banned\n');
    for (let n = 0; n < 3; n++) assert.equal(await ask('127.0.0.2'), 401);
    assert.equal(await ask('127.0.0.2'), 403);
    const added = await bans('add', '127.0.0.8/29', '--for', '1h', '--reason', 'a test');
    assert.match(added.stdout, /^127\.0\.0\.8\/29 is banned until \d{4}-\d\d-\d\dT[\d:.]+Z\n$/);
    assert.equal(await ask('127.0.0.9'), 403);
    const { stdout } = await bans('list');
    const rows = stdout.split('\n').map((line) => line.split(/ {2,}/));
    assert.deepEqual(
      rows.map(([network, , by, reason]) => [network, by, reason]),
      [
        ['network', 'by', 'reason'],
        ['127.0.0.2', 'a ban on route all', '3 times 401, 403 within 1m'],
        ['127.0.0.8/29', 'admin API', 'a test'],
        ['', undefined, undefined],
      ],
    );
    const one = await Command.run(t, ['bans', 'list', '127.0.0.10', '--admin', gateway.admin], { env });
    assert.match(one.stdout, /\n127\.0\.0\.8\/29 /);
    assert.equal((await bans('remove', '127.0.0.8/29')).stdout, '127.0.0.8/29 is not banned any more\n');
    assert.equal((await bans('remove', '127.0.0.2')).exitCode, 0);
    assert.equal(await ask('127.0.0.9'), 401);
    assert.equal(await ask('127.0.0.2'), 401);
    assert.equal(await ask('127.0.0.2'), 403, 'the ban is over, what was counted is not: one more was too much');
    await gateway.logged('a ban was changed');
    const shown = await runHere(['status', '--admin', gateway.admin], { env });
    assert.match(shown.stdout, /\nbans: \d by policies; 0 requests and \d connections refused\n/);
  });

  it('says in one line what is wrong', async (t) => {
    const gateway = await Command.serve(t, config, { env });
    const bans = (...args: string[]) => runHere(['bans', ...args, '--admin', gateway.admin], { env });
    const outcome = ({ exitCode, stderr }: CommandOutcome): unknown[] => [exitCode, stderr];
    assert.deepEqual(outcome(await bans('add', 'nobody', '--for', '1h')), [1, 'address: write an IP address\n']);
    assert.match((await bans('add', '192.0.2.1', '--for', 'ever')).stderr, /^for: .*duration.*\n$/);
    assert.match((await bans('remove', '192.0.2.1')).stderr, /^Exactly 192\.0\.2\.1 is not banned; .*\n$/);
    assert.equal((await bans('add', '192.0.2.1')).exitCode, 2);
    assert.equal((await runHere(['bans', 'list', '--admin', 'http://127.0.0.1:1'], { env })).exitCode, 3);
  });
});
