/** Consumers in the admin API: those of the configuration are told of, those of the database can be changed. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { type TestContext, describe, it } from 'node:test';
import { consumerAnswer, consumersAnswer, keyAnswer, removedAnswer } from '../../src/admin/consumer-schemas.ts';
import { ConsumerBook } from '../../src/admin/consumer-book.ts';
import { ConsumerDatabase } from '../../src/consumers/consumer-database.ts';
import { LastUses } from '../../src/consumers/last-uses.ts';
import { digestOfApiKey, isApiKey } from '../../src/consumers/new-api-key.ts';
import { loadText } from '../config/load-text.ts';
import { folderWith } from '../support/command.ts';
import { AdminApi, holds, json } from './admin-api.ts';

const digest = (character: string): string => character.repeat(64);

async function start(t: TestContext, hasDatabase = true): Promise<AdminApi> {
  const folder = await folderWith(t);
  const database = hasDatabase ? `consumerSources: {database: ${JSON.stringify(join(folder, 'consumers.db'))}}` : '';
  return AdminApi.start(
    t,
    `admin: {token: "\${env:GATEWRIGHT_ADMIN_TOKEN}"}
routes: {r: {respond: {}}}
${database}
consumers:
  mobile:
    groups: [gold]
    apiKeys: [{hash: "sha256:${digest('a')}", label: laptop, expires: 2031-12-31}, {hash: "sha256:${digest('b')}"}]
    basic: {user: mobile-user, password: "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="}
    hmac: {keyId: h1, secret: "\${env:GATEWRIGHT_ADMIN_TOKEN}"}
    jwt: {subject: m}
    certificates: [{san: "DNS:mobile.internal"}]
  partner-1: {}
  partner-2: {}
`,
  );
}

const ask = (api: AdminApi, method: string, path: string, body?: unknown) =>
  api.ask(`/api/v1/consumers${path}`, {
    method,
    ...(body !== undefined && { headers: json, body: JSON.stringify(body) }),
  });

describe('the admin API tells of consumers', () => {
  it('with what they have and when it was last used, and nothing that could be used', async (t) => {
    const api = await start(t);
    api.control.uses.merge([
      { consumer: 'mobile', id: 'a'.repeat(12), usedAt: 1_000.4 },
      { consumer: 'mobile', id: 'keyid:h1', usedAt: 2_000 },
    ]);
    const { consumer } = holds(consumerAnswer, (await ask(api, 'GET', '/mobile')).json);
    assert.deepEqual(consumer, {
      name: 'mobile',
      source: 'configuration',
      groups: ['gold'],
      apiKeys: [
        { id: 'aaaaaaaaaaaa', label: 'laptop', expiresAt: Date.UTC(2032, 0, 1), lastUsedAt: 1_000 },
        { id: 'bbbbbbbbbbbb', label: '', expiresAt: null, lastUsedAt: null },
      ],
      basic: { user: 'mobile-user', lastUsedAt: null },
      hmac: [{ keyId: 'h1', label: '', expiresAt: null, lastUsedAt: 2_000 }],
      signing: [],
      jwt: [{ sub: 'm' }],
      certificates: [{ san: 'DNS:mobile.internal' }],
    });
    for (const path of ['/nobody', '/mobile/x', '/', '/mobile%2F', `/${'x'.repeat(300)}`]) {
      assert.equal(await api.outcome(`/api/v1/consumers${path}`), '404 ADMIN_NOT_FOUND', path);
    }
    assert.equal(await api.outcome('/api/v1/consumers/mobile', { method: 'POST' }), '405 METHOD_NOT_ALLOWED');
  });

  it('a part at a time, by name', async (t) => {
    const api = await start(t);
    await ask(api, 'PUT', '/a-partner', {});
    const page = async (query: string) => {
      const { consumers, ...rest } = holds(consumersAnswer, (await ask(api, 'GET', query)).json);
      return [...Object.values(rest), ...consumers.map(({ name, source }) => `${name} ${source}`)];
    };
    assert.deepEqual(await page('?limit=2&offset=1'), [4, 1, 2, 'mobile configuration', 'partner-1 configuration']);
    assert.deepEqual(await page('?q=PARTNER&limit=2'), [3, 0, 2, 'a-partner database', 'partner-1 configuration']);
    assert.deepEqual(await page('?q=none'), [0, 0, 100]);
  });
});

describe('the admin API changes consumers', () => {
  it('of the database, and tells the gateway what has changed', async (t) => {
    const api = await start(t);
    const pem = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' });
    const body = {
      groups: ['silver'],
      basic: { password: `$2b$10$${'a'.repeat(53)}` },
      signing: [{ keyId: 's', algorithm: 'ed25519', publicKey: pem }],
      jwt: { subject: 'shop' },
      certificates: [{ fingerprint: `sha256:${digest('f')}` }],
    };
    const { consumer } = holds(consumerAnswer, (await ask(api, 'PUT', '/shop', body)).json);
    assert.deepEqual(
      [consumer.source, consumer.groups, consumer.basic?.user, consumer.signing[0].publicKey, consumer.jwt],
      ['database', ['silver'], 'shop', pem, [{ sub: 'shop' }]],
    );
    const made = holds(keyAnswer, (await ask(api, 'POST', '/shop/keys', { label: 'l', expires: '2031-01-31' })).json);
    assert.ok(isApiKey(made.key ?? ''));
    assert.equal(made.hash, `sha256:${digestOfApiKey(made.key!)}`);
    assert.equal(made.expiresAt, Date.UTC(2031, 1, 1));
    const given = holds(keyAnswer, (await ask(api, 'POST', '/shop/keys', { hash: `sha256:${digest('e')}` })).json);
    assert.deepEqual([given.key, given.id], [undefined, 'eeeeeeeeeeee']);

    // Of what nobody can read here nothing needs to be said again.
    const kept = holds(consumerAnswer, (await ask(api, 'PUT', '/shop', { groups: [] })).json).consumer;
    assert.deepEqual(
      [kept.groups, kept.apiKeys.length, kept.basic?.user, kept.signing, kept.jwt],
      [[], 2, 'shop', [], []],
    );
    const without = holds(consumerAnswer, (await ask(api, 'PUT', '/shop', { basic: null, apiKeys: [] })).json).consumer;
    assert.deepEqual([without.apiKeys, without.basic], [[], null]);
    await ask(api, 'POST', '/shop/keys', { hash: `sha256:${digest('e')}` });
    holds(removedAnswer, (await ask(api, 'DELETE', '/shop/keys/eeeeeeeeeeee')).json);
    assert.equal(
      await api.outcome('/api/v1/consumers/shop/keys/eeeeeeeeeeee', { method: 'DELETE' }),
      '404 ADMIN_NOT_FOUND',
    );
    holds(removedAnswer, (await ask(api, 'DELETE', '/shop')).json);
    assert.equal((await ask(api, 'DELETE', '/shop')).status, 404);
    const { told } = api.control;
    assert.deepEqual(
      told.map(({ removed, records }) => [removed, records.map(({ apiKeys }) => apiKeys.length)]),
      [
        [[], [0]],
        [[], [1]],
        [[], [2]],
        [[], [2]],
        [[], [0]],
        [[], [1]],
        [[], [0]],
        [['shop'], []],
      ],
    );
  });

  it('not where they stand in the configuration, nor without a database, nor with what is another’s', async (t) => {
    const api = await start(t);
    const conflict = async (method: string, path: string, body?: unknown): Promise<string> => {
      const { status, json: problem } = await ask(api, method, path, body);
      assert.deepEqual([status, problem['code']], [409, 'CONSUMER_CONFLICT'], `${method} ${path}`);
      return String(problem['detail']);
    };
    assert.match(await conflict('PUT', '/mobile', {}), /stands in the configuration/);
    assert.match(await conflict('DELETE', '/mobile'), /stands in the configuration/);
    assert.match(await conflict('POST', '/mobile/keys', {}), /stands in the configuration/);
    await ask(api, 'PUT', '/shop', {});
    for (const [body, what] of [
      [{ apiKeys: [{ hash: `sha256:${digest('b')}` }] }, 'An API key'],
      [{ basic: { user: 'mobile-user', password: '{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=' } }, 'The user name'],
      [{ jwt: [{ subject: 'm' }] }, 'A list of claims'],
      [{ certificates: [{ san: 'DNS:mobile.internal' }] }, 'A certificate'],
    ] as const) {
      assert.equal(await conflict('PUT', '/shop', body), `${what} is that of the consumer mobile already.`);
    }
    assert.match(await conflict('POST', '/shop/keys', { hash: `sha256:${digest('a')}` }), /consumer mobile already/);
    await ask(api, 'POST', '/shop/keys', { hash: `sha256:${digest('9')}` });
    assert.match(await conflict('POST', '/shop/keys', { hash: `sha256:${digest('9')}` }), /this key already/);
    assert.equal(api.control.told.length, 2, 'nothing else has changed');
    const none = await start(t, false);
    const { status, json: problem } = await ask(none, 'PUT', '/shop', {});
    assert.deepEqual([status, problem['code']], [409, 'CONSUMER_CONFLICT']);
    assert.match(String(problem['detail']), /set consumerSources\.database/);
  });

  it('not to what cannot be used, and reads no file for anybody', async (t) => {
    const api = await start(t);
    for (const body of [
      { hmac: { keyId: 'k', secret: 'a secret' } },
      { group: ['x'] },
      { groups: ['a b'] },
      { basic: { password: 'open' } },
      { basic: { password: '$2b$10$<bcrypt>' } },
      { apiKeys: [{ hash: 'sha256:<hex of the key>' }] },
      { apiKeys: [{ hash: `sha256:${digest('1')}` }, { hash: `sha256:${digest('1')}` }] },
      { certificates: [{ fingerprint: 'sha256:<hex>' }] },
      { signing: { keyId: 'k', algorithm: 'ed25519', publicKey: '/etc/hostname' } },
      { signing: { keyId: 'k', algorithm: 'ed25519', publicKey: '-----BEGIN PUBLIC KEY-----\nx\n' } },
    ]) {
      const { status, json: problem, text } = await ask(api, 'PUT', '/shop', body);
      assert.deepEqual([status, problem['code']], [400, 'ADMIN_BAD_INPUT'], JSON.stringify(body));
      assert.ok(!text.includes('a secret') && !text.includes('open'), text);
    }
    for (const name of ['a%20b', '-a', '%0d%0ax', 'é']) {
      const { status, json: problem } = await ask(api, 'PUT', `/${encodeURI(name)}`, {});
      assert.equal(status, 400, name);
      assert.match(String(problem['detail']), /a name has letters, digits/);
    }
    assert.deepEqual(api.control.told, []);
  });
});

describe('the database of consumers', () => {
  const record = { name: 'a', groups: [], apiKeys: [], basic: null, hmac: [], signing: [], jwt: [], certificates: [] };

  it('keeps what it is given, and the latest use of each credential', async (t) => {
    const path = join(await folderWith(t), 'c.db');
    const first = new ConsumerDatabase(path);
    first.put(record);
    first.put({ ...record, name: 'b', groups: ['gold'] });
    first.saveUses([{ consumer: 'a', id: 'k', usedAt: 2_000.7 }]);
    first.saveUses([
      { consumer: 'a', id: 'k', usedAt: 1_000 },
      { consumer: 'b', id: 'k', usedAt: 3_000 },
    ]);
    first.close();
    const second = new ConsumerDatabase(path);
    assert.deepEqual(second.all(), [record, { ...record, name: 'b', groups: ['gold'] }]);
    assert.deepEqual(second.uses(4_000), [
      { consumer: 'a', id: 'k', usedAt: 2_001 },
      { consumer: 'b', id: 'k', usedAt: 3_000 },
    ]);
    second.remove('a');
    assert.deepEqual([second.all().length, second.uses(4_000).length], [1, 1]);
    assert.deepEqual(second.uses(4_000 + 401 * 86_400_000), [], 'what is very old is forgotten');
    second.close();
  });

  it('keeps no secret, and believes nothing that it would not have written', async (t) => {
    const path = join(await folderWith(t), 'c.db');
    const database = new ConsumerDatabase(path);
    const hmac = [{ keyId: 'k', secret: 'x', label: '', expiresAt: null }];
    assert.throws(() => database.put({ ...record, hmac }));
    database.close();
    const { DatabaseSync } = await import('node:sqlite');
    const raw = new DatabaseSync(path);
    raw.prepare('INSERT INTO consumer VALUES (?, ?)').run('b', JSON.stringify({ ...record, name: 'admin' }));
    const other = new ConsumerDatabase(path);
    assert.throws(() => other.all(), /has a record of "b" that is damaged/);
    raw.prepare('UPDATE consumer SET record = ?').run('{"name":"b","groups":["x\\r\\ny"]}');
    assert.throws(() => other.all(), /damaged/);
    other.close();
    raw.exec('PRAGMA user_version = 2');
    raw.close();
    assert.throws(() => new ConsumerDatabase(path), /was written by a later version/);
  });
});

describe('a process that takes over', () => {
  const record = { name: 'a', groups: [], apiKeys: [], basic: null, hmac: [], signing: [], jwt: [], certificates: [] };

  it('follows what the other has written until then', async (t) => {
    const path = join(await folderWith(t), 'c.db');
    const other = new ConsumerDatabase(path);
    other.put(record);
    other.put({ ...record, name: 'b' });
    const { config } = await loadText(`routes: {r: {respond: {}}}\nconsumerSources: {database: ${path}}\n`);
    const book = new ConsumerBook({ wallNow: () => 5_000 });
    const prepared = await book.prepare(config!);
    assert.deepEqual(prepared.config.consumers, [record, { ...record, name: 'b' }]);
    prepared.commit();
    other.remove('a');
    other.put({ ...record, name: 'b', groups: ['gold'] });
    other.put({ ...record, name: 'c' });
    other.saveUses([{ consumer: 'c', id: 'k', usedAt: 4_000 }]);
    other.close();
    const told: unknown[] = [];
    const uses = new LastUses();
    uses.merge([{ consumer: 'b', id: 'k', usedAt: 4_500 }]);
    const gateway = { changeConsumers: async (change: unknown) => void told.push(change), lastUses: async () => uses };
    await book.takeOver(gateway);
    await book.takeOver(gateway);
    const records = [
      { ...record, name: 'b', groups: ['gold'] },
      { ...record, name: 'c' },
    ];
    assert.deepEqual(told, [{ removed: ['a'], records }]);
    assert.deepEqual([book.names, uses.of('c', 'k')], [['b', 'c'], 4_000]);
    assert.deepEqual([...uses.takeChanged()], [{ consumer: 'b', id: 'k', usedAt: 4_500 }], 'what is to be written yet');
    book.close();
  });
});
