/** Keys of consumers from the command line to a request, on a gateway that runs. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { isApiKey } from '../../src/consumers/new-api-key.ts';
import { eventually } from '../support/changes.ts';
import { Command, folderWith } from '../support/command.ts';
import { runHere } from '../support/run-here.ts';

const token = 'a-token-of-the-operator';
const env = { GATEWRIGHT_ADMIN_TOKEN: token };
const routes = { all: { policies: [{ apiKey: {} }], respond: { body: 'hello' } } };
const config = {
  admin: { port: 0, token: '${env:GATEWRIGHT_ADMIN_TOKEN}' },
  threads: 2,
  consumerSources: { files: './consumers.yaml', database: './consumers.db' },
  routes,
};

interface NewKey {
  readonly key: string;
  readonly hash: string;
}

async function newKey(args: readonly string[]): Promise<NewKey> {
  const made = await runHere(['keys', 'new', ...args, '--format', 'json'], { env });
  assert.equal(made.exitCode, 0, made.stderr);
  return JSON.parse(made.stdout) as NewKey;
}

async function api(gateway: Command, method: string, path: string, body?: object) {
  const response = await fetch(`${gateway.admin}/api/v1/consumers${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      connection: 'close',
      ...(body && { 'content-type': 'application/json' }),
    },
    ...(body && { body: JSON.stringify(body) }),
  });
  return { status: response.status, json: (await response.json()) as Record<string, never> };
}

/** What requests with this key are answered, by both threads most likely: each has a connection of its own. */
async function statuses(gateway: Command, key: string): Promise<number[]> {
  const all = await Promise.all(
    Array.from({ length: 12 }, async () => {
      const response = await fetch(gateway.url(), { headers: { 'x-api-key': key, connection: 'close' } });
      await response.arrayBuffer();
      return response.status;
    }),
  );
  return [...new Set(all)];
}

describe('a new key', () => {
  it('is shown once, with the hash for the configuration', async (t) => {
    const { key, hash } = await newKey(['mobile-app']);
    assert.ok(isApiKey(key), key);
    assert.equal(hash, `sha256:${createHash('sha256').update(key).digest('hex')}`);
    const text = await Command.run(t, [
      'keys',
      'new',
      'mobile-app',
      '--label',
      'my "laptop"',
      '--expires',
      '2099-12-31',
    ]);
    const [, shownKey, shownHash] = /^key {3}(gwk_\w+)\nhash {2}(sha256:[0-9a-f]{64})\n$/.exec(text.stdout) ?? [];
    assert.ok(isApiKey(shownKey));
    const folder = await folderWith(t);
    const yaml = text.stderr.slice(text.stderr.indexOf('consumers:'));
    writeFileSync(join(folder, 'gateway.yaml'), `routes: {r: {respond: {}}}\n${yaml}`);
    const checked = await runHere(['check'], { cwd: folder });
    assert.equal(checked.exitCode, 0, 'what it says can be pasted');
    assert.ok(yaml.includes(shownHash) && !yaml.includes(shownKey));
  });

  it('is refused for names, days and labels that cannot be, and for a day that is over', async () => {
    for (const args of [
      ['a b'],
      ['a', '--expires', '2027-02-30'],
      ['a', '--expires', '2020-01-01'],
      ['a', '--label', 'x\ny'],
      [],
      ['a', 'b'],
    ]) {
      const { exitCode, stdout, stderr } = await runHere(['keys', 'new', ...args]);
      assert.deepEqual([exitCode, stdout], [2, ''], args.join(' '));
      assert.match(stderr, /^[^\n]+\n$/);
    }
  });
});

describe('consumers of a gateway that runs', () => {
  it('come and go by the admin API, for all threads at once and beyond a restart', async (t) => {
    const folder = await folderWith(t, { 'consumers.yaml': '' });
    const gateway = await Command.serve(t, config, { env, cwd: folder });
    const unknown = await runHere(['keys', 'new', 'shop', '--admin', gateway.admin], { env });
    assert.deepEqual([unknown.exitCode, unknown.stdout], [1, '']);
    assert.match(unknown.stderr, /does not keep a key of shop: There is no consumer of this name\.\n$/);

    assert.equal((await api(gateway, 'PUT', '/shop', { groups: ['gold'] })).status, 200);
    const first = await newKey(['shop', '--label', 'one', '--admin', gateway.admin]);
    assert.deepEqual(await statuses(gateway, first.key), [200]);
    const second = (await api(gateway, 'POST', '/shop/keys', { label: 'two' })).json as unknown as NewKey & {
      id: string;
    };
    assert.deepEqual(await statuses(gateway, second.key), [200]);
    assert.equal((await api(gateway, 'DELETE', `/shop/keys/${second.id}`)).status, 200);
    assert.deepEqual(await statuses(gateway, second.key), [401]);
    assert.deepEqual(await statuses(gateway, first.key), [200]);
    assert.equal(statSync(join(folder, 'consumers.db')).mode & 0o077, 0, 'nobody else reads it');

    gateway.kill('SIGTERM');
    await gateway.untilExit();
    assert.equal(gateway.exitCode, 0);
    for (const part of ['', '-wal', '-shm']) {
      let bytes = '';
      try {
        bytes = readFileSync(join(folder, `consumers.db${part}`), 'latin1');
      } catch {
        continue;
      }
      assert.ok(!bytes.includes(first.key) && !bytes.includes(second.key), 'no key is kept');
    }

    const again = await Command.serve(t, config, { env, cwd: folder });
    const { consumer } = (await api(again, 'GET', '/shop')).json as unknown as {
      consumer: { apiKeys: { id: string; label: string; lastUsedAt: number | null }[]; source: string };
    };
    assert.deepEqual(
      [consumer.source, consumer.apiKeys.map(({ id, label }) => [id, label])],
      ['database', [[first.hash.slice(7, 19), 'one']]],
    );
    assert.ok((consumer.apiKeys[0].lastUsedAt ?? 0) > Date.now() - 60_000, 'that it was used is known after a restart');
    assert.deepEqual(await statuses(again, first.key), [200]);
    assert.equal((await api(again, 'DELETE', '/shop')).status, 200);
    assert.deepEqual(await statuses(again, first.key), [401]);
    assert.ok(!again.stderr.includes(first.key) && !again.stderr.includes(first.hash), 'nor is it in the log');
  });

  it('are followed in their files, which the admin API leaves alone', async (t) => {
    const { key, hash } = await newKey(['partner']);
    const folder = await folderWith(t, { 'consumers.yaml': '' });
    const gateway = await Command.serve(t, config, { env, cwd: folder });
    assert.deepEqual(await statuses(gateway, key), [401]);
    writeFileSync(join(folder, 'consumers.yaml'), `partner: {apiKeys: [{hash: "${hash}"}]}\n`);
    await gateway.logged('the configuration was changed');
    assert.deepEqual(await statuses(gateway, key), [200]);
    for (const [method, path, body] of [
      ['PUT', '/partner', {}],
      ['DELETE', '/partner', undefined],
      ['POST', '/partner/keys', {}],
      ['DELETE', `/partner/keys/${hash.slice(7, 19)}`, undefined],
    ] as const) {
      const { status, json } = await api(gateway, method, path, body);
      assert.deepEqual([status, json['code']], [409, 'CONSUMER_CONFLICT'], `${method} ${path}`);
      assert.match(json['detail'], /stands in the configuration or a file/);
    }
    assert.deepEqual(await statuses(gateway, key), [200]);
    // The same key at another consumer, in the file and in the database, is refused either way.
    assert.equal((await api(gateway, 'PUT', '/other', {})).status, 200);
    assert.equal((await api(gateway, 'POST', '/other/keys', { hash })).status, 409);
    writeFileSync(join(folder, 'consumers.yaml'), `partner: {apiKeys: [{hash: "${hash}"}]}\nother: {}\n`);
    await gateway.logged('the configuration was refused; what served before serves on');
    const { problem } = await gateway.logged('the configuration has a problem');
    assert.match(String(problem), /the consumer other is in the database \S+consumers\.db as well/);
    writeFileSync(join(folder, 'consumers.yaml'), '');
    // Not 401 for ever: who fails again and again is refused otherwise.
    await eventually(async () => !(await statuses(gateway, key)).includes(200), 'the key to be accepted no more');
  });

  it('keep a gateway from starting whose database cannot be used', async (t) => {
    const folder = await folderWith(t, {
      'consumers.yaml': '',
      'consumers.db': 'this is not a database, is it? '.repeat(100),
    });
    writeFileSync(join(folder, 'gateway.json'), JSON.stringify(config));
    const command = await Command.run(t, ['run', 'gateway.json'], { env, cwd: folder });
    assert.equal(command.exitCode, 1);
    assert.match(command.stderr, /the database of consumers \S+consumers\.db is not a database/);
  });
});
