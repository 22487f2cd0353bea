import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { makeCertificate } from '../support/certificates.ts';
import { type TestOptions, loadText, problemsOf } from './load-text.ts';

const UP = 'upstreams: {u: {targets: ["http://127.0.0.1:1"]}}\n';

suite('what a route does', () => {
  test('is exactly one thing', async () => {
    const text = `${UP}routes:
  none: {match: {path: /a}}
  two: {upstream: u, respond: {}}
  all: {upstream: u, respond: {}, redirect: {to: /x}}
  rewritten: {respond: {}, rewrite: {path: /x}}
`;
    assert.deepEqual(await problemsOf(text), [
      '3:3 error ROUTE_ACTION routes.none needs exactly one of upstream, redirect and respond; it has none of them',
      '4:3 error ROUTE_ACTION routes.two needs exactly one of upstream, redirect and respond; it has upstream and respond',
      '5:3 error ROUTE_ACTION routes.all needs exactly one of upstream, redirect and respond; it has upstream and redirect and respond',
      '6:28 error ROUTE_ACTION routes.rewritten: rewrite changes what an upstream gets, but there is none',
    ]);
  });

  test('leads to upstreams that exist, with a weight', async () => {
    const text = `${UP}routes:\n  a: {upstream: [{upstream: u, weight: 0}]}\n  b: {upstream: [{upstream: uu}, {upstream: u}]}\n  c: {upstream: []}\n`;
    assert.deepEqual(await problemsOf(text), [
      '3:7 error BAD_VALUE routes.a.upstream: all weights are 0, so that nothing would be sent anywhere',
      '4:29 error UNKNOWN_UPSTREAM there is no upstream "uu" (did you mean "u"?)',
      '5:7 error BAD_VALUE routes.c.upstream: the list is empty',
    ]);
  });

  test('is for listeners that exist', async () => {
    assert.deepEqual(await problemsOf(`${UP}routes: {r: {match: {listener: [web, secur]}, upstream: u}}`), [
      '2:38 error UNKNOWN_LISTENER there is no listener "secur"',
    ]);
  });

  test('uses what every one of its paths captures', async () => {
    const rewrite = async (path: string, to: string): Promise<string[]> =>
      problemsOf(`${UP}routes: {r: {match: {path: ${path}}, rewrite: {path: "${to}"}, upstream: u}}`);
    assert.deepEqual(await rewrite('"/users/{id}/files/*"', '/u/{id}/{*}'), []);
    assert.deepEqual(await rewrite('"/files/{rest...}"', '/store/{rest}'), []);
    assert.deepEqual(await rewrite('["/a/{id}", "/b/{id}/{x}"]', '/{id}'), []);
    assert.match(
      (await rewrite('["/a/{id}", "/b/*"]', '/{id}')).join(),
      /UNKNOWN_CAPTURE routes\.r\.rewrite\.path uses \{id\}, but every path of the route captures nothing/,
    );
    assert.match(
      (await rewrite('"/users/{id}"', '/{idd}')).join(),
      /uses \{idd\}, but the path of the route captures \{id\}/,
    );
    assert.match((await rewrite('{regex: "^/(?<id>.*)"}', '/{id}')).join(), /captures nothing/);
    assert.match((await rewrite('/exact', '/{*}')).join(), /captures nothing/);
  });

  test('may use parts of the request in a redirect, but not in a rewrite', async () => {
    assert.deepEqual(await problemsOf('routes: {r: {redirect: {to: "https://{host}:8443{path}?{query}"}}}'), []);
    assert.deepEqual(await problemsOf('routes: {r: {match: {path: /a/*}, redirect: {to: "https://x/{*}/{id}"}}}'), [
      '1:50 error UNKNOWN_CAPTURE routes.r.redirect.to uses {id}, but the path of the route captures {*}',
    ]);
    assert.match(
      (await problemsOf(`${UP}routes: {r: {rewrite: {path: "/{host}"}, upstream: u}}`)).join(),
      /UNKNOWN_CAPTURE/,
    );
  });

  test('is matched by regular expressions that are some', async () => {
    const text = `${UP}routes: {r: {match: {path: [/a, {regex: "("}], headers: {x-a: {regex: "["}}, query: {q: {regex: "*"}}}, upstream: u}}`;
    assert.deepEqual(await problemsOf(text), [
      '2:41 error BAD_PATTERN routes.r.match.path[1].regex is not a regular expression: Unterminated group',
      '2:71 error BAD_PATTERN routes.r.match.headers.x-a.regex is not a regular expression: Unterminated character class',
      '2:97 error BAD_PATTERN routes.r.match.query.q.regex is not a regular expression: Nothing to repeat',
    ]);
  });

  test('takes no longer than all of it, where both are written together', async () => {
    const text = `${UP}defaults: {timeouts: {firstByte: 20s}}\nroutes:\n  a: {upstream: u, timeouts: {total: 5s, connect: 6s, idle: 5s}}\n  b: {upstream: u, timeouts: {total: 5s}}\n`;
    const { config, problems } = await loadText(text);
    assert.deepEqual(
      problems.map(({ line, column, severity, code, message }) => `${line}:${column} ${severity} ${code} ${message}`),
      ['4:51 warning TIMEOUTS routes.a.timeouts: connect is longer than total, so that it is never reached'],
    );
    assert.ok(config !== null);
  });
});

suite('addresses', () => {
  test('are taken once', async () => {
    const text = `listeners:
  a: {port: 80}
  b: {port: 80, host: 127.0.0.1}
  c: {port: 81, host: 127.0.0.1}
  d: {port: 81, host: 127.0.0.2}
  e: {port: 0}
  f: {port: 0}
  g: {unix: ./s}
  h: {unix: /gw/s}
  i: {port: 9901, host: "::"}
routes: {r: {respond: {}}}
`;
    assert.deepEqual(
      await problemsOf(text),
      [
        '3:13 error ADDRESS_TAKEN listeners.b wants port 80 that listeners.a has already',
        '9:13 error ADDRESS_TAKEN listeners.h wants the socket that listeners.g has already',
        '1:1 error ADDRESS_TAKEN admin wants port 9901 that listeners.i has already',
      ].toSorted((x, y) => Number.parseInt(x, 10) - Number.parseInt(y, 10)),
    );
  });

  test('of the admin port reach only this machine, unless there is a token (CVE-2020-11710), and none is built in (CVE-2020-13945)', async () => {
    assert.equal((await loadText('routes: {r: {respond: {}}}')).config?.admin.token, undefined);
    const admin = async (rest: string): Promise<string[]> =>
      problemsOf(`admin: {${rest}}\nroutes: {r: {respond: {}}}`, { env: { T: 'sesame' } });
    for (const host of ['127.0.0.1', '127.8.8.8', '"::1"', 'localhost']) {
      assert.deepEqual(await admin(`host: ${host}`), []);
    }
    for (const host of ['0.0.0.0', '"::"', '10.0.0.1', '127.0.0.1.example.com', 'example.com', '1270.0.0.1']) {
      assert.deepEqual(await admin(`host: ${host}`), [
        '1:15 error ADMIN_EXPOSED admin is reachable from other machines: give it a token, or the host 127.0.0.1',
      ]);
    }
    for (const host of ['127.0.0.1', 'localhost']) {
      assert.deepEqual(await admin(`host: ${host}, token: "\${env:T}"`), []);
    }
    const plain = await admin('host: 0.0.0.0, token: "${env:T}"');
    assert.match(plain.join(), /^1:15 warning ADMIN_PLAINTEXT admin listens on 0\.0\.0\.0 without TLS: /);
    assert.doesNotMatch(plain.join(), /sesame/);
    assert.match((await admin('host: 0.0.0.0, token: ""')).join(), /admin\.token: is empty/);
  });
});

suite('what nothing uses', () => {
  test('is told, but does not keep the rest from being served', async () => {
    const { config, problems } = await loadText(`${UP}policies: {p: requestId}\nroutes: {r: {respond: {}}}`);
    assert.deepEqual(
      problems.map(({ severity, code, message }) => `${severity} ${code} ${message}`),
      ['warning UNUSED upstreams.u is not used by anything', 'warning UNUSED policies.p is not used by anything'],
    );
    assert.ok(config !== null);
  });

  test('is not told when a part is wrong that may have used it', async () => {
    assert.deepEqual(
      (await problemsOf(`${UP}routes: {r: {upstrem: u}}`)).map((line) => line.split(' ')[2]),
      ['ROUTE_ACTION', 'UNKNOWN_KEY'],
    );
  });
});

suite('certificates', () => {
  const good = makeCertificate({
    altNames: ['DNS:a.example'],
    validFrom: new Date(0),
    validTo: new Date(Date.UTC(2040, 0)),
  });
  const other = makeCertificate({
    altNames: ['DNS:b.example'],
    validFrom: new Date(0),
    validTo: new Date(Date.UTC(2040, 0)),
  });
  const expired = makeCertificate({ validFrom: new Date(0), validTo: new Date(Date.UTC(2020, 0)) });
  const files = {
    '/gw/good.pem': good.cert,
    '/gw/good.key': good.key,
    '/gw/other.pem': other.cert,
    '/gw/other.key': other.key,
    '/gw/old.pem': expired.cert,
    '/gw/old.key': expired.key,
    '/gw/empty.pem': '',
    '/gw/broken.pem': '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
  };
  const options: TestOptions = { files };
  const listener = (tls: string): string => `listeners: {s: {tls: {${tls}}}}\nroutes: {r: {respond: {}}}`;

  test('that are right are found by absolute paths, and are files that the configuration depends on', async () => {
    const loaded = await loadText(
      listener('certificates: [{cert: good.pem, key: ./good.key}], clientAuth: {ca: other.pem}'),
      options,
    );
    assert.deepEqual(loaded.problems, []);
    assert.deepEqual(loaded.config?.listeners['s']?.tls, {
      certificates: [{ cert: '/gw/good.pem', key: '/gw/good.key' }],
      minVersion: '1.2',
      clientAuth: { ca: '/gw/other.pem', require: true },
    });
    assert.deepEqual([...loaded.files].toSorted(), [
      '/gw/gateway.yaml',
      '/gw/good.key',
      '/gw/good.pem',
      '/gw/other.pem',
    ]);
  });

  test('that are wrong name the file and leave the others serving', async () => {
    const text = listener(`certificates: [
  {cert: missing.pem, key: missing.key},
  {cert: good.pem, key: good.key},
  {cert: other.pem, key: good.key},
  {cert: empty.pem, key: good.pem},
  {cert: broken.pem, key: good.key}]`);
    const loaded = await loadText(text, options);
    assert.deepEqual(
      loaded.problems.map(
        ({ line, code, message }) => `${line} ${code} ${message.replace(/(\.pem|\.key): (?!the file).*/, '$1: …')}`,
      ),
      [
        '2 BAD_CERTIFICATE missing.pem: the file cannot be read (there is no such file or folder)',
        '2 BAD_CERTIFICATE missing.key: the file cannot be read (there is no such file or folder)',
        '4 BAD_CERTIFICATE good.key is not the key of the certificate in other.pem',
        '5 BAD_CERTIFICATE empty.pem: …',
        '5 BAD_CERTIFICATE good.pem: …',
        '6 BAD_CERTIFICATE broken.pem: …',
      ],
    );
    assert.equal(loaded.onlyCertificateProblems, true);
    // All of them are in it: one that is corrected later is to be picked up.
    assert.deepEqual(
      loaded.config?.listeners['s']?.tls?.certificates.map(({ cert }) => cert),
      ['missing', 'good', 'other', 'empty', 'broken'].map((name) => `/gw/${name}.pem`),
    );
  });

  test('are needed: a listener with none that can be used cannot be served', async () => {
    const loaded = await loadText(listener('certificates: [{cert: missing.pem, key: good.key}]'), options);
    assert.deepEqual(
      loaded.problems.map(({ code }) => code),
      ['NO_CERTIFICATE', 'BAD_CERTIFICATE'],
    );
    assert.equal(loaded.config, null);
    assert.equal(loaded.onlyCertificateProblems, false);
  });

  test('do not excuse other errors', async () => {
    const text = `${listener('certificates: [{cert: missing.pem, key: good.key}, {cert: good.pem, key: good.key}]')}\nthread: 1`;
    const loaded = await loadText(text, options);
    assert.equal(loaded.config, null);
    assert.equal(loaded.onlyCertificateProblems, false);
  });

  test('that have expired are served all the same, with a warning', async () => {
    const loaded = await loadText(listener('certificates: [{cert: old.pem, key: old.key}]'), options);
    assert.deepEqual(
      loaded.problems.map(({ severity, code, message }) => `${severity} ${code} ${message}`),
      ['warning CERTIFICATE_EXPIRY old.pem has expired at 2020-01-01T00:00:00.000Z'],
    );
    assert.ok(loaded.config !== null);
    const early = await loadText(listener('certificates: [{cert: good.pem, key: good.key}]'), {
      ...options,
      clock: { wallNow: () => -1 },
    });
    assert.deepEqual(
      early.problems.map(({ message }) => message),
      ['good.pem is not valid before 1970-01-01T00:00:00.000Z'],
    );
  });

  test('that hold something else say what is missing, in words', async () => {
    const locked = '-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n';
    const text = listener(`certificates: [{cert: good.pem, key: good.key}, {cert: good.key, key: good.pem},
  {cert: empty.pem, key: empty.pem}, {cert: good.pem, key: locked.key}]`);
    assert.deepEqual(
      await problemsOf(text, { files: { ...files, '/gw/locked.key': locked } }),
      [
        '1:93 error BAD_CERTIFICATE good.pem: there is no private key in it (PEM form is expected)',
        '1:78 error BAD_CERTIFICATE good.key: there is no certificate in it (PEM form is expected)',
        '2:10 error BAD_CERTIFICATE empty.pem: there is no certificate in it (PEM form is expected)',
        '2:26 error BAD_CERTIFICATE empty.pem: there is no private key in it (PEM form is expected)',
        '2:60 error BAD_CERTIFICATE locked.key: the key is protected by a passphrase; a gateway must be able to start unattended',
      ].toSorted(),
    );
  });

  test('may be given as PEM text, which no message shows', async () => {
    const env = { CERT: good.cert, KEY: good.key, OTHER: other.key };
    const clientCa = 'clientAuth: {ca: "${file:other.pem}"}';
    const pair = (cert: string, key: string): string =>
      listener(`certificates: [{cert: ${cert}, key: ${key}}], ${clientCa}`);
    const loaded = await loadText(pair('"${env:CERT}"', '"${file:good.key}"'), { ...options, env });
    assert.deepEqual(loaded.problems, []);
    const tls = loaded.config?.listeners['s']?.tls;
    assert.deepEqual(tls?.certificates, [{ cert: good.cert, key: good.key.trimEnd() }]);
    assert.equal(tls?.clientAuth?.ca, other.cert.trimEnd());
    assert.ok(loaded.secrets.includes(good.key.trimEnd()));

    const written = pair(JSON.stringify(good.cert), JSON.stringify(good.key));
    assert.deepEqual(
      (await loadText(written, options)).problems.map(({ severity, code }) => `${severity} ${code}`),
      ['warning SECRET_IN_CLEAR'],
    );
    const mismatched = await problemsOf(pair(JSON.stringify(good.cert), '"${env:OTHER}"'), { ...options, env });
    assert.match(mismatched.join('\n'), /BAD_CERTIFICATE \S+\.key is not the key of the certificate in \S+\.cert$/m);
    assert.doesNotMatch(mismatched.join('\n'), /BEGIN/);
  });

  test('of authorities must be some', async () => {
    const clientAuth = async (ca: string): Promise<string[]> =>
      problemsOf(listener(`certificates: [{cert: good.pem, key: good.key}], clientAuth: {ca: ${ca}}`), options);
    assert.match(
      (await clientAuth('missing.pem')).join(),
      /^1:89 error BAD_TLS_FILE missing\.pem: the file cannot be read \(there is no such file or folder\)$/,
    );
    assert.match((await clientAuth('empty.pem')).join(), /BAD_TLS_FILE empty\.pem: there is no certificate in it/);
    assert.match((await clientAuth('broken.pem')).join(), /BAD_TLS_FILE broken\.pem: /);
    assert.match((await clientAuth('good.key')).join(), /BAD_TLS_FILE good\.key: there is no certificate in it/);
  });

  test('of upstreams are checked likewise', async () => {
    const upstream = async (tls: string): Promise<string[]> =>
      problemsOf(`upstreams: {u: {targets: ["https://h"], tls: {${tls}}}}\nroutes: {r: {upstream: u}}`, options);
    assert.deepEqual(await upstream('ca: good.pem, cert: good.pem, key: good.key, serverName: x'), []);
    assert.match((await upstream('ca: nope.pem')).join(), /BAD_TLS_FILE nope\.pem/);
    assert.match(
      (await upstream('cert: good.pem, key: other.key')).join(),
      /BAD_TLS_FILE other\.key is not the key of the certificate in good\.pem/,
    );
    assert.match(
      (await upstream('cert: good.pem')).join(),
      /MISSING upstreams\.u\.tls has cert, but not key: a client certificate needs both/,
    );
  });
});

suite('the analysis of routes', () => {
  test('gets the routes that are sound, and its findings get their places', async () => {
    const seen: string[][] = [];
    const text = `${UP}routes:\n  a: {match: {path: /a}, upstream: u}\n  b: {match: {path: [/b, /c]}, upstream: nope}\n  c: {priority: x}\n  d: {match: {path: [/b, /c]}, upstream: u}\n`;
    const { problems, analyse } = await loadText(text, {
      analyseRoutes: async (routes) => {
        seen.push(Object.keys(routes));
        return [
          {
            severity: 'warning',
            code: 'SHADOWED',
            message: 'never matches',
            path: ['routes', 'd', 'match', 'path', 1],
          },
        ];
      },
    });
    assert.deepEqual(seen, [], 'not before it is asked for');
    const found = await analyse();
    assert.deepEqual(seen, [['a', 'd']]);
    const brief = ({ line, column, severity, code, message }: (typeof found)[number]) =>
      `${line}:${column} ${severity} ${code} ${message}`;
    assert.deepEqual(problems.map(brief), [
      '4:42 error UNKNOWN_UPSTREAM there is no upstream "nope"',
      '5:3 error ROUTE_ACTION routes.c needs exactly one of upstream, redirect and respond; it has none of them',
      '5:17 error BAD_VALUE routes.c.priority: expected a number, found text',
    ]);
    assert.deepEqual(found.map(brief), ['6:26 warning SHADOWED never matches']);
  });
});
