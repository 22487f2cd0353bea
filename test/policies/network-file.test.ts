/** Files of networks that `ipFilter` reads, and reads again. */
import assert from 'node:assert/strict';
import { rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, suite, test } from 'node:test';
import type { Policy } from '../../src/contract.ts';
import { ipFilter } from '../../src/policies/ip-filter.ts';
import { folderWith } from '../support/command.ts';
import { FakeEnv, FakeExchange, makePolicy } from '../support/fake-exchange.ts';

class Env extends FakeEnv {
  override readonly baseDir: string;

  constructor(baseDir: string) {
    super();
    this.baseDir = baseDir;
    this.epochMs = Date.now();
  }

  /** Never over, unless the test says so. */
  override wait(): Promise<void> {
    return new Promise(() => {});
  }
}

async function start(t: TestContext, text: string, options: object = { deny: [{ file: './list.txt' }] }) {
  const folder = await folderWith(t, { 'list.txt': text });
  const env = new Env(folder);
  const policy = await makePolicy(ipFilter, options, env);
  let written = 0;
  const write = async (changed: string): Promise<void> => {
    const path = join(folder, 'list.txt');
    await writeFile(path, changed);
    // As if it were written a while after the one before; and a while before now, so that it is complete.
    const seconds = (env.epochMs + env.nowMs) / 1000 - 100 + ++written;
    await utimes(path, seconds, seconds);
  };
  return { folder, env, policy, write };
}

/** Whether a client passes, once whatever is looked at was. */
async function passes(policy: Policy, clientIp: string): Promise<boolean> {
  return (await policy.onRequest!(new FakeExchange({ clientIp }))) === undefined;
}

/** Time for whoever looks to have seen everything there is: nobody has for an hour. */
async function passesLater(policy: Policy, env: Env, clientIp: string): Promise<boolean> {
  env.nowMs += 3_600_000;
  return passes(policy, clientIp);
}

const open = (t: TestContext, text: string): Promise<unknown> => start(t, text);

suite('a file of networks', () => {
  test('has an address or a CIDR block a line, and comments', async (t) => {
    const text = '\uFEFF# networks\r\n\r\n10.0.0.0/8\r\n  192.0.2.1  # one\n2001:db8::/32;ripe\n; no more\n::1';
    const { policy } = await start(t, text);
    for (const denied of ['10.9.8.7', '192.0.2.1', '2001:db8::7', '::1']) {
      assert.equal(await passes(policy, denied), false);
    }
    for (const passing of ['11.0.0.1', '192.0.2.2', '2001:db9::1']) assert.equal(await passes(policy, passing), true);
  });

  test('stands beside others and what is written in place, in either list', async (t) => {
    const folder = await folderWith(t, { 'a.txt': '10.0.0.0/8', 'b.txt': '192.0.2.0/24', 'bad.txt': '10.1.0.0/16' });
    const options = {
      allow: [{ file: 'a.txt' }, '127.0.0.1', { file: './b.txt' }],
      deny: [{ file: 'bad.txt' }, '192.0.2.9'],
    };
    const policy = await makePolicy(ipFilter, options, new Env(folder));
    const who = ['10.0.0.1', '127.0.0.1', '192.0.2.1', '10.1.0.1', '192.0.2.9', '203.0.113.1'];
    assert.deepEqual(await Promise.all(who.map((ip) => passes(policy, ip))), [true, true, true, false, false, false]);
  });

  test('is refused with the lines that are wrong', async (t) => {
    const wrong = (line: string, why: string) =>
      assert.rejects(open(t, `10.0.0.0/8\n\n${line}\n1.2.3.4\n`), ({ message }: Error) => {
        assert.ok(message.includes(`list.txt:3: ${why}`), message);
        return true;
      });
    await wrong('nonsense', 'not an IP address or CIDR block: "nonsense"');
    await wrong('10.0.0.0/33', 'not a CIDR prefix length: "10.0.0.0/33"');
    await wrong('10.0.0.1 10.0.0.2', 'not an IP address or CIDR block: "10.0.0.1 10.0.0.2"');
    await wrong('0010.0.0.1', 'not an IP address');
    await wrong('<html>', 'not an IP address');
    await wrong('\0\0\0', 'not an IP address');
    await wrong('1'.repeat(1_000_000), 'not an IP address or CIDR block: 1000000 characters');
    await assert.rejects(open(t, 'a\nb\nc\nd\ne\nf\ng\n'), ({ message }: Error) => message.split('; ').length === 5);
    const env = new Env(await folderWith(t));
    await assert.rejects(makePolicy(ipFilter, { deny: [{ file: './none.txt' }] }, env), /ENOENT/);
    await assert.rejects(makePolicy(ipFilter, { deny: [{ file: '.' }] }, env), /is not a file/);
    await assert.rejects(makePolicy(ipFilter, { deny: [{ file: '/dev/zero' }] }, env), /is not a file/);
  });

  test('is read again when it changes, and nobody waits for that who comes while others do', async (t) => {
    const { policy, env, write } = await start(t, '10.0.0.1');
    await write('10.0.0.2');
    env.nowMs += 999;
    assert.equal(await passes(policy, '10.0.0.1'), false, 'nobody has looked yet');
    env.nowMs += 1;
    const answer = policy.onRequest!(new FakeExchange({ clientIp: '10.0.0.2' }));
    assert.equal(answer, undefined, 'at once, by what was known');
    assert.equal(await passesLater(policy, env, '10.0.0.2'), false);
    assert.equal(await passes(policy, '10.0.0.1'), true);
  });

  test('that is being written is not read before it stands still', async (t) => {
    const { policy, env, folder } = await start(t, '10.0.0.1');
    const path = join(folder, 'list.txt');
    await writeFile(path, '10.0.0.2\n10.0');
    // Written just now, as far as the clock of the gateway goes.
    const seconds = (env.epochMs + 3_600_000) / 1000;
    await utimes(path, seconds, seconds);
    assert.equal(await passesLater(policy, env, '10.0.0.1'), false, 'not yet');
    await writeFile(path, '10.0.0.2\n10.0.0.3');
    await utimes(path, seconds, seconds);
    assert.equal(await passesLater(policy, env, '10.0.0.3'), false);
    assert.equal(await passes(policy, '10.0.0.1'), true);
    assert.deepEqual(env.warnings, []);
  });

  test('that is bad, or gone, leaves what was known before, and the log says so once', async (t) => {
    const { policy, env, write, folder } = await start(t, '10.0.0.1');
    await write('10.0.0.2\nno network\n');
    for (let n = 0; n < 3; n++) assert.equal(await passesLater(policy, env, '10.0.0.1'), false);
    assert.equal(await passes(policy, '10.0.0.2'), true);
    assert.equal(env.warnings.length, 1);
    assert.match(
      env.warnings[0],
      /^the networks that were known before count: .*list\.txt:2: not an IP address .*"no network"$/,
    );
    await rm(join(folder, 'list.txt'));
    for (let n = 0; n < 3; n++) assert.equal(await passesLater(policy, env, '10.0.0.1'), false);
    assert.equal(env.warnings.length, 2);
    // A reload does not take it for good because it was read before.
    await assert.rejects(makePolicy(ipFilter, { deny: [{ file: './list.txt' }] }, env), /ENOENT/);
    await write('10.0.0.3');
    assert.equal(await passesLater(policy, env, '10.0.0.3'), false);
    assert.equal(await passes(policy, '10.0.0.1'), true);
    await write('worse');
    await assert.rejects(makePolicy(ipFilter, { deny: [{ file: './list.txt' }] }, env), /list\.txt:1: /);
    assert.equal(await passesLater(policy, env, '10.0.0.3'), false);
  });

  test('is read once for all routes of a thread', async (t) => {
    const { env, policy } = await start(t, '10.0.0.1');
    const others = await Promise.all(
      Array.from({ length: 1000 }, () => makePolicy(ipFilter, { deny: [{ file: './list.txt' }] }, env)),
    );
    for (const other of [policy, ...others]) assert.equal(await passes(other, '10.0.0.1'), false);
  });

  test('may have a hundred thousand lines', async (t) => {
    const address = (n: number): string => `${1 + (n % 223)}.${(n * 7) % 256}.${(n >> 8) % 256}.${n % 256}`;
    const lines = Array.from({ length: 100_000 }, (_, n) =>
      n % 10 === 0 ? `2001:${(n % 65_536).toString(16)}::/32` : address(n),
    );
    const { policy } = await start(t, lines.join('\n'));
    for (let n = 0; n < lines.length; n += 97) {
      const ip = lines[n].includes('/') ? lines[n].replace('/32', '1') : lines[n];
      assert.equal(await passes(policy, ip), false, ip);
    }
    assert.equal(await passes(policy, '240.0.0.1'), true);
  });
});
