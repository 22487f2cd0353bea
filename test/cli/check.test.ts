import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { runCheck } from '../../src/cli/check.ts';
import type { CommandIo } from '../../src/cli/cli-io.ts';
import { runInit } from '../../src/cli/init.ts';
import { runSchema } from '../../src/cli/schema.ts';

const folders: string[] = [];
after(() => folders.forEach((folder) => rmSync(folder, { recursive: true })));

/** A new folder with these files, and what a command writes there. */
function workIn(files: Readonly<Record<string, string>> = {}): CommandIo & { out: string; err: string } {
  const cwd = mkdtempSync(join(tmpdir(), 'gatewright-cli-'));
  folders.push(cwd);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text);
  const io = {
    cwd,
    env: {},
    out: '',
    err: '',
    stdout: { write: (text: string) => (io.out += text) },
    stderr: { write: (text: string) => (io.err += text) },
  };
  return io;
}

const text = { format: 'text' } as const;
const json = { format: 'json' } as const;

const GOOD =
  'upstreams: {u: {targets: ["http://127.0.0.1:1"]}}\nroutes:\n  a: {match: {path: /a}, upstream: u}\n  b: {match: {path: /b}, respond: {}}\n';
const BAD = `${GOOD}  c: {match: {path: /c}, upstream: v}\nthread: 1\n`;

suite('gatewright check', () => {
  test('says what can be served, and exits with 0', async () => {
    const io = workIn({ 'gateway.yaml': GOOD });
    assert.equal(await runCheck(undefined, text, io), 0);
    assert.equal(io.out, 'gateway.yaml can be served: 2 routes, 1 upstream, 1 listener\n');
    assert.equal(io.err, '');
  });

  test('prints every problem on a line of its own, and exits with 1', async () => {
    const io = workIn({ 'other.yaml': BAD });
    assert.equal(await runCheck('other.yaml', text, io), 1);
    assert.deepEqual(io.out.split('\n'), [
      'other.yaml:5:36  error  UNKNOWN_UPSTREAM  there is no upstream "v" (did you mean "u"?)',
      'other.yaml:6:1  error  UNKNOWN_KEY  unknown key "thread" at the top (did you mean "threads"?)',
      'other.yaml: 2 errors',
      '',
    ]);
  });

  test('exits with 0 when there are only warnings', async () => {
    const io = workIn({ 'gateway.yaml': `policies: {p: requestId}\n${GOOD}` });
    assert.equal(await runCheck(undefined, text, io), 0);
    assert.deepEqual(io.out.split('\n'), [
      'gateway.yaml:1:12  warning  UNUSED  policies.p is not used by anything',
      'gateway.yaml: 1 warning',
      'gateway.yaml can be served: 2 routes, 1 upstream, 1 listener',
      '',
    ]);
  });

  test('prints one JSON object for programs', async () => {
    const io = workIn({ 'gateway.json': '{"thread": 1}' });
    assert.equal(await runCheck(undefined, json, io), 1);
    assert.deepEqual(JSON.parse(io.out), {
      file: 'gateway.json',
      ok: false,
      errors: 1,
      warnings: 0,
      problems: [
        {
          file: 'gateway.json',
          line: 1,
          column: 2,
          severity: 'error',
          code: 'UNKNOWN_KEY',
          message: 'unknown key "thread" at the top',
          path: ['thread'],
          suggestion: 'threads',
        },
      ],
    });
    const good = workIn({ 'gateway.yaml': GOOD });
    assert.equal(await runCheck(undefined, json, good), 0);
    assert.deepEqual(JSON.parse(good.out), { file: 'gateway.yaml', ok: true, errors: 0, warnings: 0, problems: [] });
  });

  const authenticated = (policy: string, more = '') =>
    `${more}upstreams: {u: {targets: ["http://127.0.0.1:1"]}}\nroutes:\n  a: {match: {path: /*}, upstream: u, policies: [${policy}]}\n`;

  for (const [what, config, place, reason] of [
    ['a file of users that is not there', authenticated('{basicAuth: {htpasswd: ./none}}'), '3:50', /no such file/],
    [
      'a line of it that is wrong',
      authenticated('{basicAuth: {htpasswd: ./users}}'),
      '3:50',
      /users: line 1: hashes of MD5/,
    ],
    ['a key set that is not there', authenticated('{jwt: {jwks: ./none.json}}'), '3:50', /no such file/],
    [
      'a key that is none',
      authenticated('requestId, {jwt: {keys: [nonsense]}}'),
      '3:61',
      /key number 1: write a public key/,
    ],
    [
      'a policy of the defaults',
      authenticated('', 'defaults: {policies: [{jwt: {keys: [nonsense]}}]}\n'),
      '1:23',
      /route a: policy jwt: key number 1/,
    ],
    [
      'a folder for the database of consumers that is not there',
      authenticated('apiKey', 'consumerSources: {database: ./none/consumers.db}\n'),
      '1:29',
      /none\/consumers\.db cannot be opened/,
    ],
    [
      'a database of consumers that is none',
      authenticated('apiKey', 'consumerSources: {database: ./users}\n'),
      '1:29',
      /users is not a database/,
    ],
    [
      'a database of quotas that is none',
      authenticated('{quota: {limit: 5, per: day}}', 'quotas: {database: ./users}\n'),
      '1:20',
      /the database of quotas .*users is not a database/,
    ],
  ] as const) {
    test(`finds what only shows when it is made, and where it stands: ${what}`, async () => {
      const io = workIn({ 'gateway.yaml': config, users: 'ada:$apr1$x$abcdefghijklmnopqrstu/\n' });
      assert.equal(await runCheck(undefined, text, io), 1);
      const [problem] = io.out.split('\n');
      assert.ok(problem?.startsWith(`gateway.yaml:${place}  error  CANNOT_SERVE  `), problem);
      assert.match(problem, reason);
    });
  }

  test('leaves no database behind where it only looks', async () => {
    const more = 'consumerSources: {database: ./consumers.db}\nquotas: {database: ./quotas.db}\n';
    const io = workIn({ 'gateway.yaml': authenticated('apiKey, {quota: {limit: 5, per: day}}', more) });
    assert.equal(await runCheck(undefined, text, io), 0);
    assert.deepEqual(readdirSync(io.cwd), ['gateway.yaml']);
  });

  test('finds the configuration of the folder, in the order that is documented', async () => {
    const io = workIn({ 'gateway.config.ts': 'export default {}', 'gateway.json': '{}', 'gateway.yaml': GOOD });
    assert.equal(await runCheck(undefined, text, io), 0);
    assert.match(io.out, /^gateway\.yaml can be served/);
  });

  test('exits with 2 when there is nothing to check, and with 1 when what was named is not there', async () => {
    const empty = workIn();
    assert.equal(await runCheck(undefined, text, empty), 2);
    assert.match(empty.err, /^There is no gateway\.yaml here/);
    const missing = workIn();
    assert.equal(await runCheck('nope.yaml', text, missing), 1);
    assert.match(
      missing.out,
      /^nope\.yaml:1:1 {2}error {2}FILE {2}the configuration cannot be read \(there is no such file or folder\)$/m,
    );
  });

  test('takes variables from the environment of the command', async () => {
    const config = `${GOOD}admin: {token: "\${env:TOKEN}"}\n`;
    const without = workIn({ 'gateway.yaml': config });
    assert.equal(await runCheck(undefined, text, without), 1);
    assert.match(without.out, /INTERPOLATION {2}the environment variable TOKEN is not set/);
    const io = { ...workIn({ 'gateway.yaml': config }), env: { TOKEN: 'sesame' } };
    assert.equal(await runCheck(undefined, text, io), 0);
  });
});

suite('gatewright init', () => {
  test('writes a configuration that check accepts without a word', async () => {
    const io = workIn();
    assert.equal(runInit(io), 0);
    assert.match(io.out, /^Wrote gateway\.yaml/);
    io.out = '';
    assert.equal(await runCheck(undefined, text, io), 0);
    assert.match(io.out, /^gateway\.yaml can be served: 2 routes, 1 upstream, 1 listener\n$/);
  });

  test('writes comments that are right when their marks are removed', async () => {
    const io = workIn({ 'other.yaml': '' });
    runInit(io);
    const lines = readFileSync(join(io.cwd, 'gateway.yaml'), 'utf8').split('\n');
    const isOption = (line: string): boolean => /^ *# (?:- |[a-z]+:| {2,})/i.test(line) && !line.includes('$schema');
    const options = lines.filter(isOption);
    assert.ok(options.length >= 8, options.join('\n'));
    writeFileSync(
      join(io.cwd, 'all.yaml'),
      lines.map((line) => (isOption(line) ? line.replace('# ', '') : line)).join('\n'),
    );
    io.out = '';
    assert.equal(await runCheck('all.yaml', text, { ...io, env: { GATEWRIGHT_ADMIN_TOKEN: 'sesame' } }), 0, io.out);
    const [placeholder, ...others] = io.out.split('\n');
    assert.match(placeholder, /^all\.yaml:\d+:\d+ {2}warning {2}PLACEHOLDER {2}consumers\.mobile-app\.apiKeys/);
    assert.deepEqual(others, ['all.yaml: 1 warning', 'all.yaml can be served: 3 routes, 1 upstream, 1 listener', '']);
  });

  test('never writes over a configuration', () => {
    for (const name of ['gateway.yaml', 'gateway.yml', 'gateway.json', 'gateway.config.ts']) {
      const io = workIn({ [name]: 'mine' });
      assert.equal(runInit(io), 1);
      assert.equal(io.err, `There is ${name} already; it was left as it is.\n`);
      assert.equal(readFileSync(join(io.cwd, name), 'utf8'), 'mine');
    }
  });

  test('says why it cannot write', () => {
    const io = workIn();
    assert.equal(runInit({ ...io, cwd: '/nowhere/at/all' }), 1);
    assert.match(io.err, /^gateway\.yaml cannot be written \(there is no such file or folder\)\.$/m);
  });
});

suite('gatewright schema', () => {
  test('prints a JSON Schema with the options of the policies', async () => {
    const io = workIn();
    assert.equal(await runSchema(io), 0);
    const schema = JSON.parse(io.out);
    assert.equal(schema.$schema, 'http://json-schema.org/draft-07/schema#');
    assert.equal(schema.additionalProperties, false);
    assert.equal(
      schema.properties.listeners.additionalProperties.properties.limits.properties.headBytes.default,
      '32KiB',
    );
    const [, , withOptions] = schema.definitions.policyUse.anyOf;
    assert.deepEqual(withOptions.properties.bodyLimit.anyOf[0].required, ['max']);
    assert.equal(withOptions.properties.validate.description, 'Not available yet.');
  });
});
