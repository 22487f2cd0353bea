import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test, type TestContext } from 'node:test';
import type { CommandIo } from '../../src/cli/cli-io.ts';
import { type ExplainOptions, runExplain } from '../../src/cli/explain.ts';
import { explain } from '../../src/compile/explain/explain.ts';
import { parseConfig } from '../../src/config/load.ts';
import { builtinPolicies } from '../../src/policies/index.ts';

const folders: string[] = [];
after(() => folders.forEach((folder) => rmSync(folder, { recursive: true })));

const GATEWAY = `
upstreams:
  catalog: {targets: ["http://127.0.0.1:3001"]}
  next: {targets: ["http://127.0.0.1:3002"]}
policies: {trace: requestId}
defaults: {policies: [trace]}
routes:
  catalog:
    match: {host: api.example.com, path: "/catalog/*", methods: [GET]}
    policies: [securityHeaders]
    rewrite: {path: "/v1/{*}"}
    upstream: [{upstream: catalog, weight: 9}, {upstream: next}]
  write: {match: {host: api.example.com, path: "/catalog/*", methods: [PUT]}, upstream: next}
  beta: {match: {path: "/catalog/{id}", headers: {x-beta: "\${env:BETA_KEY}"}}, upstream: next}
  all: {match: {path: "/*", methods: [GET]}, upstream: next}
  tea: {match: {path: /tea}, respond: {status: 418, body: "\\e[2J"}}
`;

function workIn(files: Readonly<Record<string, string>>): CommandIo & { out: string; err: string } {
  const cwd = mkdtempSync(join(tmpdir(), 'gatewright-explain-'));
  folders.push(cwd);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(cwd, name), content);
  const io = {
    cwd,
    env: { BETA_KEY: 'canary-5f3a', GATEWRIGHT_ADMIN_TOKEN: 'usual-token', OTHER: 'other-token' },
    out: '',
    err: '',
    stdout: { write: (text: string) => (io.out += text) },
    stderr: { write: (text: string) => (io.err += text) },
  };
  return io;
}

const text = { format: 'text', header: [] } as const satisfies ExplainOptions;
const json = { ...text, format: 'json' } as const;

suite('gatewright explain', () => {
  test('says what happens, why, and what else there was', async () => {
    const io = workIn({ 'gateway.yaml': GATEWAY });
    const code = await runExplain('GET', 'http://api.example.com/catalog/7?x=1', text, io);
    assert.equal(io.err, '');
    assert.equal(code, 0);
    assert.deepEqual(io.out.split('\n'), [
      'request      GET /catalog/7?x=1 on listener web',
      'matched as   api.example.com/catalog/7?x=1',
      'result       it is for route catalog',
      'route        catalog: host api.example.com, path /catalog/*',
      'captures     {*} = 7',
      'policies     trace (the policy requestId; provides requestId; from defaults)',
      '             securityHeaders (from route)',
      'cache        none',
      'sends        GET /v1/7?x=1 HTTP/1.1',
      'to           upstream catalog (round-robin, 90% of the requests)',
      '               http://127.0.0.1:3001  host: api.example.com',
      '             upstream next (round-robin, 10% of the requests)',
      '               http://127.0.0.1:3002  host: api.example.com',
      'time-outs    connect 2s, first byte 30s, idle 60s, total none',
      'goes before  all  the exact host api.example.com goes before any host',
      'near misses  beta   the header x-beta must be "***", and is not there',
      '             write  it is only for method PUT, not GET',
      '',
    ]);
  });

  test('takes headers, a path with its Host, and a file that is named', async () => {
    const io = workIn({ 'other.yaml': GATEWAY });
    const header = ['Host: z.example', 'X-Beta:  canary-5f3a '];
    assert.equal(await runExplain('PATCH', '/catalog/7', { ...json, header, config: 'other.yaml' }, io), 0);
    const said = JSON.parse(io.out) as { route: { name: string }; request: { host: string } };
    assert.equal(said.route.name, 'beta');
    assert.equal(said.request.host, 'z.example');
    assert.ok(!io.out.includes('canary-5f3a'), 'a secret is shown');
  });

  test('exits with 0 for what is refused, since that is the answer', async () => {
    const io = workIn({ 'gateway.yaml': GATEWAY });
    assert.equal(await runExplain('GET', 'http://h/a%5Cb', text, io), 0);
    assert.match(io.out, /^result +400 BAD_PATH: .*backslash$/m);
    io.out = '';
    assert.equal(await runExplain('PUT', 'http://h/x', text, io), 0);
    assert.match(io.out, /^result +405 METHOD_NOT_ALLOWED: .*; allowed: GET$/m);
  });

  test('does not let a configuration steer the terminal', async () => {
    const io = workIn({ 'gateway.yaml': GATEWAY });
    assert.equal(await runExplain('GET', 'http://h/tea', text, io), 0);
    assert.match(io.out, /\\x1b\[2J/);
    assert.ok(!io.out.includes('\u001b'));
  });

  test('exits with 2 for a request that cannot be, and without a configuration', async () => {
    const io = workIn({ 'gateway.yaml': GATEWAY });
    for (const [method, url, more] of [
      ['GET', 'nowhere', {}],
      ['G T', '/', {}],
      ['GET', '/', { listener: 'x' }],
      ['GET', '/', { header: ['secret-without-colon'] }],
      ['GET', '/', { config: 'gateway.yaml', admin: 'http://127.0.0.1:1' }],
    ] as const) {
      io.err = '';
      assert.equal(await runExplain(method, url, { ...text, ...more }, io), 2, url);
      assert.match(io.err, /^[^\n]+\n$/);
      assert.ok(!io.err.includes('secret'));
    }
    assert.equal(io.out, '');
    assert.equal(await runExplain('GET', '/', text, workIn({})), 2);
  });

  test('exits with 1 when the configuration has an error, and says which', async () => {
    const io = workIn({ 'gateway.yaml': GATEWAY.replace('/tea', '/t*a') });
    assert.equal(await runExplain('GET', '/', text, io), 1);
    assert.match(io.err, /^gateway\.yaml:\d+:\d+ {2}error {2}BAD_PATTERN /);
    assert.match(io.err, /there is nothing to explain\n$/);
  });
});

interface Asked {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly authorization: string | undefined;
  readonly body: unknown;
}

/** An admin API that answers as it is told, and what it was asked. */
async function adminApi(t: TestContext, status: number, answer: unknown): Promise<{ url: string; asked: Asked[] }> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method, url, headers } = request;
      const body: unknown = JSON.parse(Buffer.concat(chunks).toString());
      asked.push({ method, url, authorization: headers.authorization, body });
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

suite('gatewright explain --admin', () => {
  test('asks the gateway that runs, with the token of the environment', async (t) => {
    const { config } = await parseConfig('routes: {a: {match: {path: /a}, respond: {}}}', {
      registry: builtinPolicies,
      fileName: 'gateway.yaml',
    });
    assert.ok(config);
    const { url, asked } = await adminApi(t, 200, explain(config, { method: 'GET', url: 'http://h/a' }));
    const io = workIn({});
    const options = { ...text, admin: url, header: ['X-A: 1', 'X-A: 2'], listener: 'web' };
    assert.equal(await runExplain('GET', 'http://h/a', options, io), 0);
    assert.match(io.out, /^result +it is for route a$/m);
    assert.equal(await runExplain('GET', 'http://h/a', { ...json, admin: url, tokenEnv: 'OTHER' }, io), 0);
    const body = { method: 'GET', url: 'http://h/a' };
    const post = { method: 'POST', url: '/api/v1/explain' };
    assert.deepEqual(asked, [
      {
        ...post,
        authorization: 'Bearer usual-token',
        body: { ...body, listener: 'web', headers: { 'X-A': ['1', '2'] } },
      },
      { ...post, authorization: 'Bearer other-token', body: { ...body, headers: {} } },
    ]);
  });

  test('exits with 3 when it cannot be reached or takes no such token, and with 2 when it refuses the request', async (t) => {
    const io = workIn({});
    const ask = (admin: string): Promise<number> => runExplain('GET', 'http://h/a', { ...text, admin }, io);
    const { url } = await adminApi(t, 401, { title: 'no' });
    assert.equal(await ask(url), 3);
    assert.match(io.err, /refuses the token/);
    assert.ok(!io.err.includes('usual-token'));
    const refusing = await adminApi(t, 400, { title: 'Bad request', detail: 'there is no listener "x"' });
    io.err = '';
    assert.equal(await ask(refusing.url), 2);
    assert.equal(io.err, 'the admin API answers 400: Bad request: there is no listener "x"\n');
    const gone = createServer();
    await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve));
    const { port } = gone.address() as AddressInfo;
    await new Promise((resolve) => gone.close(resolve));
    io.err = '';
    assert.equal(await ask(`http://127.0.0.1:${port}`), 3);
    assert.match(io.err, /cannot be reached \(ECONNREFUSED\)/);
    assert.equal(io.out, '');
  });
});
