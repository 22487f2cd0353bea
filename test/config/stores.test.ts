import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { makeCertificate } from '../support/certificates.ts';
import { loadText, problemsOf } from './load-text.ts';

const env = { SECRET: 'a secret of at least thirty-two characters', PW: 'sesame' };
const store = 'shared: {type: redis, url: "redis://127.0.0.1:6379"}';

const login = (name: string): string =>
  `routes: {r: {policies: [{oidc: {issuer: "https://id.example", clientId: web, secret: "\${env:SECRET}", store: ${name}}}], respond: {}}}\n`;

suite('a store', () => {
  test('is there with its defaults', async () => {
    const { config, problems } = await loadText(`stores: {${store}}\n${login('shared')}`, { env });
    assert.deepEqual(problems, []);
    assert.deepEqual(config?.stores, {
      shared: {
        type: 'redis',
        url: 'redis://127.0.0.1:6379',
        sentinels: [],
        sentinelUsername: undefined,
        sentinelPassword: undefined,
        cluster: false,
        nodes: [],
        username: undefined,
        password: undefined,
        timeout: 50,
        prefix: 'gw:',
        tls: { ca: undefined, cert: undefined, key: undefined, serverName: undefined, insecure: false },
      },
    });
  });

  test('must exist where it is named, also in a policy that has a name itself', async () => {
    assert.deepEqual(await problemsOf(`stores: {${store}}\n${login('shred')}`, { env }), [
      '2:110 error UNKNOWN_STORE there is no store "shred" (did you mean "shared"?)',
    ]);
    const named = `policies: {login: {oidc: {issuer: "https://id.example", clientId: web, secret: "\${env:SECRET}", store: other}}}\nroutes: {r: {policies: [login], respond: {}}}\n`;
    assert.match(
      (await problemsOf(named, { env })).join('\n'),
      /^1:\d+ error UNKNOWN_STORE there is no store "other"$/,
    );
  });

  test('that nothing names is told', async () => {
    assert.deepEqual(await problemsOf(`stores: {${store}}\nroutes: {r: {respond: {}}}\n`), [
      '1:10 warning UNUSED stores.shared is not used by anything',
    ]);
  });

  test('has an address without secrets in it, and a password that is one', async () => {
    const withUrl = (url: string, more = ''): Promise<string[]> =>
      problemsOf(`stores: {s: {type: redis, url: "${url}"${more}}}\n${login('s')}`, { env });
    const rule =
      '1:32 error BAD_VALUE stores.s.url: write redis://host:port or rediss://host:port; a user and a password have options of their own';
    for (const url of [
      'redis://:pw@h',
      'redis://me@h',
      'http://h',
      'h:6379',
      'redis://h/x',
      'redis://h?db=1',
      'redis:',
    ]) {
      assert.deepEqual(await withUrl(url), [rule], url);
    }
    for (const url of ['redis://h', 'rediss://h:1/2', 'redis://[::1]:6379']) {
      assert.deepEqual(await withUrl(url), [], url);
    }
    assert.match((await withUrl('redis://h', ', password: canary')).join(), /SECRET_IN_CLEAR stores\.s\.password/);
    assert.deepEqual(await withUrl('redis://h', ', password: "${env:PW}"'), []);
  });

  test('has no options that would do nothing', async () => {
    const withRest = (url: string, rest: string): Promise<string[]> =>
      problemsOf(`stores: {s: {type: redis, url: "${url}", ${rest}}}\n${login('s')}`, { env });
    for (const tls of ['{insecure: true}', '{ca: ./ca.pem}', '{serverName: a}', '{cert: a, key: b}']) {
      assert.deepEqual(await withRest('redis://h', `tls: ${tls}`), [
        '1:45 error BAD_VALUE stores.s.tls: a redis:// server is reached without TLS: write rediss://, or leave this out',
      ]);
    }
    assert.match(
      (await withRest('rediss://h', 'tls: {insecure: true, ca: ./ca.pem}')).join(),
      /error BAD_VALUE stores\.s\.tls\.ca: nobody looks at it/,
    );
    assert.match((await withRest('redis://h', 'username: me')).join(), /error \w+ stores\.s\.password: a user logs in/);
    assert.deepEqual(await withRest('redis://h', 'username: me, password: "${env:PW}"'), []);
  });

  test('may be several servers, in one way or the other', async () => {
    const withRest = (url: string, rest: string): Promise<string> =>
      problemsOf(`stores: {s: {type: redis, url: "${url}", ${rest}}}\n${login('s')}`, { env }).then((all) =>
        all.join(),
      );
    assert.equal(await withRest('redis://mymaster/1', 'sentinels: ["a:26379", "[::1]:26379"]'), '');
    assert.equal(await withRest('redis://h', 'cluster: true, nodes: ["i:6379"]'), '');
    assert.match(await withRest('redis://m:1', 'sentinels: ["a:1"]'), /stores\.s\.url: .*no port here/);
    assert.match(
      await withRest('redis://m', 'sentinels: ["a:1"], cluster: true'),
      /sentinels: a cluster has none|has no sentinels/,
    );
    assert.match(await withRest('redis://m', 'sentinels: ["redis://a"]'), /write host:port/);
    assert.match(await withRest('redis://m', 'sentinels: ["user:pw@a:1"]'), /write host:port/);
    assert.match(await withRest('redis://h', 'nodes: ["i:1"]'), /stores\.s\.nodes: nobody looks at it/);
    assert.match(await withRest('redis://h/2', 'cluster: true'), /stores\.s\.url: a cluster has no other database/);
  });

  test('may ask its sentinels with a login of their own', async () => {
    const withRest = (rest: string): Promise<string> =>
      problemsOf(`stores: {s: {type: redis, url: "redis://m", ${rest}}}\n${login('s')}`, { env }).then((all) =>
        all.join(),
      );
    const sentinels = 'sentinels: ["a:26379"]';
    const password = 'sentinelPassword: "${env:PW}"';
    assert.equal(await withRest(`${sentinels}, ${password}`), '');
    assert.equal(await withRest(`${sentinels}, sentinelUsername: me, ${password}`), '');
    assert.match(
      await withRest(`${sentinels}, sentinelPassword: canary`),
      /SECRET_IN_CLEAR stores\.s\.sentinelPassword/,
    );
    assert.match(await withRest(`${sentinels}, sentinelUsername: me`), /stores\.s\.sentinelPassword: a user logs in/);
    assert.match(await withRest(password), /stores\.s\.sentinelPassword: nobody looks at it/);
  });

  test('may have a certificate to present, whose key stays secret', async () => {
    const { cert, key } = makeCertificate({ validFrom: new Date('2020-01-01'), validTo: new Date('2100-01-01') });
    const withTls = (tls: string): Promise<string> =>
      problemsOf(`stores: {s: {type: redis, url: "rediss://h", tls: {${tls}}}}\n${login('s')}`, {
        env: { ...env, CERT: cert, KEY: key, OTHER: makeCertificate().key },
      }).then((all) => all.join());
    assert.equal(await withTls('cert: "${env:CERT}", key: "${env:KEY}", serverName: redis.internal'), '');
    assert.match(await withTls('cert: "${env:CERT}"'), /stores\.s\.tls has cert, but not key/);
    assert.match(await withTls('cert: "${env:CERT}", key: "${env:OTHER}"'), /is not the key of the certificate/);
    assert.match(await withTls('cert: ./cert.pem, key: ./key.pem'), /BAD_TLS_FILE \.\/cert\.pem/);
    assert.match(
      await withTls(`cert: "\${env:CERT}", key: ${JSON.stringify(key)}`),
      /SECRET_IN_CLEAR stores\.s\.tls\.key/,
    );
    for (const name of ['h:1', '10.0.0.1', '"[::1]"', 'a b', '""']) {
      assert.match(await withTls(`serverName: ${name}`), /stores\.s\.tls\.serverName: write the name/, name);
    }
  });

  test('that is not verified is told', async () => {
    const text = `stores: {s: {type: redis, url: "rediss://h", tls: {insecure: true}}}\n${login('s')}`;
    assert.deepEqual(await problemsOf(text, { env }), [
      '1:62 warning TLS_UNVERIFIED stores.s: its certificate is not verified, so that anybody on the path can read and change what is kept there; give tls.ca instead',
    ]);
  });

  test('is verified with authorities that must be there', async () => {
    const text = `stores: {s: {type: redis, url: "rediss://h", tls: {ca: ./ca.pem}}}\n${login('s')}`;
    assert.match((await problemsOf(text, { env })).join(), /BAD_TLS_FILE \.\/ca\.pem: the file cannot be read/);
  });
});
