/** Consumers of the configuration and of files of their own. */
import assert from 'node:assert/strict';
import { type KeyObject, createHash, generateKeyPairSync } from 'node:crypto';
import { suite, test } from 'node:test';
import { type TestOptions, loadText, problemsOf } from './load-text.ts';

const hash = (key: string): string => `sha256:${createHash('sha256').update(key).digest('hex')}`;
const routes = 'routes: {r: {respond: {}}}\n';

/** Folders are what files are in. */
function inFiles(files: Readonly<Record<string, string>>): TestOptions {
  const listFolder = (path: string): string[] | null => {
    if (Object.hasOwn(files, path)) return null;
    const names = Object.keys(files).filter((file) => file.startsWith(`${path}/`));
    if (names.length === 0) throw Object.assign(new Error('no such folder'), { code: 'ENOENT' });
    return names.map((file) => file.slice(path.length + 1)).toSorted();
  };
  return { files, listFolder };
}

async function consumersOf(text: string, options: TestOptions = {}) {
  const { config, problems } = await loadText(routes + text, options);
  assert.deepEqual(problems, []);
  return config!.consumers;
}

suite('a consumer', () => {
  test('has any number of credentials of every kind', async () => {
    const pem = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' });
    const [consumer] = await consumersOf(
      `consumers:
  mobile:
    groups: [gold, eu]
    apiKeys: [{hash: "${hash('a')}", label: old, expires: 2031-01-31}, {hash: "${hash('b')}"}]
    basic: {password: "$2b$10$${'a'.repeat(53)}"}
    hmac: [{keyId: h1, secret: "\${env:S}"}, {keyId: h2, secret: "\${env:S}", expires: 2031-01-01}]
    signing: {keyId: s1, algorithm: ed25519, publicKey: ./mobile.pem}
    jwt: [{subject: m, issuer: "https://i"}, {azp: mobile, level: 3}]
    certificates: [{san: "DNS:mobile.internal"}, {fingerprint: "${hash('c')}"}]
`,
      { env: { S: 'a secret of some length' }, files: { '/gw/mobile.pem': pem } },
    );
    assert.deepEqual(consumer, {
      name: 'mobile',
      groups: ['gold', 'eu'],
      apiKeys: [
        { digest: hash('a').slice(7), label: 'old', expiresAt: Date.UTC(2031, 1, 1) },
        { digest: hash('b').slice(7), label: '', expiresAt: null },
      ],
      basic: { user: 'mobile', password: `$2b$10$${'a'.repeat(53)}` },
      hmac: [
        { keyId: 'h1', secret: 'a secret of some length', label: '', expiresAt: null },
        { keyId: 'h2', secret: 'a secret of some length', label: '', expiresAt: Date.UTC(2031, 0, 2) },
      ],
      signing: [{ keyId: 's1', algorithm: 'ed25519', publicKey: pem, label: '', expiresAt: null }],
      jwt: [
        { sub: 'm', iss: 'https://i' },
        { azp: 'mobile', level: 3 },
      ],
      certificates: [{ san: 'DNS:mobile.internal' }, { fingerprint: hash('c').slice(7) }],
    });
  });

  test('is refused with a password that nobody could verify', async () => {
    for (const [password, reason] of [
      ['open sesame', /a password itself is not accepted/],
      ['$apr1$x$abcdefghijklmnopqrstuv', /MD5/],
      ['$6$salt$hash', /crypt/],
      ['$2b$10$short', /bcrypt hash has a cost/],
      ['$2b$32$' + 'a'.repeat(53), /bcrypt hash has a cost/],
      ['$argon2i$v=19$m=1,t=1,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2g', /only argon2id/],
      ['$argon2id$m=1', /has the form/],
      ['{SSHA}abc', /only \{SHA\}/],
    ] as const) {
      const found = await problemsOf(`${routes}consumers: {m: {basic: {password: ${JSON.stringify(password)}}}}\n`);
      assert.equal(found.length, 1, password);
      assert.match(found[0], /error BAD_VALUE consumers\.m\.basic\.password/);
      assert.match(found[0], reason);
      assert.ok(!found[0].includes(password), 'a hash, or a password, is not repeated');
    }
    for (const password of [
      `$2y$05$${'.'.repeat(53)}`,
      '{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=',
      '$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g',
    ]) {
      const [consumer] = await consumersOf(`consumers: {m: {basic: {password: ${JSON.stringify(password)}}}}\n`);
      assert.equal(consumer.basic?.password, password);
    }
  });

  test('is refused with a name or a group that could not stand in a header', async () => {
    for (const name of ['"a b"', '"a\\nb"', 'é', '"a,b"', '-a', '""']) {
      const [problem] = await problemsOf(`${routes}consumers: {${name}: {}}\n`);
      assert.match(problem, /error BAD_NAME/, name);
      const [group] = await problemsOf(`${routes}consumers: {m: {groups: [${name}]}}\n`);
      assert.match(group, /error BAD_VALUE consumers\.m\.groups\[0\]: a name has/, name);
    }
  });

  test('is told of what has expired, and of days that there are not', async () => {
    const key = (expires: string) =>
      `${routes}consumers: {m: {apiKeys: [{hash: "${hash('a')}", expires: ${expires}}]}}\n`;
    // It is the first day of 2030 in tests; the last day is a whole one.
    assert.deepEqual(await problemsOf(key('2030-01-01')), []);
    const [expired] = await problemsOf(key('2029-12-31'));
    assert.match(
      expired,
      /^2:\d+ warning CREDENTIAL_EXPIRED consumers\.m\.apiKeys\[0\]\.expires: it has expired on 2029/,
    );
    for (const day of ['2030-02-30', '2030-13-01', '2030-1-1', 'tomorrow']) {
      assert.match((await problemsOf(key(day)))[0], /error BAD_VALUE .*write a day that there is/, day);
    }
  });

  test('is refused with a key of signatures that is private, weak or another than it says', async () => {
    const export_ = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' });
    const ed = generateKeyPairSync('ed25519');
    const files = {
      '/gw/ed.pem': export_(ed.publicKey),
      '/gw/private.pem': ed.privateKey.export({ type: 'pkcs8', format: 'pem' }),
      '/gw/p256.pem': export_(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey),
      '/gw/short.pem': export_(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey),
      '/gw/small.pem': export_(generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 }).publicKey),
      '/gw/rsa.pem': export_(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey),
      '/gw/not.pem': 'hello',
    };
    const of = (file: string, algorithm: string) =>
      problemsOf(`${routes}consumers: {m: {signing: {keyId: k, algorithm: ${algorithm}, publicKey: ${file}}}}\n`, {
        files,
      });
    for (const [file, algorithm] of [
      ['ed.pem', 'ed25519'],
      ['p256.pem', 'ecdsa-p256-sha256'],
      ['rsa.pem', 'rsa-pss-sha512'],
      ['rsa.pem', 'rsa-v1_5-sha256'],
    ]) {
      assert.deepEqual(await of(file, algorithm), [], `${file} ${algorithm}`);
    }
    for (const [file, algorithm, reason] of [
      ['private.pem', 'ed25519', /private key/],
      ['p256.pem', 'ed25519', /takes an Ed25519 key/],
      ['ed.pem', 'ecdsa-p256-sha256', /curve P-256/],
      ['p256.pem', 'ecdsa-p384-sha384', /curve P-384/],
      ['ed.pem', 'rsa-pss-sha512', /takes an RSA key/],
      ['short.pem', 'rsa-pss-sha512', /1024 bits/],
      ['small.pem', 'rsa-v1_5-sha256', /exponent/],
      ['not.pem', 'ed25519', /no public key in PEM/],
      ['missing.pem', 'ed25519', /cannot be read/],
      ['ed.pem', 'none', /write ed25519/],
    ] as const) {
      const [problem] = await of(file, algorithm);
      assert.match(problem, reason, `${file} ${algorithm}`);
    }
  });
});

test('a secret that signatures could never be verified with is refused where it stands', async () => {
  const config = `${routes}consumers:\n  a: {hmac: {keyId: k, secret: "\${env:S}"}}\n`;
  for (const [secret, reason] of [
    ['base64:not*base64', /is not base64 with padding/],
    ['-----BEGIN PUBLIC KEY-----', /needs a shared secret, not a key in PEM form/],
  ] as const) {
    const [problem, ...others] = await problemsOf(config, { env: { S: secret } });
    assert.match(problem, reason);
    assert.ok(!problem.includes(secret));
    assert.deepEqual(others, []);
  }
});

test('a secret that can be found out from one signature is warned of', async () => {
  const config = `${routes}consumers:\n  a: {hmac: {keyId: k, secret: "\${env:S}"}}\n`;
  const { config: loaded, problems } = await loadText(config, { env: { S: 'too short' } });
  assert.deepEqual(
    problems.map(({ severity, code }) => [severity, code]),
    [['warning', 'WEAK_SECRET']],
  );
  assert.equal(loaded?.consumers[0]?.hmac.length, 1);
});

suite('what no two consumers share', () => {
  const both = (a: string, b: string) => `${routes}consumers:\n  a: ${a}\n  b: ${b}\n`;

  for (const [what, credential, place] of [
    ['an API key', `{apiKeys: [{hash: "${hash('x')}"}]}`, 'consumers\\.a\\.apiKeys\\[0\\]'],
    ['a user', `{basic: {user: u, password: "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="}}`, 'consumers\\.a\\.basic'],
    ['a key name', '{hmac: {keyId: k, secret: "${env:S}"}}', 'consumers\\.a\\.hmac\\[0\\]'],
    ['a certificate', '{certificates: [{san: "DNS:x"}]}', 'consumers\\.a\\.certificates\\[0\\]'],
    ['claims', '{jwt: {subject: s, issuer: i}}', 'consumers\\.a\\.jwt\\[0\\]'],
  ]) {
    test(`${what}, which is said of both places`, async () => {
      const found = await problemsOf(both(credential, credential), { env: { S: 'a secret of some length' } });
      assert.equal(found.length, 1);
      assert.match(
        found[0],
        new RegExp(`^4:\\d+ error CREDENTIAL_TAKEN consumers\\.b\\..*${place} .*gateway\\.yaml:3:\\d+\\)`),
      );
    });
  }

  test('the name of a key, whatever it is for, and claims in whatever order', async () => {
    const pem = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' });
    const options = { env: { S: 'a secret of some length' }, files: { '/gw/k.pem': pem } };
    const signing = '{signing: {keyId: k, algorithm: ed25519, publicKey: k.pem}}';
    const [taken] = await problemsOf(both('{hmac: {keyId: k, secret: "${env:S}"}}', signing), options);
    assert.match(taken, /consumers\.b\.signing\[0\]\.keyId: the same key name is at consumers\.a\.hmac\[0\] already/);
    const [claims] = await problemsOf(both('{jwt: {subject: s, x: 1}}', '{jwt: {x: 1, subject: s}}'));
    assert.match(claims, /the same claims/);
  });
});

suite('files of consumers', () => {
  const config = `${routes}consumers: {own: {}}\nconsumerSources: {files: [./consumers/, partners.json]}\n`;

  test('are read one by one or all of a folder, and watched', async () => {
    const {
      config: loaded,
      problems,
      files,
    } = await loadText(
      config,
      inFiles({
        '/gw/consumers/a.yaml': 'one: {groups: [gold]}\ntwo: {}\n',
        '/gw/consumers/b.json': '{"three": {}}',
        '/gw/partners.json': `{"four": {"apiKeys": [{"hash": "${hash('four')}"}]}}`,
      }),
    );
    assert.deepEqual(problems, []);
    assert.deepEqual(
      loaded!.consumers.map(({ name }) => name),
      ['own', 'one', 'two', 'three', 'four'],
    );
    assert.deepEqual(loaded!.consumers[1].groups, ['gold']);
    assert.deepEqual(loaded!.consumers[4].apiKeys[0].digest, hash('four').slice(7));
    assert.deepEqual(files.toSorted(), [
      '/gw/consumers',
      '/gw/consumers/a.yaml',
      '/gw/consumers/b.json',
      '/gw/gateway.yaml',
      '/gw/partners.json',
    ]);
  });

  test('may be empty, also as a folder of none', async () => {
    const options = {
      files: { '/gw/partners.json': '{}' },
      listFolder: (path: string) => (path === '/gw/consumers' ? [] : null),
    };
    const { config: loaded, problems } = await loadText(config, options);
    assert.deepEqual([problems, loaded!.consumers.length], [[], 1]);
    const empty = await loadText(
      config,
      inFiles({ '/gw/consumers/a.yaml': '# none yet\n', '/gw/partners.json': '{}' }),
    );
    assert.deepEqual(empty.problems, []);
  });

  test('have their problems told where they are', async () => {
    const { config: loaded, problems } = await loadText(
      config,
      inFiles({
        '/gw/consumers/a.yaml': `one:\n  group: [gold]\ntwo:\n  apiKeys: [{hash: "${hash('x')}"}]\n"bad name": {}\n`,
        '/gw/consumers/b.yaml': `one: {\n`,
        '/gw/consumers/c.yaml': `- one\n`,
        '/gw/consumers/d.yaml': 'own: {}\nkey: {hmac: {keyId: k, secret: "${env:NONE}"}}\n',
        '/gw/partners.json': `{\n "three": {"apiKeys": [{"hash": "${hash('x')}"}]}\n}`,
      }),
    );
    assert.equal(loaded, null);
    assert.deepEqual(
      problems.map(({ file, line, column, code }) => `${file.replace('/gw/', '')}:${line}:${column} ${code}`),
      [
        'consumers/a.yaml:2:3 UNKNOWN_KEY',
        'consumers/a.yaml:5:1 BAD_NAME',
        'consumers/b.yaml:2:1 SYNTAX',
        'consumers/c.yaml:1:1 BAD_VALUE',
        'consumers/d.yaml:1:1 CREDENTIAL_TAKEN',
        'consumers/d.yaml:2:32 INTERPOLATION',
        'partners.json:2:33 CREDENTIAL_TAKEN',
      ],
    );
    assert.match(
      problems[4].message,
      /^own: a consumer of this name is at consumers\.own already \(\/gw\/gateway\.yaml:2:\d+\)/,
    );
    assert.match(problems[6].message, /at two\.apiKeys\[0\] already \(\/gw\/consumers\/a\.yaml:4:\d+\)/);
  });

  test('that are not there are a problem of the configuration', async () => {
    const found = await problemsOf(config, {
      files: {},
      listFolder: () => {
        throw Object.assign(new Error('x'), { code: 'ENOENT' });
      },
    });
    assert.match(
      found[0],
      /^3:\d+ error FILE consumerSources\.files\[0\]: \.\/consumers\/ cannot be read \(there is no such/,
    );
    assert.match(found[1], /files\[1\]/);
  });

  test('keep their secrets out of what is said', async () => {
    const { secrets, redact } = await loadText(config, {
      ...inFiles({
        '/gw/consumers/a.yaml': 'one: {hmac: {keyId: k, secret: "${env:HMAC}"}}\n',
        '/gw/partners.json': '{}',
      }),
      env: { HMAC: 'geheim-geheim-geheim' },
    });
    assert.deepEqual(secrets, ['geheim-geheim-geheim']);
    assert.equal(redact('it is geheim-geheim-geheim'), 'it is ${env:HMAC}');
  });
});
