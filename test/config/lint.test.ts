/** What is right by its form, and suspicious all the same. Each has its counterpart that is not. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { definePolicy } from '../../src/contract.ts';
import { problemCodes } from '../../src/config/problem.ts';
import { z } from '../../src/util/schema.ts';
import { makeCertificate } from '../support/certificates.ts';
import { type TestOptions, allBuiltin, problemsOf, registryOf } from './load-text.ts';

const { cert, key } = makeCertificate({ validFrom: new Date(0), validTo: new Date(Date.UTC(2040, 0)) });
const files = { '/gw/a.pem': cert, '/gw/a.key': key };
const UP = 'upstreams: {u: {targets: ["http://127.0.0.1:1"]}}\n';

/** Warnings of the check that is meant, without those of others. */
async function warned(text: string, options: TestOptions = {}): Promise<string[]> {
  const problems = await problemsOf(text, { files, ...options });
  for (const problem of problems) {
    assert.match(problem, /^\d+:\d+ (?:warning|error) [A-Z_]+ \S/);
    assert.ok((problem.split(' ')[2] ?? '') in problemCodes, problem);
  }
  return problems.filter((problem) => !problem.includes(' UNUSED '));
}

suite('targets', () => {
  const targets = async (list: string, rest = ''): Promise<string[]> =>
    warned(`upstreams: {u: {targets: [${list}]${rest}}}\nroutes: {r: {upstream: u}}`);

  test('are there once, however they are written', async () => {
    assert.deepEqual(await targets('"http://a", "http://b:80", "http://a:80"'), [
      '1:54 warning REPEATED upstreams.u.targets[2] is the same target as upstreams.u.targets[0]: to send it more requests, give it a weight',
    ]);
    assert.match((await targets('"unix:/s", {url: "unix:/s", weight: 2}')).join(), /^1:38 warning REPEATED /);
    assert.deepEqual(await targets('"http://a", "https://a", "http://a:81", "unix:/a", "unix:/b"'), []);
  });

  test('have a weight, at least one of them', async () => {
    assert.deepEqual(await targets('{url: "http://a", weight: 0}, {url: "http://b", weight: 0}'), [
      '1:17 error BAD_VALUE upstreams.u.targets: all weights are 0, so that nothing would be sent anywhere',
    ]);
    assert.deepEqual(await targets('{url: "http://a", weight: 0}, "http://b"'), []);
  });

  test('are verified', async () => {
    assert.deepEqual(await targets('"https://a"', ', tls: {insecure: true}'), [
      '1:57 warning TLS_UNVERIFIED upstreams.u: its certificate is not verified, so that anybody on the path can read and change what is sent; give tls.ca instead',
    ]);
    assert.deepEqual(await targets('"https://a"', ', tls: {insecure: false, ca: ./a.pem}'), []);
    assert.deepEqual(await targets('"http://a"', ', tls: {insecure: true}'), []);
  });
});

suite('time-outs', () => {
  test('of a route fit into what the defaults leave it', async () => {
    assert.deepEqual(
      await warned(
        `${UP}defaults: {timeouts: {total: 5s}}\nroutes:\n  a: {upstream: u, timeouts: {firstByte: 6s, idle: 5s}}\n`,
      ),
      [
        '4:42 warning TIMEOUTS routes.a.timeouts: firstByte is longer than the total of the defaults (5s), so that it is never reached',
      ],
    );
    // Its own total counts; and what only the defaults say is no contradiction of the route.
    assert.deepEqual(
      await warned(
        `${UP}defaults: {timeouts: {total: 50s, firstByte: 20s}}\nroutes:\n  a: {upstream: u, timeouts: {total: none, firstByte: 60s}}\n  b: {match: {path: /b}, upstream: u, timeouts: {total: 5s}}\n`,
      ),
      [],
    );
  });

  test('of an upstream are for routes that have one', async () => {
    assert.deepEqual(await warned('routes:\n  a: {respond: {}, timeouts: {connect: 1s, total: 5s}}\n'), [
      '2:31 warning NO_EFFECT routes.a.timeouts.connect has no effect: the route sends nothing to an upstream',
    ]);
    assert.deepEqual(await warned('defaults: {timeouts: {connect: 1s}}\nroutes: {a: {respond: {}}}'), []);
  });
});

suite('policies in one list', () => {
  const list = async (defaults: string, own: string, options: TestOptions = {}): Promise<string[]> =>
    warned(`${UP}defaults: {policies: [${defaults}]}\nroutes:\n  r: {upstream: u, policies: [${own}]}\n`, options);

  test('are not there twice where one does nothing', async () => {
    const cors = 'cors: {origins: ["*"]}';
    assert.deepEqual(await list(cors, 'cors: {origins: ["https://a.example"]}'), [
      '4:31 warning NO_EFFECT routes.r.policies[0]: cors has no effect: that of defaults.policies[0] comes first and does it already',
    ]);
    assert.match(
      (await list('', `${cors}, compress, ${cors}`)).join(),
      /^4:65 warning NO_EFFECT routes\.r\.policies\[2\]: cors /,
    );
    assert.deepEqual(await list('bodyLimit: {max: 1MiB}', 'bodyLimit: {max: 2MiB}'), [
      '4:31 warning NO_EFFECT routes.r.policies[0]: bodyLimit has no effect: the limit of defaults.policies[0], 1MiB, is not larger and counts',
    ]);
    assert.match((await list('requestId', 'requestId')).join(), /NO_EFFECT .*requestId/);
    assert.match((await list('', 'securityHeaders, securityHeaders')).join(), /NO_EFFECT .*securityHeaders/);
    assert.match((await list('requestId, requestId', '')).join(), /^2:34 warning NO_EFFECT defaults\.policies\[1\]/);
  });

  test('may be there twice where both do something', async () => {
    assert.deepEqual(await list('bodyLimit: {max: 2MiB}', 'bodyLimit: {max: 1MiB}'), []);
    assert.deepEqual(await list('requestId', 'requestId: {header: x-trace}'), []);
    assert.deepEqual(await list('ipFilter: {deny: [10.0.0.1]}', 'ipFilter: {deny: [10.0.0.2]}'), []);
    assert.deepEqual(await list('headers: {request: {add: {a: b}}}', 'headers: {request: {add: {a: b}}}'), []);
    assert.deepEqual(await list('compress', 'compress: {minBytes: 5KiB}'), []);
  });

  test('do not ask for what no consumer has', async () => {
    const refused = (what: string): string =>
      `4:31 warning NEVER_ALLOWED routes.r.policies[0]: no consumer has ${what}, so that everybody is refused`;
    const among = (consumers: string, policy: string): Promise<string[]> =>
      warned(`${UP}consumers: {a: ${consumers}}\nroutes:\n  r: {upstream: u, policies: [${policy}]}\n`);
    for (const [policy, what, credential] of [
      ['apiKey', 'an API key', `apiKeys: [{hash: "sha256:${'0'.repeat(64)}"}]`],
      ['basicAuth', 'a password', 'basic: {password: "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="}'],
      ['messageSignature', 'a key for signatures', 'hmac: {keyId: k, secret: "${env:S:-a secret of some length}"}'],
    ] as const) {
      assert.deepEqual(await among('{}', policy), [refused(what)]);
      assert.deepEqual(await among(`{${credential}}`, policy), []);
      assert.deepEqual(await among('{}', `{${policy}: {optional: true}}`), []);
      assert.deepEqual(await among('{}', `{anyOf: [${policy}, mtls]}`), await among('{}', 'mtls'));
    }
    assert.deepEqual(await among('{}', 'basicAuth: {htpasswd: ./users}'), []);
    const stored = `${UP}consumerSources: {database: ./c.db}\nroutes:\n  r: {upstream: u, policies: [apiKey]}\n`;
    assert.deepEqual(await warned(stored), []);
  });

  test('do not ask for credentials before cors, as preflights have none', async () => {
    const options = z.strictObject({});
    const apiKey = definePolicy({ name: 'apiKey', summary: '-', options, create: () => ({}) });
    const withApiKey = { registry: registryOf([...allBuiltin, apiKey]) };
    // That there are no consumers is not what this is about.
    const ordered = async (defaults: string, own: string): Promise<string[]> =>
      (await list(defaults, own, withApiKey)).filter((problem) => !problem.includes(' NEVER_ALLOWED '));
    assert.deepEqual(await ordered('apiKey', 'cors: {origins: ["*"]}'), [
      '4:31 warning PREFLIGHT_REFUSED cors comes after apiKey, which refuses preflights, as browsers send no credentials with them: put it before apiKey',
    ]);
    assert.deepEqual(await ordered('cors: {origins: ["*"]}', 'apiKey'), []);
    assert.deepEqual(await ordered('apiKey', 'ban: {after: 5}'), [
      '4:31 warning NO_EFFECT routes.r.policies[0]: ban does not see what apiKey refuses, as it comes after it: put it before apiKey',
    ]);
    assert.deepEqual(await ordered('', 'ban: {after: 5}, apiKey'), []);
    assert.deepEqual(
      await list('', 'bodyLimit: {max: 1KiB}, ipFilter: {deny: [10.0.0.1]}, cors: {origins: ["*"]}'),
      [],
    );
  });
});

suite('listeners', () => {
  test('do not believe everybody', async () => {
    const trusting = async (rest: string): Promise<string[]> =>
      warned(`listeners: {w: {${rest}}}\nroutes: {r: {respond: {}}}`);
    assert.deepEqual(await trusting('trustedProxies: [10.0.0.1, 0.0.0.0/0]'), [
      '1:44 warning TRUSTS_EVERYBODY listeners.w.trustedProxies[1] trusts every address: whoever reaches the listener can claim any client address; name those of your proxies',
    ]);
    assert.match((await trusting('trustedProxies: "::/0"')).join(), /TRUSTS_EVERYBODY/);
    assert.deepEqual(await trusting('trustedProxies: [10.0.0.0/8]'), []);
    assert.deepEqual(await trusting('host: 127.0.0.1, trustedProxies: [0.0.0.0/0]'), []);
    assert.deepEqual(await trusting('unix: ./s, trustedProxies: [0.0.0.0/0]'), []);
  });

  test('do not limit by address what is limited more strictly anyway, or has no address', async () => {
    const limited = async (limits: string, rest = ''): Promise<string[]> =>
      warned(`listeners: {w: {limits: {${limits}}${rest}}}\nroutes: {r: {respond: {}}}`);
    const noEffect = (column: number, option: string, why: string): string =>
      `1:${column} warning NO_EFFECT listeners.w.limits.${option} has no effect: ${why}`;
    assert.deepEqual(await limited('connectionsPerAddress: 100, connections: 100'), [
      noEffect(49, 'connectionsPerAddress', 'limits.connections is 100, for all together'),
    ]);
    assert.deepEqual(await limited('connectionsPerAddress: 99, connections: 100'), []);
    assert.deepEqual(await limited('newConnectionsPerAddress: 10/1s, newConnections: 600/1m'), []);
    assert.deepEqual(await limited('newConnectionsPerAddress: 600/1m, newConnections: 600/1m'), [
      noEffect(52, 'newConnectionsPerAddress', 'limits.newConnections lets no more pass, of all together'),
    ]);
    const both = 'connectionsPerAddress: 5, newConnectionsPerAddress: 10/1s';
    const why = 'who comes through a Unix socket has no address';
    assert.deepEqual(await limited(both, ', unix: ./s'), [
      noEffect(49, 'connectionsPerAddress', why),
      noEffect(78, 'newConnectionsPerAddress', why),
    ]);
    assert.deepEqual(await limited(both, ', unix: ./s, proxyProtocol: true'), []);
  });
});

suite('mtls', () => {
  const withMtls = (listeners: string, policies = 'mtls', match = ''): Promise<string[]> =>
    warned(`listeners: ${listeners}\nroutes:\n  r: {${match}policies: [${policies}], respond: {}}\n`);
  const asking = '{certificates: [{cert: c.pem, key: c.key}], clientAuth: {ca: ca.pem}}';

  test('needs a listener that asks for certificates', async () => {
    const finding =
      '3:3 warning NO_CLIENT_CERTIFICATES routes.r has mtls, and none of its listeners asks for client certificates: give one of them tls.clientAuth';
    const both = `{web: {}, secure: {port: 8443, tls: ${asking}}}`;
    const found = async (...args: Parameters<typeof withMtls>): Promise<string[]> =>
      (await withMtls(...args)).filter((line) => line.includes('NO_CLIENT'));
    assert.deepEqual(await found('{web: {}}'), [finding]);
    assert.deepEqual(await found('{web: {}}', 'mtls: {optional: true}'), [finding]);
    assert.deepEqual(await found(both, 'mtls', 'match: {listener: web}, '), [finding]);
    assert.deepEqual(await found(both), []);
    assert.deepEqual(await found(both, 'mtls', 'match: {listener: secure}, '), []);
    assert.deepEqual(await found('{web: {}}', 'apiKey'), []);
  });
});

suite('a route', () => {
  const route = async (headers: string, listeners = '{web: {}}', rest = ''): Promise<string[]> =>
    warned(`listeners: ${listeners}\n${UP}routes:\n  r: {match: {headers: {${headers}}${rest}}, upstream: u}\n`);

  test('does not wait for headers that never get there', async () => {
    assert.deepEqual(await route('x_tenant: a'), [
      '4:25 warning ROUTE_UNREACHABLE routes.r never gets a request: headers with _ in their names, such as x_tenant, are dropped (limits.underscores of the listener)',
    ]);
    assert.deepEqual(await route('x-forwarded-proto: http'), [
      '4:25 warning ROUTE_UNREACHABLE routes.r never gets a request: x-forwarded-proto is taken away before routes are matched, as any client could send it',
    ]);
    assert.match((await route('X-Real-IP: {present: true}')).join(), /ROUTE_UNREACHABLE .*trustedProxies/);
    assert.match(
      (
        await route('x_a: {regex: a}', '{web: {}, b: {port: 1, limits: {underscores: keep}}}', ', listener: web')
      ).join(),
      /UNREACHABLE/,
    );
  });

  test('may wait for those that do', async () => {
    for (const headers of [
      'x-tenant: a',
      'x_tenant: {present: false}',
      'x-forwarded-proto: {present: false}',
      'via: a',
    ]) {
      assert.deepEqual(await route(headers), [], headers);
    }
    assert.deepEqual(await route('x_tenant: a', '{web: {}, b: {port: 1, limits: {underscores: keep}}}'), []);
    assert.deepEqual(await route('x-real-ip: a', '{web: {trustedProxies: [10.0.0.1]}}'), []);
    assert.match((await route('x-forwarded-proto: a', '{web: {trustedProxies: [10.0.0.1]}}')).join(), /UNREACHABLE/);
  });

  test('does not redirect to the very port that it serves', async () => {
    const tls = 'tls: {certificates: [{cert: ./a.pem, key: ./a.key}]}';
    const redirect = async (listeners: string, to: string, match = ''): Promise<string[]> =>
      warned(`listeners: {${listeners}}\nroutes:\n  r: {match: {${match}}, redirect: {to: "${to}"}}\n`);
    const secure = `s: {port: 443, ${tls}}`;
    assert.deepEqual(await redirect(secure, 'https://{host}{path}'), [
      '3:33 warning REDIRECT_LOOP routes.r redirects requests to where they came from: its listeners serve that very scheme and port. Name the listener in match.listener that it is for',
    ]);
    assert.match(
      (await redirect(`w: {port: 80}, ${secure}`, 'https://{host}{path}', 'listener: s')).join(),
      /REDIRECT_LOOP/,
    );
    assert.match(
      (await redirect(`s: {port: 8443, ${tls}}`, 'https://{host}:8443{path}?{query}')).join(),
      /REDIRECT_LOOP/,
    );
    for (const [listeners, to, match] of [
      [`w: {port: 80}, ${secure}`, 'https://{host}{path}', 'listener: w'],
      [`w: {port: 80}, ${secure}`, 'https://{host}{path}', ''],
      [secure, 'https://{host}:8443{path}', ''],
      [secure, 'https://www.example.com{path}', ''],
      [secure, 'http://{host}{path}', ''],
      [`s: {port: 443, trustedProxies: [10.0.0.1], ${tls}}`, 'https://{host}{path}', ''],
    ] as const) {
      assert.deepEqual(await redirect(listeners, to, match), [], `${listeners} ${to}`);
    }
  });
});
