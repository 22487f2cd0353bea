import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { formatProblem } from '../../src/config/problem.ts';
import { type TestOptions, loadText, problemsOf } from './load-text.ts';

const SECRET = 'hunter2-"very"\\secret';
const env = { TOKEN: SECRET, PORT: '8123', FLAG: 'true', EMPTY: '', SHORT: 'ab', MULTI: 'line one\nline two' };
const files = { '/run/secrets/token': `${SECRET}\n`, '/gw/local': 'local\r\n' };
const options: TestOptions = { env, files };

const routes = 'routes: {r: {respond: {body: BODY}}}\n';
const bodyOf = async (body: string): Promise<string | undefined> => {
  const { config } = await loadText(
    routes.replace('BODY', () => JSON.stringify(body)),
    options,
  );
  return config?.routes['r']?.respond?.body;
};

suite('interpolation', () => {
  test('works inside any string, several times', async () => {
    assert.equal(await bodyOf('${env:TOKEN}'), SECRET);
    assert.equal(await bodyOf('a ${env:SHORT} b ${env:SHORT}'), 'a ab b ab');
    assert.equal(await bodyOf('${file:/run/secrets/token}'), SECRET);
    assert.equal(await bodyOf('${file:local}'), 'local');
  });

  test('has defaults, as a shell does: for what is not set or empty', async () => {
    assert.equal(await bodyOf('${env:NOPE:-there}'), 'there');
    assert.equal(await bodyOf('${env:EMPTY:-there}'), 'there');
    assert.equal(await bodyOf('${env:SHORT:-there}'), 'ab');
    assert.equal(await bodyOf('${env:NOPE:-}'), '');
    assert.equal(await bodyOf('[${env:EMPTY}]'), '[]');
  });

  test('can be meant literally', async () => {
    assert.equal(await bodyOf('$${env:TOKEN} costs $5 {x} $x'), '${env:TOKEN} costs $5 {x} $x');
  });

  test('is not applied to what it inserts', async () => {
    const { config } = await loadText(routes.replace('BODY', '"${env:EVIL}"'), {
      env: { EVIL: '${env:TOKEN}', TOKEN: 'x' },
    });
    assert.equal(config?.routes['r']?.respond?.body, '${env:TOKEN}');
  });

  test('gives numbers and truth values where they belong', async () => {
    const text = `listeners: {web: {port: "\${env:PORT}", proxyProtocol: "\${env:FLAG}"}}
threads: "\${env:THREADS:-1}"
${routes}`;
    const { config, problems } = await loadText(text, options);
    assert.deepEqual(problems, []);
    assert.equal(config?.listeners['web']?.port, 8123);
    assert.equal(config?.listeners['web']?.proxyProtocol, true);
    assert.equal(config?.threads, 1);
  });

  test('leaves text that looks like a number alone where text belongs', async () => {
    assert.equal(await bodyOf('${env:PORT}'), '8123');
    const { config } = await loadText(`admin: {token: "\${env:PORT}"}\n${routes}`, options);
    assert.equal(config?.admin.token, '8123');
  });

  test('says what cannot be had, and where', async () => {
    const text = `admin:
  token: "\${env:NOPE}"
  host: "\${file:/nope}"
routes:
  r: {respond: {body: "\${oops}"}}
  s: {respond: {body: "\${env:X"}}
  t: {respond: {body: "\${env:1X} \${env:}"}}
`;
    const hint = 'is not understood: write ${env:NAME}, ${env:NAME:-default} or ${file:path}, or $${ for a literal ${';
    assert.deepEqual(await problemsOf(text, options), [
      '2:10 error INTERPOLATION the environment variable NOPE is not set',
      '3:9 error INTERPOLATION the file /nope cannot be read (there is no such file or folder)',
      `5:23 error INTERPOLATION \${oops} ${hint}`,
      `6:23 error INTERPOLATION \${env:X ${hint}`,
      `7:23 error INTERPOLATION \${env:1X} ${hint}`,
      `7:23 error INTERPOLATION \${env:} ${hint}`,
    ]);
  });

  test('takes no value from a file that is not UTF-8', async () => {
    const binary = { files: { '/gw/key': Buffer.from([0x61, 0xff, 0x62]).toString('utf8') } };
    assert.deepEqual(await problemsOf(routes.replace('BODY', '"${file:key}"'), binary), [
      '1:30 error INTERPOLATION the file key is not UTF-8 text',
    ]);
  });

  test('does not read a large file for a value', async () => {
    const large = { files: { '/gw/large': 'x'.repeat(100_000) } };
    assert.deepEqual(await problemsOf(routes.replace('BODY', '"${file:large}"'), large), [
      '1:30 error INTERPOLATION the file large is too large for a value (100000 characters)',
    ]);
  });

  test('works in JSON and in modules', async () => {
    const json = await loadText('{"routes": {"r": {"respond": {"body": "${env:SHORT}"}}}}', {
      ...options,
      format: 'json',
    });
    assert.equal(json.config?.routes['r']?.respond?.body, 'ab');
    const module = await loadText('export default {}', {
      ...options,
      format: 'module',
      importModule: async () => ({ default: { routes: { r: { respond: { body: '${env:SHORT}' } } } } }),
    });
    assert.equal(module.config?.routes['r']?.respond?.body, 'ab');
  });
});

suite('secrets', () => {
  /** Wrong in as many ways as there are, with the secret in every place that takes text. */
  const texts = [
    'admin: {host: "${env:TOKEN}", port: "${env:TOKEN}", token: ["${env:TOKEN}"]}',
    'listeners: {w: {host: "${env:TOKEN}", trustedProxies: ["${env:TOKEN}"], limits: {headBytes: "${env:TOKEN}", underscores: "${env:TOKEN}"}}}',
    'listeners: {w: {unix: "${env:TOKEN}"}, v: {unix: "${env:TOKEN}"}}',
    'listeners: {w: {tls: {certificates: [{cert: "${env:TOKEN}", key: "${env:TOKEN}"}], clientAuth: {ca: "${env:TOKEN}"}}}}',
    'upstreams: {u: {targets: ["http://u:${env:TOKEN}@h", "${env:TOKEN}", {url: "${env:TOKEN}"}], balance: "${env:TOKEN}", tls: {ca: "${env:TOKEN}"}}}',
    'routes: {r: {upstream: "${env:TOKEN}", match: {listener: "${env:TOKEN}", host: "${env:TOKEN}", path: "${env:TOKEN}"}}}',
    'routes: {r: {upstream: [{upstream: "${env:TOKEN}"}], match: {path: [{regex: "(${env:TOKEN}"}], methods: "${env:TOKEN}"}}}',
    'routes: {r: {redirect: {to: "/{${env:TOKEN}}", status: "${env:TOKEN}"}, timeouts: {total: "${env:TOKEN}"}, priority: "${env:TOKEN}"}}',
    'routes: {r: {upstream: u, rewrite: {path: "/{${env:TOKEN}}", host: "${env:TOKEN}"}, match: {path: /x}}}',
    'routes: {r: {policies: ["${env:TOKEN}", {use: "${env:TOKEN}"}, {cors: {origins: ["${env:TOKEN}"], methods: ["${env:TOKEN}"]}}]}}',
    'routes: {r: {policies: [{ipFilter: {allow: ["${env:TOKEN}"]}}, {headers: {request: {set: {"a": "${env:TOKEN}\\n"}}}}, {bodyLimit: {max: "${env:TOKEN}"}}]}}',
    'policies: {p: "${env:TOKEN}", q: {bodyLimit: {max: "${env:TOKEN}"}}}',
    'telemetry: {accessLog: {sample: "${env:TOKEN}", format: "${env:TOKEN}"}}',
    'threads: "${env:TOKEN}"',
  ];

  test('never appear in a problem, however it came about', async () => {
    for (const secret of [SECRET, 'short', 'abcd', '${x}', 'a b\nc', '$&', '0.0.0.0/99']) {
      for (const text of texts) {
        const { problems } = await loadText(text, { env: { TOKEN: secret } });
        assert.ok(problems.length > 0, text);
        for (const problem of problems) {
          const shown = `${formatProblem(problem)} ${JSON.stringify(problem)}`;
          for (const form of [secret, secret.toLowerCase(), JSON.stringify(secret).slice(1, -1)]) {
            assert.ok(!shown.includes(form), `${text}\n${shown}`);
          }
        }
      }
    }
  });

  test('are shown as they were written', async () => {
    assert.deepEqual(
      await problemsOf('upstreams: {u: {targets: ["http://h:1"]}}\nroutes: {r: {upstream: "${env:TOKEN}"}}', options),
      [
        '1:13 warning UNUSED upstreams.u is not used by anything',
        '2:24 error UNKNOWN_UPSTREAM there is no upstream "${env:TOKEN}"',
      ],
    );
  });

  test('are hidden in any other text by the redaction that comes with the result', async () => {
    const { redact } = await loadText(`admin: {token: "\${env:TOKEN}"}\n${routes}`, options);
    assert.equal(
      redact(`token=${SECRET}, in JSON ${JSON.stringify(SECRET)}`),
      'token=${env:TOKEN}, in JSON "${env:TOKEN}"',
    );
    assert.equal(redact('nothing to hide'), 'nothing to hide');
  });

  test('for the log are those values that are likely secret: from files, from variables called so, or by their meaning', async () => {
    const variables = {
      PORT: '18080',
      REGION: 'eu-central',
      DB_PASSWORD: 'hunter-2',
      MY_API_KEY: 'key-4711',
      ADMIN: 'sesame-7',
    };
    const text = `listeners: {w: {port: "\${env:PORT}"}}
admin: {token: "a-\${env:ADMIN}-z"}
routes: {r: {respond: {body: "\${env:REGION} \${env:DB_PASSWORD} \${env:MY_API_KEY} \${file:/run/secrets/token}"}}}`;
    const { secrets, config } = await loadText(text, { env: variables, files });
    assert.ok(config !== null);
    assert.deepEqual(secrets.toSorted(), ['a-sesame-7-z', 'hunter-2', 'key-4711', SECRET, 'sesame-7'].toSorted());
  });

  test('for the log are what is written where a secret stands, a default included', async () => {
    for (const token of ['sesame-7', '${env:NOBODY:-sesame-7}']) {
      const { secrets } = await loadText(`admin: {token: "${token}"}\n${routes}`);
      assert.deepEqual(secrets, ['sesame-7']);
    }
  });

  test('are warned of when they stand in the file itself', async () => {
    const { config, problems } = await loadText(`admin: {token: sesame}\n${routes}`);
    assert.ok(config !== null);
    assert.deepEqual(
      problems.map(({ code, line, column }) => `${line}:${column} ${code}`),
      ['1:16 SECRET_IN_CLEAR'],
    );
    assert.ok(!JSON.stringify(problems).includes('sesame'));
  });
});
