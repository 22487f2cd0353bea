/**
 * CVE-2025-62232, CVE-2022-29266: no secret is in anything that the gateway writes or says, whatever becomes of requests and
 * configurations. The real command, a configuration with every kind of secret, and a look through all that comes out of it.
 * A policy with secrets is one more entry of
 * `test/support/secret-cases.ts`.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Command, folderWith, withPorts } from '../support/command.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';
import { base64, cases, key, secretOf, traces } from '../support/secret-cases.ts';

/** It cannot be recognised by how it begins, but by its lines. */
const identityKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
  type: 'pkcs8',
  format: 'pem',
});

/** Secrets of the configuration itself. */
const own = {
  ADMIN_TOKEN: secretOf('admin'),
  DEBUG_SECRET: secretOf('debug'),
  HMAC: secretOf('hmac'),
  IDENTITY_KEY: identityKey,
};

/** The paths of a login belong to one route. */
function isAnywhere(policy: unknown): boolean {
  return !Object.hasOwn(policy as object, 'oidc');
}

/** Counts by what is secret. */
const counted = { rateLimit: { rate: '100000/1s', by: ['header:authorization', 'query:token'], name: 'seen' } };

function configuration(upstream: string, refusing: string) {
  const entries = Object.entries(cases);
  const routes = entries.flatMap(([name, { policies }]) => [
    [name, { match: { path: `/${name}/*` }, policies, upstream: name }],
    [`${name}-down`, { match: { path: `/down/${name}/*` }, policies: policies.filter(isAnywhere), upstream: 'down' }],
  ]);
  const upstreams = entries.map(([name, { upstream: more }]) => [name, { targets: [upstream], ...more }]);
  return withPorts({
    admin: { port: 0, token: '${env:ADMIN_TOKEN}' },
    threads: 2,
    consumers: {
      staff: { groups: ['staff'] },
      signing: { hmac: { keyId: 'k', secret: '${env:HMAC}' } },
      ...Object.fromEntries(
        entries.flatMap(([name, { consumer }]) => (consumer === undefined ? [] : [[name, consumer]])),
      ),
    },
    identity: { issuer: 'https://gateway.example', keys: ['${env:IDENTITY_KEY}'] },
    upstreams: { ...Object.fromEntries(upstreams), service: { targets: [upstream] }, down: { targets: [refusing] } },
    routes: {
      ...Object.fromEntries(routes),
      open: { match: { path: '/open/*' }, policies: [counted], upstream: 'service' },
    },
    telemetry: {
      accessLog: { file: 'stdout', redact: ['authorization', 'cookie', '?token'] },
      debug: { secret: '${env:DEBUG_SECRET}' },
    },
  });
}

const env = { ...own, ...Object.assign({}, ...Object.values(cases).map((one) => one.env ?? {})) } as Record<
  string,
  string
>;
const files = Object.assign({}, ...Object.values(cases).map((one) => one.files ?? {})) as Record<string, string>;
const keyLines = identityKey.split('\n').slice(1, -2);
const unwanted = [...traces, ...keyLines, ...Object.values(cases).flatMap((one) => one.traces ?? [])];

function clean(text: string, where: string): void {
  for (const trace of unwanted) {
    const at = text.indexOf(trace);
    assert.ok(at === -1, `${where}: …${text.slice(Math.max(0, at - 300), at + 60)}…`);
  }
}

describe('secrets', () => {
  it('are looked for in every form', () => {
    for (const text of [key, `x${key}`, `xy${key}`].flatMap((one) => [one, base64(one)])) {
      assert.throws(() => clean(`before ${text} after`, 'here'), text);
    }
    // Hashes stand in the file itself.
    const hashes = unwanted.filter((trace) => !traces.includes(trace));
    const text = JSON.stringify(configuration('http://127.0.0.1:1', 'http://127.0.0.1:2'));
    clean(
      hashes.reduce((left, hash) => left.replaceAll(hash, ''), text),
      'the file',
    );
  });

  it('are nowhere in what the command says, whatever becomes of requests and configurations', async (t) => {
    const upstream = await RawUpstream.start(t);
    const cwd = await folderWith(t, files);
    const config = configuration(upstream.url, 'http://127.0.0.1:1');
    const command = await Command.serve(t, config, { cwd, env });
    const statuses: number[] = [];
    for (const [name, { credentials }] of Object.entries(cases)) {
      for (const place of [`/${name}/x`, `/down/${name}/x`, '/open/x', '/none/x', `/${name}/%00`]) {
        for (const credential of credentials) {
          const [query, fields] = typeof credential === 'string' ? ['', credential] : [`?${credential.query}`, ''];
          // Each time as another client: who fails again and again is refused, whatever it presents.
          const from = { localAddress: `127.0.${statuses.length >> 7}.${(statuses.length & 127) + 1}` };
          const client = await RawClient.connect(t, { ...command.address(), ...from });
          client.write(`GET ${place}${query} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${fields}\r\n`);
          const { status, body, fields: answered } = await client.response();
          statuses.push(status);
          clean(body + JSON.stringify(answered), `the answer ${status} to ${name} ${place}`);
        }
      }
    }
    const expected = [200, 400, 401, 403, 404, 500, 502, 503];
    assert.deepEqual(
      expected.filter((status) => !statuses.includes(status)),
      [],
      'statuses that were never answered',
    );
    await readAdmin(command, 'what serves');
    await reloadBroken(command, cwd, config);
    command.kill('SIGTERM');
    await command.untilExit();
    assert.equal(command.exitCode, 0);
    assert.equal(command.stdout.trim().split('\n').length, statuses.length, 'the access log is there');
    assert.match(command.stderr, /a policy failed/);
    clean(command.stdout, 'the access log');
    clean(command.stderr, 'the log');
  });

  it('are nowhere in what the commands say that do not serve', async (t) => {
    const cwd = await folderWith(t, files);
    const config = configuration('http://127.0.0.1:1', 'http://127.0.0.1:2') as { routes: object };
    await writeFile(join(cwd, 'gateway.json'), JSON.stringify(config));
    await writeFile(join(cwd, 'other.json'), JSON.stringify({ ...config, routes: {}, consumers: {}, telemetry: {} }));
    await writeFile(join(cwd, 'broken.json'), JSON.stringify(broken(config)));
    for (const args of [
      ['check', 'gateway.json'],
      ['check', 'broken.json', '--format', 'json'],
      ['plan', 'gateway.json', '--against', 'other.json'],
      ['plan', 'other.json', '--against', 'gateway.json', '--format', 'json'],
      ['explain', 'GET', 'http://x/anyOf/x', '--config', 'gateway.json'],
    ]) {
      const { stdout, stderr } = await Command.run(t, args, { cwd, env });
      assert.notEqual(stdout + stderr, '', args.join(' '));
      clean(stdout + stderr, args.join(' '));
    }
  });
});

/** The same with a mistake beside every secret, and secrets where nobody expects them. */
function broken(config: object): object {
  return {
    ...config,
    consumers: {
      a: { hmac: { keyId: 'k', secret: ['${env:HMAC}'] }, apiKeys: [{ hash: '${env:ADMIN_TOKEN}' }] },
      b: { apiKeys: '${env:HMAC}', basic: { password: '${env:HMAC}', pasword: '${env:HMAC}' } },
    },
    admin: { port: '${env:ADMIN_TOKEN}', token: { value: '${env:ADMIN_TOKEN}' } },
    routes: Object.fromEntries(
      Object.entries(cases).map(([name, { policies }]) => [
        name,
        {
          match: { path: '${env:DEBUG_SECRET}' },
          policies: [...policies, { anyOf: [...policies, { cors: { origins: '${env:HMAC}' } }] }],
          upstream: '${env:HMAC}',
        },
      ]),
    ),
  };
}

async function reloadBroken(command: Command, cwd: string, config: object): Promise<void> {
  const before = command.log.length;
  await writeFile(join(cwd, 'gateway.json'), JSON.stringify(withPorts(broken(config))));
  command.kill('SIGHUP');
  await command.logged('the configuration was refused; what served before serves on', before);
  await readAdmin(command, 'what was refused');
}

/** Everything that can be read of the admin port, with the token first: wrong ones lock the address out. */
async function readAdmin(command: Command, when: string): Promise<void> {
  const headers = { authorization: `Bearer ${own.ADMIN_TOKEN}` };
  const document = (await (await fetch(`${command.admin}/api/v1/openapi.json`, { headers })).json()) as {
    paths: Record<string, Record<string, unknown>>;
  };
  const readable = Object.entries(document.paths).filter(
    ([path, methods]) => 'get' in methods && !path.endsWith('/events'),
  );
  assert.ok(readable.length > 5);
  // What is named in a path is a consumer, of which there is one with a secret, or the limit.
  const paths = readable.map(([path]) => path.replace('{name}', 'signing').replace('{limit}', 'seen'));
  const read = async (path: string, given: Record<string, string>): Promise<number> => {
    const answer = await fetch(command.admin + path, { headers: given });
    clean((await answer.text()) + JSON.stringify([...answer.headers]), `${when}, GET ${path} ${answer.status}`);
    return answer.status;
  };
  for (const path of paths) assert.equal(await read(path, headers), 200, path);
  for (const path of [...paths, '/', '/metrics', `/${secretOf('path')}`]) {
    await read(path, {});
    if (when === 'what was refused') await read(path, { authorization: `Bearer ${secretOf('wrong')}` });
  }
}
