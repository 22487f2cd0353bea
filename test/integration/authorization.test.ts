/** anyOf, authorize and rules of the user at real sockets: who gets through, and what everybody is told. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type TestContext, describe, it } from 'node:test';
import type { PolicyDefinition } from '../../src/contract.ts';
import type { ConfigInput } from '../../src/config/schema.ts';
import { defineRule } from '../../src/policies/define-rule.ts';
import { loadDocument } from '../../src/workers/load-document.ts';
import { folderWith } from '../support/command.ts';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { headerPolicy } from '../support/header-policy.ts';
import { fieldValues } from '../support/message-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';
import { TestThreads, ask } from '../support/threaded.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const key = 'CANARY-0123456789abcdef';
const hash = `sha256:${createHash('sha256').update(key).digest('hex')}`;
const consumers: ConfigInput['consumers'] = { ann: { groups: ['gold'], apiKeys: [{ hash }] }, bob: {} };
const withKey = `x-api-key: ${key}\r\n`;

type Policies = NonNullable<NonNullable<ConfigInput['routes']>[string]['policies']>;

const token = headerPolicy('token', {
  isSlow: true,
  consumer: null,
  scopes: ['read'],
  claims: { role: ['editor'], tenant: 'acme', pin: 'CANARY' },
});

async function start(t: TestContext, policies: Policies, more: Readonly<Record<string, PolicyDefinition>> = {}) {
  const upstream = await RawUpstream.start(t);
  const config = proxyTo(upstream.url, { route: { match: { path: ['/t/{tenant}'] }, policies } });
  const gateway = await TestGateway.start(t, { ...config, consumers }, { modules: { './token.ts': token, ...more } });
  const client = await RawClient.connect(t, gateway.address());
  const send = async (fields: string, target = '/t/acme') => {
    client.write(`GET ${target} HTTP/1.1\r\nhost: api.example.com\r\n${fields}\r\n`);
    return client.response();
  };
  return { upstream, gateway, send };
}

describe('anyOf', () => {
  const ways: Policies = [{ anyOf: ['apiKey', { use: './token.ts' }] }];

  it('lets pass who has any of the credentials, and sends none of them on', async (t) => {
    const { upstream, send } = await start(t, ways);
    const claims = 'x-consumer: root\r\nx-consumer-groups: root\r\nx-told-by-token: root\r\n';
    for (const [fields, consumer, told] of [
      [withKey, ['ann'], []],
      ['x-token: valid\r\n', [], ['yes']],
      [`${withKey}x-token: valid\r\n`, ['ann'], []],
      [`${withKey}x-token: invalid\r\n`, ['ann'], []],
      ['x-api-key: wrong\r\nx-token: valid\r\n', [], ['yes']],
    ] as const) {
      assert.equal((await send(claims + fields)).status, 200, fields);
      const request = await upstream.request(upstream.requests.length - 1);
      assert.deepEqual(fieldValues(request.fields, 'x-consumer'), consumer, fields);
      assert.deepEqual(fieldValues(request.fields, 'x-told-by-token'), told, fields);
      for (const name of ['x-api-key', 'x-token']) assert.deepEqual(fieldValues(request.fields, name), [], fields);
    }
    assert.doesNotMatch(upstream.bytes, /CANARY|root/);
  });

  it('asks everybody else for any of them, in the same bytes whatever was wrong with a credential', async (t) => {
    const { upstream, gateway, send } = await start(t, ways);
    const missing = await send('');
    assert.equal(missing.status, 401);
    assert.deepEqual(fieldValues(missing.fields, 'www-authenticate'), ['ApiKey realm="api"', 'Custom realm="token"']);
    const wrong = new Set<string>();
    for (const fields of ['x-api-key: wrong\r\n', `x-api-key: ${key}x\r\n`, 'x-api-key: a\r\nx-api-key: b\r\n']) {
      const { status, fields: answered, body } = await send(fields);
      wrong.add(JSON.stringify([status, answered.filter(([name]) => name.toLowerCase() !== 'date'), body]));
    }
    assert.equal(wrong.size, 1);
    assert.equal((await send('x-token: unavailable\r\n')).status, 503);
    assert.equal((await send('x-token: damped\r\n')).status, 429);
    assert.equal(upstream.bytes, '');
    assert.equal((await gateway.observation(1)).reason, 'apiKey: an unknown API key; token: nothing sent');
  });
});

describe('authorize', () => {
  it('answers who is known and may not with the same 403 for every cause, which the log alone tells', async (t) => {
    const causes: readonly (readonly [options: object, reason: string])[] = [
      [{ consumers: ['bob'] }, 'the consumer is not one that may'],
      [{ groups: ['gold'] }, 'the consumer is in no group that may'],
      [{ scopes: ['write'] }, 'the scope write was not granted'],
      [{ claims: { role: 'editor', tenant: 'other' } }, 'the claim tenant is not as asked for'],
      [{ claims: { tenant: '{tenant}' }, deny: { claims: { role: 'editor' } } }, 'the claim role is as denied'],
      [{ claims: { pin: { startsWith: 'x' } } }, 'the claim pin is not as asked for'],
    ];
    const bodies = new Set<string>();
    for (const [options, reason] of causes) {
      const { upstream, gateway, send } = await start(t, [{ use: './token.ts' }, { authorize: options }]);
      const { status, fields, body } = await send('x-token: valid\r\n');
      bodies.add(body);
      assert.equal(status, 403, reason);
      assert.doesNotMatch(JSON.stringify(fields) + body, /CANARY|claim|scope|group|editor|tenant/);
      assert.equal(upstream.bytes, '');
      const observation = await gateway.observation();
      assert.deepEqual([observation.code, observation.reason], ['FORBIDDEN', reason]);
    }
    assert.equal(bodies.size, 1);
  });

  it('lets pass who may, also by what the path has captured', async (t) => {
    const { send } = await start(t, [
      { anyOf: ['apiKey', { use: './token.ts' }] },
      { authorize: { claims: { tenant: '{tenant}', role: { contains: 'editor' } }, scopes: ['read'] } },
    ]);
    assert.equal((await send('x-token: valid\r\n', '/t/acme')).status, 200);
    assert.equal((await send('x-token: valid\r\n', '/t/other')).status, 403);
    assert.equal((await send(withKey, '/t/acme')).status, 403);
  });

  it('CVE-2021-21378: lets nobody through who did not have to say who he is, in the words of who was asked', async (t) => {
    const { upstream, send } = await start(t, [
      { apiKey: { optional: true } },
      { use: './token.ts', options: { optional: true } },
      { authorize: { deny: { consumers: ['bob'] } } },
    ]);
    const asked = await start(t, [{ anyOf: ['apiKey', { use: './token.ts' }] }]);
    const bytesOf = ({ status, fields, body }: Awaited<ReturnType<typeof send>>): string =>
      JSON.stringify([status, fields.filter(([name]) => name.toLowerCase() !== 'date'), body]);
    assert.equal(bytesOf(await send('')), bytesOf(await asked.send('')));
    assert.equal(upstream.bytes, '');
    assert.equal((await send('x-token: invalid\r\n')).status, 401);
    assert.equal((await send(withKey)).status, 200);
    assert.equal((await send('x-token: valid\r\n')).status, 200);
  });
});

describe('a rule of the user', () => {
  const rule = defineRule({
    name: 'own-tenant',
    async allows({ params, method }, { claims, consumer }) {
      if (params['tenant'] === 'throw') throw new Error('broken');
      if (params['tenant'] === 'reject') return Promise.reject(new Error('broken'));
      return (consumer !== null && method === 'GET') || claims['tenant'] === params['tenant'] || 'not its tenant';
    },
  });
  const policies: Policies = [{ anyOf: ['apiKey', { use: './token.ts' }] }, { use: './rule.ts' }];

  it('decides, and fails closed', async (t) => {
    const { upstream, gateway, send } = await start(t, policies, { './rule.ts': rule });
    assert.equal((await send(withKey, '/t/x')).status, 200);
    assert.equal((await send('x-token: valid\r\n', '/t/acme')).status, 200);
    const sent = upstream.bytes;
    const refused = await send('x-token: valid\r\n', '/t/other');
    assert.deepEqual([refused.status, (await gateway.observation(2)).reason], [403, 'not its tenant']);
    assert.doesNotMatch(refused.body, /not its tenant/);
    for (const tenant of ['throw', 'reject']) {
      const failed = await send(withKey, `/t/${tenant}`);
      assert.equal(failed.status, 500);
      assert.doesNotMatch(failed.body, /broken/);
    }
    assert.equal(upstream.bytes, sent);
  });

  it('is loaded on every thread, as is a policy among the options of another', async (t) => {
    const files = {
      'way.ts': `import { Refusal, definePolicy, z } from ${JSON.stringify(join(root, 'src/index.ts'))};
const caller = { method: 'way', subject: 's', consumer: { name: 'w', groups: [] }, claims: { n: 1 }, scopes: [] };
const authenticator = {
  challenge: 'Way',
  authenticate: ({ requestHeaders }) => (requestHeaders.has('x-way') ? caller : new Refusal('missing', 'none')),
  conceal() {},
};
export default definePolicy({
  name: 'way', summary: 'For tests.', options: z.strictObject({}), provides: ['consumer'],
  create: () => ({ authenticator, onRequest: () => { throw new Error('not asked by itself'); } }),
});
`,
      'rule.ts': `import { defineRule } from ${JSON.stringify(join(root, 'src/index.ts'))};
export default defineRule({ name: 'one', allows: ({ query }, { claims }) => query === 'ok' && claims['n'] === 1 });
`,
    };
    const threads = await TestThreads.start(
      t,
      {
        telemetry: { accessLog: false },
        threads: 2,
        listeners: { web: { host: '127.0.0.1', port: 0 } },
        policies: { ways: { anyOf: ['apiKey', { use: './way.ts' }] } },
        routes: { all: { policies: ['ways', { use: './rule.ts' }], respond: { body: 'hello' } } },
      },
      { files },
    );
    for (let i = 0; i < 8; i++) {
      assert.equal((await ask(threads.address(), 'x-way: 1\r\n', '/?ok')).status, 200);
      assert.equal((await ask(threads.address(), 'x-way: 1\r\n', '/?no')).status, 403);
      assert.match(
        (await ask(threads.address(), '', '/?ok')).text,
        /401 .*www-authenticate: ApiKey[^]*www-authenticate: Way/is,
      );
    }
  });

  it('changes the code of a configuration, wherever in it it is', async (t) => {
    const source = (n: number): string =>
      `import { definePolicy, z } from ${JSON.stringify(join(root, 'src/index.ts'))};
export default definePolicy({
  name: 'way', summary: 'For tests ${n}.', options: z.strictObject({}), provides: ['consumer'],
  create: () => ({ authenticator: { challenge: '', authenticate: () => null, conceal() {} } }),
});
`;
    const config = { routes: { r: { policies: [{ anyOf: ['apiKey', { use: './way.ts' }] }], respond: {} } } };
    const digests = [];
    const folder = await folderWith(t, { 'gateway.json': JSON.stringify(config) });
    for (const n of [1, 2, 2]) {
      await writeFile(join(folder, 'way.ts'), source(n));
      const loaded = await loadDocument({ file: join(folder, 'gateway.json'), env: {} });
      assert.deepEqual(loaded.problems, []);
      assert.ok(loaded.files.includes(join(folder, 'way.ts')));
      assert.deepEqual(Object.values(loaded.modulePolicies), [{ provides: ['consumer'], secretKeys: [] }]);
      digests.push(loaded.codeDigest);
    }
    assert.notEqual(digests[0], digests[1]);
    assert.equal(digests[1], digests[2]);
  });

  it('is refused when it is loaded if what it comes after does not authenticate after all', async (t) => {
    const way = `import { definePolicy, z } from ${JSON.stringify(join(root, 'src/index.ts'))};
export default definePolicy({
  name: 'silent', summary: 'For tests.', options: z.strictObject({}), provides: ['consumer'], create: () => ({}),
});
`;
    const config = { routes: { r: { policies: [{ anyOf: ['apiKey', { use: './way.ts' }] }], respond: {} } } };
    const folder = await folderWith(t, { 'gateway.json': JSON.stringify(config), 'way.ts': way });
    const { config: loaded, problems } = await loadDocument({ file: join(folder, 'gateway.json'), env: {} });
    assert.equal(loaded, null);
    assert.match(problems[0].message, /route r: policy anyOf: silent does not authenticate/);
  });
});
