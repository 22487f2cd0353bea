import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, describe, it } from 'node:test';
import type { CommandIo } from '../../src/cli/cli-io.ts';
import { type ExplainOptions, runExplain } from '../../src/cli/explain.ts';
import type { LiveExplanation } from '../../src/compile/explain/explanation.ts';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { RawUpstream } from '../support/raw-upstream.ts';
import { makeTlsFiles } from '../support/tls-files.ts';

const secret = 'canary-secret-of-explain-send-0123456789';
const send = { format: 'text', header: [], send: true } as const satisfies ExplainOptions;

async function start(t: TestContext, listener = {}): Promise<{ gateway: TestGateway; upstream: RawUpstream }> {
  const upstream = await RawUpstream.start(t);
  const config = proxyTo(upstream.url, { listener, route: { match: { host: 'api.example.com' } } });
  const telemetry = { accessLog: false, debug: { secret } } as const;
  return { upstream, gateway: await TestGateway.start(t, { ...config, telemetry }) };
}

async function run(
  method: string,
  url: string,
  options: ExplainOptions,
  env: Readonly<Record<string, string>> = { GATEWRIGHT_DEBUG_SECRET: secret },
): Promise<{ code: number; out: string; err: string }> {
  const said = { out: '', err: '' };
  const io: CommandIo = {
    cwd: '/',
    env,
    stdout: { write: (text: string) => (said.out += text) },
    stderr: { write: (text: string) => (said.err += text) },
  };
  const code = await runExplain(method, url, options, io);
  assert.doesNotMatch(said.out + said.err, /canary/);
  return { code, ...said };
}

describe('gatewright explain --send', () => {
  it('sends the request and shows what has happened before the explanation', async (t) => {
    const { gateway, upstream } = await start(t);
    const options = { ...send, to: gateway.url(), header: ['X-Version: 2'] };
    const { code, out, err } = await run('POST', 'http://api.example.com/a?x=1', options);
    assert.deepEqual([code, err], [0, '']);
    const [answer, target, ...lines] = out.split('\n');
    assert.equal(answer, 'answer      200');
    assert.equal(target, `target      ${upstream.url} of upstream service, 1 attempt`);
    assert.match(lines[0], /^timings +[0-9.]+ ms {2}3 router$/);
    assert.match(out, /^ +[0-9.]+ ms {2}8 respond\nrequest +POST \/a\?x=1 on listener web$/m);
    assert.match(out, /^result +it is for route all$/m);
    const got = await upstream.request();
    assert.equal(got.startLine, 'POST /a?x=1 HTTP/1.1');
    assert.deepEqual(
      got.fields.filter(([name]) => name === 'x-version' || name === 'gatewright-debug'),
      [['x-version', '2']],
    );
  });

  it('prints JSON, takes a path with its Host, and the secret from another variable', async (t) => {
    const { gateway } = await start(t);
    const options: ExplainOptions = { ...send, format: 'json', to: gateway.url(), secretEnv: 'OTHER' };
    const asked = await run('GET', '/a', { ...options, header: ['Host: api.example.com'] }, { OTHER: secret });
    assert.equal((JSON.parse(asked.out) as LiveExplanation).explanation?.route?.name, 'all');
    const elsewhere = await run('GET', '/a', options, { OTHER: secret });
    const { happened } = JSON.parse(elsewhere.out) as LiveExplanation;
    assert.deepEqual([elsewhere.code, happened.status, happened.code], [0, 404, 'NO_ROUTE']);
  });

  it('verifies the certificate of the host that is asked for', async (t) => {
    const { cert, key } = makeTlsFiles(t);
    const { gateway } = await start(t, { tls: { certificates: [{ cert, key }] } });
    const { code, err } = await run('GET', 'https://api.example.com/', { ...send, to: gateway.url() });
    assert.equal(code, 3);
    assert.match(err, /^https:\/\/127\.0\.0\.1:[0-9]+ cannot be reached \([A-Z_]+\): start the gateway/);
  });

  it('says what to do when there is no explanation', async (t) => {
    const { gateway } = await start(t);
    const url = `${gateway.url()}/`;
    const wrong = await run('GET', url, send, { GATEWRIGHT_DEBUG_SECRET: `${secret}.` });
    assert.equal(wrong.code, 3);
    assert.match(wrong.err, /^http:\S+ answers 404 without an explanation: telemetry\.debug must be configured there/);
    assert.equal((await run('GET', 'http://127.0.0.1:1/', send)).code, 3);
    for (const value of ['{', 'null', '{}', '[]', '{"timings":[]}']) {
      const server = createServer((_, response) => response.setHeader('gatewright-debug', value).end());
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      t.after(() => server.close());
      const { port } = server.address() as AddressInfo;
      const other = await run('GET', `http://127.0.0.1:${port}/`, send);
      assert.deepEqual([other.code, /is not a gateway of this version/.test(other.err)], [3, true], value);
    }
  });

  it('refuses what cannot be asked in this way', async () => {
    const cases: readonly (readonly [url: string, options: ExplainOptions, message: RegExp])[] = [
      ['/a', send, /^a path alone does not say where to send it: add --to/],
      ['http://h/', { ...send, to: 'http://h:1/x' }, /^--to is where the gateway listens/],
      ['http://h/', { ...send, to: 'ftp://h' }, /^--to is where the gateway listens/],
      ['http://h/', { ...send, to: 'nonsense' }, /^--to is where the gateway listens/],
      ['http://h/', { ...send, admin: 'http://h' }, /^--send asks the gateway that gets the request/],
      ['http://h/', { ...send, listener: 'web' }, /^--send asks the gateway that gets the request/],
      ['http://h/', { format: 'text', header: [], to: 'http://h' }, /add --send/],
      ['http://h/ü', send, /has characters that must be encoded/],
      ['http://h/', { ...send, header: ['x: a\u0000b'] }, /has characters that must be encoded/],
      ['http://h/', { ...send, header: ['a b: c'] }, /has characters that must be encoded/],
      ['http://h/', { ...send, header: ['Content-Length: 3'] }, /without a body/],
      ['http://h/', { ...send, header: ['host: a', 'host: b'] }, /one Host/],
    ];
    for (const [url, options, message] of cases) {
      const { code, err } = await run('GET', url, options);
      assert.equal(code, 2, url);
      assert.match(err, message);
    }
    const { code, err } = await run('GET', 'http://h/', send, {});
    assert.equal(code, 2);
    assert.match(err, /^set GATEWRIGHT_DEBUG_SECRET to the telemetry\.debug\.secret/);
  });
});
