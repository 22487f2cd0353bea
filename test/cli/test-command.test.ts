import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Command, folderWith } from '../support/command.ts';
import { type CommandOutcome, runHere } from '../support/run-here.ts';

const config = 'routes: {a: {match: {path: /a}, respond: {status: 200, body: hello}}}\n';
const good = 'tests:\n  - {name: a is there, request: GET http://x/a, expect: {route: a, status: 200}}\n';
const bad = 'tests:\n  - {name: a says bye, request: GET http://x/a, expect: {body: bye}}\n';

const testing = new URL('../../src/testing/index.ts', import.meta.url).href;
const code = (assertion: string): string => `
  import assert from 'node:assert/strict';
  import { describe, it } from 'node:test';
  import { testGateway } from ${JSON.stringify(testing)};
  const gateway = await testGateway(new URL('gateway.yaml', import.meta.url).pathname);
  console.log('printed by the tests');
  describe('a gateway', () => {
    it('says hello', async () => {
      const { status, body } = await gateway.request('GET', 'http://x/a');
      assert.equal(status, 200);
      ${assertion}
    });
  });
`;

async function write(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const cwd = await folderWith(t);
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(cwd, name)), { recursive: true });
    await writeFile(join(cwd, name), text);
  }
  return cwd;
}

async function test(
  t: TestContext,
  files: Readonly<Record<string, string>>,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<CommandOutcome> {
  return runHere(['test', ...args], { cwd: await write(t, files), env });
}

/** The same in a process of its own. */
async function start(...[t, files, args = [], env = {}]: Parameters<typeof test>): Promise<Command> {
  return Command.run(t, ['test', ...args], { cwd: await write(t, files), env });
}

describe('gatewright test', () => {
  it('runs what it finds in the working folder and below, and exits with 0 when all pass', async (t) => {
    const { stdout, stderr, exitCode } = await start(t, {
      'gateway.yaml': config,
      'gateway.test.yaml': good,
      'more/gateway.yaml': config,
      'more/other.test.yml': good,
      'node_modules/x/gateway.test.yaml': bad,
      '.hidden/gateway.test.yaml': bad,
      'unit.test.ts': 'throw new Error("not a test of the gateway")',
      'notes.yaml': 'tests: none',
    });
    assert.deepEqual(stdout.split('\n'), [
      'gateway.test.yaml:2:5  ok  a is there',
      'more/other.test.yml:2:5  ok  a is there',
      '2 passed, 0 failed',
      '',
    ]);
    assert.equal(stderr, '');
    assert.equal(exitCode, 0);
  });

  it('runs the files and folders that are named, and exits with 1 when one fails', async (t) => {
    const files = {
      'gateway.yaml': config,
      'good.yaml': good,
      'gateway.test.yaml': 'not even this',
      'below/bad.test.yaml': bad.replace('tests:', 'config: ../gateway.yaml\ntests:'),
    };
    const { stdout, exitCode } = await start(t, files, ['good.yaml', 'below']);
    assert.deepEqual(stdout.split('\n'), [
      'good.yaml:2:5  ok  a is there',
      'below/bad.test.yaml:3:5  FAILED  a says bye',
      '    GET http://x/a',
      '    below/bad.test.yaml:3:64  body: expected "bye", got "hello"',
      '      the gateway answered 200',
      '1 passed, 1 failed',
      '',
    ]);
    assert.equal(exitCode, 1);
  });

  it('puts long values on lines of their own, and lets none of them move the cursor', async (t) => {
    const long = `${'x'.repeat(100)}\\e[2J\\u009b2J`;
    const files = { 'gateway.yaml': config.replace('hello', `"${long}"`), 'gateway.test.yaml': bad };
    const { stdout } = await test(t, files);
    assert.match(stdout, /^ {6}expected {2}"bye"$/m);
    assert.match(stdout, /^ {6}got {7}"x{100}\\u001b\[2J 2J"$/m);
  });

  it('reports as JSON', async (t) => {
    const files = { 'gateway.yaml': config, 'a.test.yaml': good + bad.slice('tests:\n'.length), 'b.test.yaml': 'a: b' };
    const { stdout, exitCode } = await test(t, files, ['--format', 'json']);
    const report = JSON.parse(stdout);
    assert.equal(exitCode, 1);
    const { files: results, ...counts } = report;
    assert.deepEqual(counts, { ok: false, passed: 1, failed: 1, notRun: 1 });
    assert.deepEqual(results[0].tests[1], {
      name: 'a says bye',
      line: 3,
      column: 5,
      failures: [
        {
          line: 3,
          column: 64,
          step: null,
          request: 'GET http://x/a',
          message: 'body: expected "bye", got "hello"',
          what: 'body',
          expected: '"bye"',
          actual: '"hello"',
          notes: ['the gateway answered 200'],
        },
      ],
    });
    assert.deepEqual(
      results[1].problems.map((problem: { code: string }) => problem.code),
      ['MISSING', 'UNKNOWN_KEY'],
    );
  });

  it('prints what is wrong with the tests or with the configuration, and exits with 1', async (t) => {
    const { stdout, exitCode } = await test(t, {
      'gateway.yaml': config.replace('respond', 'respnd'),
      'gateway.test.yaml': good,
      'other.test.yaml': good.replace('expect', 'except'),
    });
    assert.match(stdout, /^gateway\.yaml:1:33 {2}error {2}UNKNOWN_KEY .*did you mean "respond"/m);
    assert.match(stdout, /^other\.test\.yaml:2:49 {2}error {2}UNKNOWN_KEY .*did you mean "expect"/m);
    assert.match(stdout, /^0 passed, 0 failed, 2 files could not be run$/m);
    assert.equal(exitCode, 1);
  });

  it('takes variables from the environment', async (t) => {
    const files = { 'gateway.yaml': config.replace('hello', '"${env:WORD}"'), 'gateway.test.yaml': bad };
    assert.equal((await test(t, files, [], { WORD: 'bye' })).exitCode, 0);
  });

  it('exits with 2 when there is nothing to run, or no such file', async (t) => {
    const nothing = await test(t, { 'gateway.yaml': config });
    assert.match(nothing.stderr, /^There are no tests here: /);
    assert.equal(nothing.exitCode, 2);
    const missing = await test(t, {}, ['none.test.yaml']);
    assert.equal(missing.stderr, 'there is no none.test.yaml\n');
    assert.equal(missing.exitCode, 2);
    const unknown = await test(t, { 'a.txt': '' }, ['a.txt']);
    assert.match(unknown.stderr, /^a\.txt is neither/);
    assert.equal(unknown.exitCode, 2);
    assert.equal((await test(t, {}, ['--fromat', 'json'])).exitCode, 2);
  });

  it('runs tests in code, those of a gateway also unasked, even from within a test', async (t) => {
    const files = { 'gateway.yaml': config, 'gateway.test.ts': code("assert.equal(body, 'hello');") };
    const context = process.env['NODE_TEST_CONTEXT'] ?? 'child-v8';
    const { stdout, stderr, exitCode } = await start(t, files, [], { NODE_TEST_CONTEXT: context });
    assert.match(stdout, /^gateway\.test\.ts:8:5 {2}ok {2}says hello\n1 passed, 0 failed\n$/);
    assert.match(stderr, /printed by the tests/);
    assert.equal(exitCode, 0);
  });

  it('tells which test in code has failed, and why', async (t) => {
    const files = {
      'gateway.yaml': config,
      'fails.test.ts': code("assert.equal(body, 'bye');"),
      'broken.test.ts': 'import "./not-there.ts";',
      'empty.test.ts': '',
    };
    const { stdout, exitCode } = await start(t, files, ['fails.test.ts', 'broken.test.ts', 'empty.test.ts']);
    assert.match(stdout, /^fails\.test\.ts:8:5 {2}FAILED {2}says hello$/m);
    assert.match(stdout, /^ {6}.*'hello'/m);
    assert.match(stdout, /^broken\.test\.ts:1:1 {2}FAILED/m);
    assert.match(stdout, /^0 passed, 2 failed, 1 file could not be run$/m);
    assert.equal(exitCode, 1);
  });
});
