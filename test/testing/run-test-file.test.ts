import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { formatProblem } from '../../src/config/problem.ts';
import { runTestFile, type RunTestsOptions, type TestFileResult } from '../../src/testing/run-test-file.ts';
import { folderWith } from '../support/command.ts';

const config = `
upstreams:
  app: {targets: ["http://127.0.0.1:3001", "http://127.0.0.1:3002"]}
  other: {targets: ["http://127.0.0.1:3003"]}
defaults: {timeouts: {firstByte: 5s}}
routes:
  app: {match: {path: "/app/*"}, rewrite: {path: "/v1/{*}"}, upstream: app}
  other: {match: {path: /other}, policies: [{headers: {request: {set: {x-key: "\${env:SERVICE_KEY:-none}"}}}}], upstream: other}
  fixed: {match: {path: /fixed}, respond: {status: 201, headers: {x-a: b}, body: "made here"}}
`;

async function run(
  t: TestContext,
  tests: string,
  options: Partial<RunTestsOptions> & { config?: string | null } = {},
): Promise<TestFileResult> {
  const { config: text = config, ...rest } = options;
  const cwd = await folderWith(t, { 'a.test.yaml': tests, ...(text !== null && { 'gateway.yaml': text }) });
  return runTestFile('a.test.yaml', { cwd, env: {}, ...rest });
}

const problemsOf = ({ problems }: TestFileResult): string[] => problems.map((problem) => formatProblem(problem));

/** `line:column  message` of every failure. */
function failuresOf({ problems, tests }: TestFileResult): string[] {
  assert.deepEqual(problems, []);
  return tests.flatMap(({ failures }) => failures.map(({ line, column, message }) => `${line}:${column}  ${message}`));
}

describe('tests of a configuration', () => {
  it('pass when everything is as expected', async (t) => {
    const result = await run(
      t,
      `
tests:
  - name: forwarded
    request: {method: POST, url: http://x/app/a?b=c, headers: {x-a: ["1", "2"]}, json: {id: 7}}
    upstream: {status: 202, headers: {x-b: c}, json: {ok: true, items: [1, 2]}}
    expect:
      route: app
      status: 202
      code: null
      upstream: app
      target: http://127.0.0.1:3001
      attempts: 1
      clientIp: 127.0.0.1
      headers: {X-B: c, content-type: {regex: ^application/json$}, x-c: {present: false}, x-b: {contains: c}}
      body: {json: {items: [1, 2], ok: true}}
      upstreamRequest:
        method: POST
        path: /v1/a?b=c
        headers: {host: x, x-a: "1, 2", content-type: application/json}
        body: {contains: {id: 7}}
  - name: of the gateway itself
    request: GET http://x/fixed
    expect: {status: 201, body: made here, upstreamRequest: null, upstream: null, target: null, attempts: 0, cache: null, consumer: null}
  - {name: nowhere, request: GET http://x/, expect: {route: null, code: NO_ROUTE}}
  - {name: echo, request: GET http://x/other, expect: {body: {contains: "\\"path\\":\\"/other\\""}}}
  - {name: text, request: GET http://x/fixed, expect: {body: {regex: "^made (here|there)$"}}}
`,
    );
    assert.deepEqual(failuresOf(result), []);
    assert.deepEqual(
      result.tests.map(({ name, line, column }) => [name, line, column]),
      [
        ['forwarded', 3, 5],
        ['of the gateway itself', 21, 5],
        ['nowhere', 24, 5],
        ['echo', 25, 5],
        ['text', 26, 5],
      ],
    );
  });

  it('fail with every difference, each at the place of the expectation', async (t) => {
    const result = await run(
      t,
      `tests:
  - name: all wrong
    request: GET http://x/app/a
    expect:
      route: other
      status: 404
      code: NO_ROUTE
      upstream: null
      attempts: 2
      headers: {x-a: b, content-type: {regex: "^text/"}, content-length: {present: false}}
      body: {json: {path: /v2/a}}
      upstreamRequest: {method: PUT, path: /a, headers: {via: {contains: nobody}}, body: full}
  - {name: text, request: GET http://x/fixed, expect: {body: made elsewhere, upstreamRequest: {path: /}}}
  - {name: parts, request: GET http://x/app/a, expect: {body: {contains: nothing like it}, upstreamRequest: null}}
  - {name: no JSON, request: GET http://x/fixed, expect: {body: {json: 1}}}
`,
    );
    const failures = failuresOf(result);
    for (const expected of [
      '5:14  route: expected "other", got "app"',
      '6:15  status: expected 404, got 200',
      '7:13  code: expected "NO_ROUTE", got none',
      '8:17  upstream: expected none, got "app"',
      '9:17  attempts: expected 2, got 1',
      '10:22  headers.x-a: expected "b", got none',
      '10:25  headers.content-type: expected what matches /^text//, got "application/json"',
      '11:7  body.path: expected "/v2/a", got "/v1/a"',
      '11:7  body.upstream: expected none, got "app"',
      '12:33  upstreamRequest.method: expected "PUT", got "GET"',
      '12:44  upstreamRequest.path: expected "/a", got "/v1/a"',
      '12:58  upstreamRequest.headers.via: expected what contains "nobody", got "1.1 gatewright"',
      '12:90  upstreamRequest.body: expected "full", got ""',
      '13:62  body: expected "made elsewhere", got "made here"',
      '13:78  upstreamRequest: expected one, got none',
      '15:59  body: expected JSON, got "made here"',
    ]) {
      assert.ok(failures.includes(expected), `${expected}\n\nis not among\n\n${failures.join('\n')}`);
    }
    assert.match(failures.join('\n'), /^14:\d+ {2}body: expected what contains "nothing like it", got "\{/m);
    assert.match(failures.join('\n'), /^14:\d+ {2}upstreamRequest: expected none, got "?GET \/v1\/a to http:/m);
    assert.ok(result.tests.every((test) => test.failures.length > 0));
  });

  it('show long texts from a little before the difference', async (t) => {
    const same = 'x'.repeat(500);
    const result = await run(
      t,
      `tests: [{name: a, request: GET http://x/app/a, upstream: {body: ${same}one}, expect: {body: ${same}two}}]`,
    );
    const shown = (end: string): string => `"${'x'.repeat(20)}${end}" from character 481 on`;
    const [failure] = failuresOf(result);
    assert.match(failure ?? '', new RegExp(`body: expected ${shown('two')}, got ${shown('one')}$`));
  });

  it('see several headers of one name as one', async (t) => {
    const result = await run(
      t,
      'tests: [{name: a, request: GET http://x/app/a, upstream: {headers: {set-cookie: [a=b, c=d]}}, expect: {headers: {set-cookie: "a=b, c=d"}}}]',
    );
    assert.deepEqual(failuresOf(result), []);
  });

  it('go step by step, with what upstreams do and the time that passes', async (t) => {
    const result = await run(
      t,
      `
upstreams: {other: {body: of the file}}
tests:
  - name: steps
    upstreams: {app: {body: of the test}}
    steps:
      - {request: GET http://x/other, expect: {body: of the file}}
      - {request: GET http://x/app/a, expect: {body: of the test}}
      - {request: GET http://x/app/a, upstream: {body: of the step}, expect: {body: of the step}}
      - {request: GET http://x/app/a, upstream: hang, expect: {code: UPSTREAM_TIMEOUT}}
      - advance: 1h
      - request: GET http://x/app/a
        upstreams: {"http://127.0.0.1:3001": refuse}
        repeat: 4
        expect: {target: http://127.0.0.1:3002, body: of the test}
      - {request: GET http://x/app/a, upstreams: {app: {delay: 4s, body: late}}, expect: {body: late}}
      - {request: GET http://x/app/a, upstreams: {app: reset}, expect: {code: UPSTREAM_RESET}}
  - {name: others are as before, request: GET http://x/app/a, expect: {body: {contains: v1}}}
`,
    );
    assert.deepEqual(failuresOf(result), []);
  });

  it('stop at the step that fails, and say which it is', async (t) => {
    const result = await run(
      t,
      `
tests:
  - name: steps
    steps:
      - {request: GET http://x/fixed, repeat: 3, expect: {status: 201}}
      - {request: GET http://x/fixed, repeat: 3, expect: {status: 200}}
      - {request: GET http://x/fixed, expect: {status: 500}}
`,
    );
    assert.deepEqual(
      result.tests[0]?.failures.map(({ step, request, message }) => [step, request, message]),
      [[2, 'GET http://x/fixed (1 of 3)', 'status: expected 200, got 201']],
    );
  });

  it('fail where a request cannot be made', async (t) => {
    const result = await run(t, 'tests: [{name: a, request: GET https://x/, expect: {status: 200}}]');
    assert.deepEqual(failuresOf(result), ['1:28  no listener serves https']);
  });

  it('fail where the gateway cannot be made, and say why', async (t) => {
    const policy = `export default {name: 'p', summary: 'p', options: (await import('gatewright')).z.any(),
      create() { throw new Error('not like this'); }};`;
    const cwd = await folderWith(t, {
      'gateway.yaml': 'routes: {a: {policies: [{use: ./p.ts}], respond: {}}}',
      'a.test.yaml': 'tests: [{name: a, request: GET http://x/, expect: {status: 200}}]',
      'p.ts': policy.replace("'gatewright'", JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)),
    });
    const [failure] = failuresOf(await runTestFile('a.test.yaml', { cwd, env: {} }));
    assert.match(failure ?? '', /route a: policy p: not like this/);
  });

  it('answer what the gateway asks on its own behalf, and only that', async (t) => {
    const policy = pathToFileURL(resolve('test/support/asking-policy.ts')).href;
    const cwd = await folderWith(t, {
      'gateway.yaml': `routes: {a: {policies: [{use: ./p.ts, options: {url: "http://auth.internal/ask"}}], respond: {}}}`,
      'p.ts': `export { default } from '${policy}';`,
      'a.test.yaml': `
upstreams: {"http://auth.internal/ask": {status: 201}}
tests:
  - name: steps
    upstreams: {"http://auth.internal/ask": {status: 202}}
    steps:
      - {request: GET http://x/, expect: {status: 202}}
      - {request: GET http://x/, upstreams: {"http://auth.internal/ask": reset}, expect: {status: 503}}
      - {request: GET http://x/, expect: {status: 202}}
  - {name: from the file, request: GET http://x/, expect: {status: 201}}
`,
    });
    assert.deepEqual(failuresOf(await runTestFile('a.test.yaml', { cwd, env: {} })), []);
  });

  it('know variables, files and the date of their own', async (t) => {
    const result = await run(
      t,
      `
config: ./gateway.yaml
env: {GREETING: hello}
files: {/run/secrets/name: "ada\\n"}
now: "2030-05-06T07:08:09Z"
tests: [{name: a, request: GET http://x/, expect: {body: hello ada}}]
`,
      {
        config: 'routes: {a: {respond: {body: "${env:GREETING} ${file:/run/secrets/name}"}}}',
        env: { GREETING: 'no' },
      },
    );
    assert.deepEqual(failuresOf(result), []);
  });

  it('never show a secret of the configuration', async (t) => {
    const result = await run(
      t,
      'tests: [{name: a, request: GET http://x/other, expect: {upstreamRequest: {headers: {x-key: other}}}}]',
      { env: { SERVICE_KEY: 'correct-horse' } },
    );
    assert.equal(result.tests[0]?.failures.length, 1);
    assert.match(JSON.stringify(result), /\[secret\]/);
    assert.doesNotMatch(JSON.stringify(result), /correct-horse/);
  });

  it('can ask somebody why another route won', async (t) => {
    const result = await run(
      t,
      'tests: [{name: a, request: GET http://x/fixed, expect: {route: app}}, {name: b, request: GET http://x/fixed, expect: {route: fixed, status: 1xx}}]'.replace(
        '1xx',
        '200',
      ),
      { explainRoute: (_config, { url }, expected, actual) => [`${url}: ${actual} and not ${expected}`] },
    );
    assert.deepEqual(
      result.tests.map(({ failures }) => failures.map(({ notes }) => notes)),
      [[['the gateway answered 201', 'http://x/fixed: fixed and not app']], [['the gateway answered 201']]],
    );
  });
});

describe('mistakes in a file of tests', () => {
  const one = (rest: string): string =>
    `tests:\n  - name: a\n    request: GET http://x/\n    expect: {status: 200}\n${rest}`;

  for (const [what, text, ...problems] of [
    ['no YAML', 'tests: [', /^a\.test\.yaml:\d+:\d+ {2}error {2}SYNTAX/],
    ['no tests', 'tests: []', /^a\.test\.yaml:1:1 {2}error {2}BAD_VALUE {2}tests: is empty$/],
    ['nothing', '', /MISSING|BAD_VALUE/],
    ['an unknown key at the top', one('test: []'), /:5:1 {2}error {2}UNKNOWN_KEY.*did you mean "tests"/],
    ['an unknown key of a test', one('    upstraem: hang'), /:5:5 {2}error {2}UNKNOWN_KEY.*did you mean "upstream"/],
    [
      'an unknown key of an expectation',
      'tests: [{name: a, request: GET http://x/, expect: {sttaus: 200}}]',
      /:1:52 {2}error {2}UNKNOWN_KEY.*did you mean "status"/,
    ],
    ['a key written twice', one('    expect: {status: 201}'), /:5:5 {2}error {2}DUPLICATE_KEY/],
    ['no method', one('').replace('GET ', ''), /:3:14 {2}error {2}BAD_VALUE.*write a method and a URL/],
    ['no URL', one('').replace('http://x', ''), /:3:14 {2}error {2}BAD_VALUE.*write a method and a URL/],
    ['no request', 'tests: [{name: a, expect: {status: 200}}]', /:1:9 {2}error.*one `request`, or several `steps`/],
    ['a request and steps', one('    steps: [{advance: 1s}]'), /:2:5 {2}error.*one `request`, or several `steps`/],
    [
      'nothing expected',
      'tests: [{name: a, request: GET http://x/}, {name: b, steps: [{advance: 1s}]}]',
      /:1:9 {2}error.*cannot fail/,
      /:1:44 {2}error.*cannot fail/,
    ],
    [
      'an empty expectation',
      'tests: [{name: a, request: GET http://x/, expect: {}}]',
      /:1:43 {2}error.*expects nothing/,
    ],
    [
      'a step with two things',
      'tests: [{name: a, steps: [{request: GET http://x/, advance: 1s, expect: {status: 200}}]}]',
      /:1:27 {2}error.*a `request`, or lets time pass/,
    ],
    [
      'a step of time that expects something',
      'tests: [{name: a, steps: [{advance: 1s, expect: {status: 200}}]}]',
      /:1:27 {2}error.*has nothing else/,
    ],
    ['a duration without unit', 'tests: [{name: a, steps: [{advance: 10}]}]', /:1:37 {2}error/],
    ['two tests of one name', `${one('')}${one('').slice('tests:\n'.length)}`, /:5:11 {2}error {2}BAD_NAME.*already/],
    ['an unknown code', one('').replace('status: 200', 'code: NO_RUOTE'), /:4:20 {2}error.*did you mean "NO_ROUTE"/],
    ['a bad regex', one('').replace('status: 200', 'headers: {a: {regex: "("}}'), /:4:35 {2}error.*not a regular/],
    ['an empty body', one('').replace('status: 200', 'body: {}'), /:4:\d+ {2}error/],
    ['an unknown failure', one('    upstream: hangs'), /:5:15 {2}error.*did you mean "hang"/],
    ['text and JSON', one('    upstream: {body: a, json: b}'), /:5:31 {2}error.*not both/],
    ['a header that frames', one('    upstream: {headers: {content-length: "1"}}'), /:5:\d+ {2}error/],
    [
      'a bad address',
      one('').replace('GET http://x/', '{url: "http://x/", from: home}'),
      /:3:\d+ {2}error.*IP address/,
    ],
    ['a bad date', `now: yesterday\n${one('')}`, /:1:6 {2}error.*write a date/],
    ['an unknown upstream', one('    upstreams: {ap: hang}'), /:5:17 {2}error {2}UNKNOWN_UPSTREAM.*did you mean "app"/],
    ['an unknown upstream of the file', `upstreams: {ap: hang}\n${one('')}`, /:1:13 {2}error {2}UNKNOWN_UPSTREAM/],
    [
      'unknown names in an expectation',
      one('').replace('status: 200', 'route: ap, upstream: othre, target: http://127.0.0.1:3004'),
      /:4:21 {2}error {2}UNKNOWN_ROUTE.*did you mean "app"/,
      /:4:35 {2}error {2}UNKNOWN_UPSTREAM.*did you mean "other"/,
      /:4:50 {2}error {2}UNKNOWN_TARGET/,
    ],
    [
      'an unknown listener',
      one('').replace('GET http://x/', '{url: "http://x/", listener: wbe}'),
      /:3:\d+ {2}error {2}UNKNOWN_LISTENER.*did you mean "web"/,
    ],
  ] as const) {
    it(`are found: ${what}`, async (t) => {
      const result = await run(t, text);
      assert.deepEqual(result.tests, []);
      const found = problemsOf(result);
      assert.equal(found.length, problems.length, found.join('\n'));
      for (const [index, problem] of problems.entries()) assert.match(found[index] ?? '', problem);
    });
  }

  it('are not found in what is only text', async (t) => {
    const result = await run(
      t,
      'tests: [{name: a, request: {method: POST, url: http://x/app/, body: "${env:NOBODY}"}, expect: {upstreamRequest: {body: "${env:NOBODY}"}}}]',
    );
    assert.deepEqual(failuresOf(result), []);
  });

  it('include a configuration that is not there, or has errors', async (t) => {
    const tests = 'tests: [{name: a, request: GET http://x/, expect: {status: 200}}]';
    assert.match(
      problemsOf(await run(t, tests, { config: null })).join(),
      /^a\.test\.yaml:1:1 .*no gateway\.yaml beside/,
    );
    assert.match(problemsOf(await run(t, `config: other.yaml\n${tests}`)).join(), /^other\.yaml:1:1 .*cannot be read/);
    assert.deepEqual(problemsOf(await run(t, tests, { config: 'routes: {a: {upstream: b}}' })), [
      'gateway.yaml:1:24  error  UNKNOWN_UPSTREAM  there is no upstream "b"',
    ]);
    const missing = await runTestFile('none.test.yaml', { cwd: await folderWith(t), env: {} });
    assert.match(
      problemsOf(missing).join(),
      /^none\.test\.yaml:1:1 .*cannot be read \(there is no such file or folder\)$/,
    );
  });
});
