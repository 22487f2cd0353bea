/** The admin API of a gateway that runs, as an operator has it. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, describe, it } from 'node:test';
import { eventually } from '../support/changes.ts';
import { Command, folderWith } from '../support/command.ts';
import { RawClient } from '../support/raw-client.ts';

const token = 'a-token-of-the-operator';
const bearer = { authorization: `Bearer ${token}` };

interface Outcome {
  readonly result: string;
  readonly revision: { readonly number: number; readonly digest: string };
}

async function ask(gateway: Command, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${gateway.admin}${path}`, { headers: bearer, ...init });
}

function put(
  gateway: Command,
  config: object,
  headers: Record<string, string> = bearer,
  query = '',
): Promise<Response> {
  const body = JSON.stringify({ listeners: { web: { host: '127.0.0.1', port: 0 } }, ...config });
  return ask(gateway, `/api/v1/config${query}`, {
    method: 'PUT',
    headers: { ...headers, 'content-type': 'application/json' },
    body,
  });
}

async function bodyOf(gateway: Command): Promise<string> {
  return (await fetch(`${gateway.url()}/`)).text();
}

const respond = (body: string): object => ({ routes: { all: { respond: { body } } } });

describe('the admin API of a gateway that runs', () => {
  const admin = { port: 0, token: '${env:GATEWRIGHT_ADMIN_TOKEN}' };
  const env = { GATEWRIGHT_ADMIN_TOKEN: token };

  async function serve(t: TestContext): Promise<Command> {
    return Command.serve(t, { admin, threads: 2, ...respond('first') }, { env });
  }

  it('tells of all threads', async (t) => {
    const gateway = await serve(t);
    assert.equal(await bodyOf(gateway), 'first');
    const { threads, ready, revision } = (await (await ask(gateway, '/api/v1/status')).json()) as {
      threads: { thread: number; state: string; served: number }[];
      ready: boolean;
      revision: { number: number };
    };
    assert.deepEqual(
      [threads.map(({ thread, state }) => `${thread} ${state}`), ready, revision.number],
      [['0 serving', '1 serving'], true, 1],
    );
    const shown = await Command.run(t, ['status', '--admin', gateway.admin], { env });
    assert.match(shown.stdout, /^gatewright \S+ {2}ready {2}[\s\S]*\n {2}1 +serving +1 /);
  });

  it('changes what serves, on condition that nobody else has', async (t) => {
    const gateway = await serve(t);
    const etag = (await ask(gateway, '/api/v1/snapshot', { method: 'HEAD' })).headers.get('etag')!;
    const dry = (await (
      await put(gateway, { admin, threads: 2, ...respond('second') }, bearer, '?dryRun=1')
    ).json()) as Outcome;
    assert.deepEqual([dry.result, await bodyOf(gateway)], ['valid', 'first']);
    const changed = await put(gateway, { admin, threads: 2, ...respond('second') }, { ...bearer, 'if-match': etag });
    const { result, revision } = (await changed.json()) as Outcome;
    assert.deepEqual([result, revision.number, changed.headers.get('etag')], ['applied', 2, `"${revision.digest}"`]);
    const conflict = await put(gateway, { admin, threads: 2, ...respond('third') }, { ...bearer, 'if-match': etag });
    assert.equal(conflict.status, 412);
    const refused = await put(gateway, { admin, threads: 2, routes: { all: { respond: { staus: 200 } } } });
    assert.equal(refused.status, 422);
    const { refused: isRefused, problems } = (await (await ask(gateway, '/api/v1/problems')).json()) as {
      refused: boolean;
      problems: { code: string }[];
    };
    assert.deepEqual([isRefused, problems.map(({ code }) => code)], [true, ['UNKNOWN_KEY']]);
    const reloaded = (await (await ask(gateway, '/api/v1/reload', { method: 'POST' })).json()) as Outcome;
    assert.deepEqual([reloaded.result, reloaded.revision.number], ['applied', 3]);
  });

  it('says what happens to who listens', async (t) => {
    const gateway = await serve(t);
    const { hostname: host, port } = new URL(gateway.admin);
    const client = await RawClient.connect(t, { host, port: Number(port) });
    client.write(`GET /api/v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\n\r\n`);
    await client.until((received) => received.includes('retry:'), 'the subscription');
    await put(gateway, { admin, threads: 2, ...respond('second') });
    await client.until((received) => /event: reload\ndata: \{.*"cause":"api".*\}\n\n/.test(received), 'the event');
    gateway.kill('SIGTERM');
    await client.until((received) => received.includes('event: draining\n'), 'the end');
    await client.untilEnded();
  });

  it('wants the token that the configuration has now', async (t) => {
    const cwd = await folderWith(t, { token: `${token}\n` });
    const config = { admin: { port: 0, token: '${file:token}' }, ...respond('first') };
    const gateway = await Command.serve(t, config, { cwd });
    assert.equal((await ask(gateway, '/api/v1/status')).status, 200);
    await writeFile(join(cwd, 'token'), 'another-token\n');
    await eventually(async () => (await ask(gateway, '/api/v1/status')).status === 401, 'the token to be another');
    const headers = { authorization: 'Bearer another-token' };
    assert.equal((await ask(gateway, '/api/v1/status', { headers })).status, 200);
    assert.ok(!`${gateway.stderr}${gateway.stdout}`.includes('another-token'));
  });

  it('is not reached through the gateway itself when there is no token (CVE-2022-24112)', async (t) => {
    const gateway = await Command.serve(t, respond('first'));
    const { host } = new URL(gateway.admin);
    const upstreams = { admin: { targets: [gateway.admin], hostHeader: 'target' } };
    const routes = { all: { upstream: 'admin' } };
    assert.equal((await put(gateway, { admin: { port: 0 }, upstreams, routes }, {})).status, 200);
    const address = gateway.address();
    const through = await RawClient.connect(t, address);
    through.write(`GET /api/v1/status HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    const { startLine, body } = await through.response();
    assert.match(startLine, / 403 /);
    assert.match(body, /ADMIN_FORBIDDEN.*through a proxy/);
    assert.equal((await ask(gateway, '/api/v1/status', { headers: {} })).status, 200);
  });

  it('shows no secret, nor does what it writes', async (t) => {
    const secrets = { ...env, BODY_SECRET: 'canary-of-a-body', MATCH_KEY: 'canary-of-a-match' };
    const routes = {
      a: { match: { headers: { 'x-key': '${env:MATCH_KEY}' } }, respond: { body: '${env:BODY_SECRET}' } },
    };
    const gateway = await Command.serve(t, { admin, routes }, { env: secrets });
    let shown = '';
    for (const path of [
      'status',
      'snapshot',
      'routes',
      'upstreams',
      'problems',
      'openapi.json',
      'nothing',
      `routes?q=${token}`,
      `routes?${token}`,
    ]) {
      shown += await (await ask(gateway, `/api/v1/${path}`)).text();
    }
    shown += await (
      await put(gateway, { admin, routes: { [token]: { respond: { bad: '${env:BODY_SECRET}' } } } })
    ).text();
    shown += await (await ask(gateway, '/api/v1/reload', { method: 'POST' })).text();
    assert.match(shown, /\[secret\]/);
    assert.doesNotMatch(`${shown}${gateway.stdout}${gateway.stderr}`, new RegExp(`canary|${token}`));
  });
});
