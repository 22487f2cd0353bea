/** The command line as a user meets it: help, mistakes, exit codes. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type TestContext, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { Command, folderWith } from '../support/command.ts';
import { runHere } from '../support/run-here.ts';

const GOOD = 'upstreams: {u: {targets: ["http://127.0.0.1:1"]}}\nroutes: {a: {match: {path: /a}, upstream: u}}\n';

const isOneLine = (text: string): boolean => /^[^\n]+\n$/.test(text);

describe('gatewright', () => {
  it('shows what there is when it is asked for help, or for nothing', async (t) => {
    const asked = await Command.run(t, ['--help']);
    assert.equal(asked.exitCode, 0);
    assert.equal(asked.stderr, '');
    for (const command of ['run', 'check', 'plan', 'limits-test', 'schema', 'init', 'status']) {
      assert.match(asked.stdout, new RegExp(`^  ${command} `, 'm'));
    }

    const nothing = await Command.run(t, []);
    assert.equal(nothing.exitCode, 2);
    assert.equal(nothing.stdout, '');
    assert.equal(nothing.stderr, asked.stdout);
  });

  it('shows for every command what it does and takes', async () => {
    for (const [command, expected] of [
      ['run', /\[file\][\s\S]*by default gateway\.yaml/],
      ['check', /--format <format>[\s\S]*"text", "json"/],
      ['plan', /<new>[\s\S]*--against <old>[\s\S]*--admin <url>[\s\S]*--fail-on <kinds>/],
      ['limits-test', /<urls...>[\s\S]*--rate <rate>[\s\S]*--by-header <name>[\s\S]*--json/],
      ['schema', /JSON Schema/],
      ['init', /gateway\.yaml/],
      ['status', /--admin <url>[\s\S]*127\.0\.0\.1:9901[\s\S]*--format <format>/],
    ] as const) {
      const { exitCode, stdout, stderr } = await runHere([command, '--help']);
      assert.deepEqual([exitCode, stderr], [0, '']);
      assert.match(stdout, new RegExp(`^Usage: gatewright ${command} `));
      assert.match(stdout, expected);
    }
  });

  it('says its version', async (t) => {
    const { exitCode, stdout } = await Command.run(t, ['--version']);
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    assert.deepEqual([exitCode, stdout], [0, `${version}\n`]);
  });

  for (const [mistake, args, expected] of [
    ['an unknown command', ['chek'], /unknown command 'chek' \(Did you mean check\?\)/],
    ['an unknown option', ['check', '--formt', 'json'], /unknown option '--formt' \(Did you mean --format\?\)/],
    ['an option that another command has', ['run', '--format', 'json'], /unknown option '--format'/],
    ['a format that there is not', ['check', '--format', 'xml'], /'xml' is invalid\. Allowed choices are text, json/],
    ['two files', ['check', 'a.yaml', 'b.yaml'], /too many arguments for 'check'/],
  ] as const) {
    it(`answers ${mistake} with 2 and one line that helps`, async () => {
      const { exitCode, stdout, stderr } = await runHere(args);
      assert.deepEqual([exitCode, stdout], [2, '']);
      assert.ok(isOneLine(stderr), stderr);
      assert.match(stderr, expected);
      assert.match(stderr, /Try: gatewright --help$/m);
    });
  }

  it('does so in a process of its own', async (t) => {
    const { exitCode, stdout, stderr } = await Command.run(t, ['check', 'a.yaml', 'b.yaml']);
    assert.deepEqual([exitCode, stdout], [2, '']);
    assert.ok(isOneLine(stderr), stderr);
  });
});

describe('gatewright check', () => {
  const check = async (t: TestContext, files: Readonly<Record<string, string>>, ...args: string[]) =>
    runHere(['check', ...args], { cwd: await folderWith(t, files) });

  it('ends with 0 for a configuration that can be served', async (t) => {
    const cwd = await folderWith(t, { 'gateway.yaml': GOOD });
    const { exitCode, stdout, stderr } = await Command.run(t, ['check'], { cwd });
    assert.deepEqual([exitCode, stderr], [0, '']);
    assert.equal(stdout, 'gateway.yaml can be served: 1 route, 1 upstream, 1 listener\n');
  });

  it('ends with 0 when there are warnings only, and shows a request that proves each', async (t) => {
    const tied = GOOD.replace('{a:', '{b: {match: {path: /a}, upstream: u}, a:');
    const { exitCode, stdout } = await check(t, { 'gateway.yaml': tied });
    assert.equal(exitCode, 0);
    assert.match(
      stdout,
      /^gateway\.yaml:2:\d+ {2}warning {2}ROUTE_TIED {2}routes a and b .* GET http:\/\/\S+\/a; a gets it/,
    );
  });

  it('ends with 1 when there are errors, all of which it names', async (t) => {
    const wrong = `upstreams: {u: {targets: ["http://127.0.0.1:1"]}}
routes:
  good: {match: {path: /a}, upstream: u}
  bad: {match: {path: {regex: "^/(?=a)"}}, upstream: u}
thread: 1
`;
    const cwd = await folderWith(t, { 'other.yaml': wrong });
    const { exitCode, stdout } = await Command.run(t, ['check', 'other.yaml'], { cwd });
    assert.equal(exitCode, 1);
    const lines = stdout.trimEnd().split('\n');
    assert.match(
      lines[0],
      /^other\.yaml:4:\d+ {2}error {2}BAD_PATTERN {2}routes\.bad\.match\.path\[0\]\.regex: .*lookahead/,
    );
    assert.match(lines[1], /^other\.yaml:5:1 {2}error {2}UNKNOWN_KEY .*did you mean "threads"\?/);
    assert.deepEqual(lines.slice(2), ['other.yaml: 2 errors']);
  });

  it('prints one JSON object for programs', async (t) => {
    const { exitCode, stdout } = await check(t, { 'gateway.yaml': `${GOOD}thread: 1\n` }, '--format', 'json');
    assert.equal(exitCode, 1);
    const { ok, errors, problems } = JSON.parse(stdout) as {
      ok: boolean;
      errors: number;
      problems: { code: string }[];
    };
    assert.deepEqual([ok, errors, problems.map(({ code }) => code)], [false, 1, ['UNKNOWN_KEY']]);
  });

  it('ends with 2 when there is nothing to check, and with 1 when what was named cannot be read', async (t) => {
    const nothing = await check(t, {});
    assert.deepEqual([nothing.exitCode, nothing.stdout], [2, '']);
    assert.ok(isOneLine(nothing.stderr));
    const missing = await check(t, {}, 'nope.yaml');
    assert.equal(missing.exitCode, 1);
    assert.match(missing.stdout, /^nope\.yaml:1:1 {2}error {2}FILE /);
  });

  it('does not mind a reader that stops, and still says by its exit code what it found', async (t) => {
    const routes = Array.from({ length: 5000 }, (_, index) => `  r${index}: {match: {pth: /a}, upstream: u}\n`);
    const cwd = await folderWith(t, { 'gateway.yaml': `${GOOD.split('\n')[0]}\nroutes:\n${routes.join('')}` });
    const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
    const line = `("$0" "${main}" check; echo "code $?" >&2) | head -n 1`;
    const { stdout, stderr } = await promisify(execFile)('sh', ['-c', line, process.execPath], { cwd });
    assert.match(stdout, /^gateway\.yaml:3:\d+ {2}error {2}UNKNOWN_KEY [^\n]*\n$/);
    assert.equal(stderr, 'code 1\n');
  });
});

describe('gatewright init and schema', () => {
  it('write a configuration that check accepts, once, and a schema for editors', async (t) => {
    const cwd = await folderWith(t);
    const first = await Command.run(t, ['init'], { cwd });
    assert.deepEqual([first.exitCode, first.stderr], [0, '']);
    assert.match(first.stdout, /^Wrote gateway\.yaml\./);
    const checked = await runHere(['check'], { cwd });
    assert.deepEqual([checked.exitCode, checked.stderr], [0, '']);
    assert.ok(isOneLine(checked.stdout), checked.stdout);

    const second = await runHere(['init'], { cwd });
    assert.deepEqual([second.exitCode, second.stdout], [1, '']);
    assert.equal(second.stderr, 'There is gateway.yaml already; it was left as it is.\n');

    const schema = await Command.run(t, ['schema'], { cwd });
    assert.deepEqual([schema.exitCode, schema.stderr], [0, '']);
    assert.ok('routes' in (JSON.parse(schema.stdout) as { properties: object }).properties);
  });
});
