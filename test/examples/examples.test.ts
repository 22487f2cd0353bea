import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, test } from 'node:test';
import { type JSONWebKeySet, createLocalJWKSet, jwtVerify } from 'jose';
import type { Echo } from '../../examples/echo.ts';
import { PlainBrowser } from '../support/plain-browser.ts';
import { unlessInstalled } from '../support/needed-programs.ts';
import { RunningExample, curlLines, readmeOf } from './running-example.ts';

const url = 'http://127.0.0.1:8080';

/** Runs every line of the README, and then what the example promises beyond the statuses. */
function describeExample(name: string, promises: (example: () => RunningExample) => void): void {
  describe(`the example ${name}`, { skip: unlessInstalled('curl', 'openssl') }, () => {
    let running: RunningExample | undefined;
    const example = (): RunningExample => {
      assert.ok(running);
      return running;
    };
    before(async () => {
      running = await RunningExample.start(name);
    });
    after(async () => {
      assert.equal(await running?.stop(), 0);
    });

    for (const { command, status } of curlLines(readmeOf(name))) {
      it(`answers ${status} to: ${command}`, async () => {
        const answer = await example().curl(command);
        assert.equal(answer.status, status, answer.text);
      });
    }
    promises(example);
  });
}

async function echoOf(example: RunningExample, line: string): Promise<Echo> {
  const { status, text } = await example.curl(line);
  assert.equal(status, 200, text);
  return JSON.parse(text) as Echo;
}

test('the lines of a README are found with the status that their comment promises', () => {
  const readme =
    "```sh\ncurl -s http://a/   # 200 ok\n  head x | curl -d 'b # 1' http://a/ # 413\n```\ncurl is a program\n";
  assert.deepEqual(curlLines(readme), [
    { command: 'curl -s http://a/', status: 200 },
    { command: "head x | curl -d 'b # 1' http://a/", status: 413 },
  ]);
  for (const name of [
    'routing',
    'policies',
    'authentication',
    'jwt',
    'introspection',
    'forward-auth',
    'authorization',
    'oidc',
    'limits',
    'quotas',
    'protection',
    'signatures',
    'tls',
    'typescript',
  ]) {
    assert.ok(curlLines(readmeOf(name)).length >= 3, name);
  }
});

describeExample('routing', (example) => {
  for (const [line, service, path] of [
    [`curl ${url}/users/7`, 'echo-3001', '/accounts/by-id/7'],
    [`curl ${url}/users/me`, 'echo-3001', '/accounts/current'],
    [`curl ${url}/files/2026/report.pdf`, 'echo-3001', '/store/2026/report.pdf'],
    [`curl --path-as-is ${url}/files/%2e%2e/users/7`, 'echo-3001', '/accounts/by-id/7'],
    [`curl ${url}/items`, 'echo-3001', '/items'],
    [`curl -H 'x-beta: yes' ${url}/items`, 'echo-3002', '/items'],
    [`curl '${url}/items?preview=1'`, 'echo-3002', '/items?preview=1'],
    [`curl -H 'host: any.example.com' ${url}/`, 'echo-3002', '/'],
  ] as const) {
    it(`sends ${line} to ${service} as ${path}`, async () => {
      const echo = await echoOf(example(), line);
      assert.equal(echo.service, service);
      assert.equal(echo.url, path);
    });
  }

  it('shows the service its own name where the route rewrites the host', async () => {
    const echo = await echoOf(example(), `curl -H 'host: shop.example.com' ${url}/`);
    assert.equal(echo.headers['host'], 'shop.internal');
    assert.equal(echo.headers['x-forwarded-host'], 'shop.example.com');
  });

  it('splits the canary over both services', async () => {
    const services: string[] = [];
    for (let i = 0; i < 60; i++) {
      const answer = await fetch(example().url(`${url}/canary/x`));
      services.push(((await answer.json()) as Echo).service);
    }
    assert.deepEqual([...new Set(services)].toSorted(), ['echo-3001', 'echo-3002']);
    assert.ok(services.filter((service) => service === 'echo-3001').length > 30);
  });

  it('names the allowed methods and the place that a redirect leads to', async () => {
    assert.match((await example().curl(`curl -i -X DELETE ${url}/items`)).text, /^allow: GET, HEAD\r$/im);
    assert.match(
      (await example().curl(`curl -i ${url}/old/page`)).text,
      /^location: https:\/\/www\.example\.com\/page\r$/im,
    );
  });
});

describeExample('authentication', (example) => {
  it('tells the service who calls, and not with which key', async () => {
    const echo = await echoOf(example(), `curl -H 'x-api-key: demo-key-of-the-shop' '${url}/orders'`);
    assert.equal(echo.headers['x-consumer'], 'shop');
    assert.equal(echo.headers['x-consumer-groups'], 'partners');
    assert.equal(echo.headers['x-api-key'], undefined);
    const feed = await echoOf(example(), `curl '${url}/feed?key=demo-key-of-the-shop&page=2'`);
    assert.equal(feed.url, '/feed?page=2');
  });
});

describeExample('policies', (example) => {
  it('changes the headers of the request and of the response', async () => {
    const echo = await echoOf(example(), `curl -H 'cookie: a=b' ${url}/headers`);
    assert.equal(echo.headers['x-from-gateway'], 'yes');
    assert.equal(echo.headers['cookie'], undefined);
    const { text } = await example().curl(`curl -i ${url}/headers`);
    assert.match(text, /^x-served-by: gatewright\r$/im);
    assert.match(text, /^x-frame-options: SAMEORIGIN\r$/im);
  });

  it('gives the client and the service the same request id', async () => {
    const { text } = await example().curl(`curl -i ${url}/headers`);
    const [head = '', body = ''] = text.split('\r\n\r\n');
    const id = /^x-request-id: (.+)$/im.exec(head)?.[1];
    assert.ok(id);
    assert.equal((JSON.parse(body) as Echo).headers['x-request-id'], id);
  });

  it('lets pages of the allowed origin read the response, and no others', async () => {
    const allowed = await example().curl(`curl -i ${url}/browser -H 'origin: https://shop.example.com'`);
    assert.match(allowed.text, /^access-control-allow-origin: https:\/\/shop\.example\.com\r$/im);
    const others = await example().curl(`curl -i ${url}/browser -H 'origin: https://evil.example'`);
    assert.doesNotMatch(others.text, /access-control-allow-origin/i);
  });

  it('compresses for clients that accept it', async () => {
    const { text } = await example().curl(`curl -i --compressed ${url}/compressed`);
    assert.match(text, /^content-encoding: (zstd|br|gzip)\r$/im);
    assert.match(text, /"service": "echo-3001"/);
  });

  it('tells the service the tenant under another name than the client can', async () => {
    const echo = await echoOf(example(), `curl -H 'x-tenant: north' -H 'x-tenant-id: forged' ${url}/tenant/a`);
    assert.equal(echo.headers['x-tenant-id'], 'tenant:north');
    assert.equal(echo.headers['x-tenant'], undefined);
  });

  it('adds to its own refusals what the policy adds to every response', async () => {
    const { text } = await example().curl(`curl -i ${url}/tenant/a`);
    assert.match(text, /unknown tenant/);
    assert.match(text, /^vary: .*x-tenant\r$/im);
  });
});

describeExample('introspection', (example) => {
  it('tells the service who calls, and not with which token', async () => {
    const token = "-H 'authorization: Bearer token-of-ann' -H 'x-user: root'";
    const { headers } = await echoOf(example(), `curl ${token} ${url}/orders/7`);
    assert.deepEqual([headers['x-consumer'], headers['x-consumer-groups'], headers['x-user']], ['shop', 'gold', 'Ann']);
    assert.equal(headers['authorization'], undefined);
  });

  it('asks for a token, and for one that holds', async () => {
    const asked = await example().curl(`curl -i ${url}/orders/7`);
    assert.match(asked.text, /^www-authenticate: Bearer realm="api"\r$/im);
    const refused = await example().curl(`curl -i -H 'authorization: Bearer guessed' ${url}/orders/7`);
    assert.match(refused.text, /^www-authenticate: Bearer realm="api", error="invalid_token"\r$/im);
  });
});

describeExample('forward-auth', (example) => {
  it('brings whoever has logged in back to the page, as the one that the service says', async () => {
    const { headers, url: path } = await echoOf(
      example(),
      `curl -L -b '' -H 'x-auth-request-user: root' '${url}/app/page?a=1'`,
    );
    assert.equal(path, '/app/page?a=1');
    assert.deepEqual([headers['x-auth-request-user'], headers['x-consumer']], ['ann', 'ann']);
    assert.doesNotMatch(String(headers['cookie']), /session/);
  });

  it('leads nowhere else after the login', async () => {
    for (const rd of ['//evil.example/', 'https://evil.example/', '/%5Cevil.example']) {
      const { text } = await example().curl(`curl -i '${url}/login?rd=${encodeURIComponent(rd)}'`);
      assert.match(text, /^location: \/(?![\\/])/im, rd);
    }
  });
});

describeExample('authorization', (example) => {
  it('asks for each of the ways to authenticate', async () => {
    const { text } = await example().curl(`curl -i ${url}/articles/1`);
    assert.match(text, /^www-authenticate: ApiKey realm="api"\r$/im);
    assert.match(text, /^www-authenticate: Webhook realm="hooks"\r$/im);
  });

  it('tells the service who calls, and not by which key', async () => {
    const echo = await echoOf(example(), `curl -H 'x-api-key: example-key-of-bob' ${url}/articles/1`);
    assert.equal(echo.headers['x-consumer'], 'bob');
    assert.equal(echo.headers['x-api-key'], undefined);
    const hook = await echoOf(example(), `curl -H 'x-webhook-token: example-token' ${url}/hooks/forge`);
    assert.equal(hook.headers['x-webhook-token'], undefined);
  });
});

describeExample('jwt', (example) => {
  const tokenFor = (query: string): string =>
    `"authorization: Bearer $(curl -s 'http://127.0.0.1:3003/token?${query}')"`;

  it('tells the service who calls instead of the token, and nothing that the client says in its place', async () => {
    const echo = await echoOf(example(), `curl ${url}/orders/7 -H ${tokenFor('sub=ann')} -H 'x-user: root'`);
    assert.equal(echo.headers['x-user'], 'ann');
    assert.equal(echo.headers['authorization'], undefined);
    const nobody = await echoOf(example(), `curl ${url}/catalog/7 -H 'x-user: root'`);
    assert.equal(nobody.headers['x-user'], undefined);
  });

  it('says which scopes it takes', async () => {
    const { text } = await example().curl(`curl -i ${url}/orders/7 -d x -H ${tokenFor('sub=ann')}`);
    assert.match(text, /^www-authenticate: Bearer realm="api", error="insufficient_scope", scope="orders:write"\r$/im);
  });
});

describeExample('oidc', (example) => {
  it('lets people log in, tells the service who they are, and lets them log out', async () => {
    const browser = new PlainBrowser();
    const shop = example().url('http://127.0.0.1:8080');
    const page = await browser.logIn(`${shop}/orders`, 'alice');
    const { headers, url: asked } = JSON.parse(page.body) as Echo;
    assert.equal(asked, '/orders');
    assert.equal(headers['x-consumer'], 'alice');
    assert.equal(headers['x-consumer-groups'], 'staff');
    assert.equal(headers['x-name'], 'alice of the example');
    assert.doesNotMatch(String(headers['cookie']), /gw_session/);
    const leaving = await browser.open(`${shop}/oauth2/logout`, new URLSearchParams());
    const left = await browser.submit(leaving, { logout: 'yes' });
    assert.equal(left.body, 'You are logged out.\n');
    assert.equal((await browser.ask(`${shop}/orders`, undefined, { accept: '*/*' })).status, 401);
  });
});

describeExample('quotas', (example) => {
  it('keeps what it has counted in a file', async () => {
    await example().curl(`curl -i ${url}/reports/1`);
    const { text } = await example().curl('curl http://127.0.0.1:9901/api/v1/status');
    const { quotas } = JSON.parse(text) as { quotas: unknown };
    const database = join(example().folder, 'quotas.db');
    assert.partialDeepStrictEqual(quotas, { database, failures: 0, problem: null });
    assert.ok(existsSync(database));
  });
});

describeExample('limits', (example) => {
  it('tells clients of each limit that they have come to, also when one has refused', async () => {
    const { status, text } = await example().curl(`curl -i -H 'x-api-key: example-key-of-bob' ${url}/search`);
    assert.equal(status, 429, text);
    assert.match(text, /^ratelimit: "network";r=100;t=0, "per-client";r=0;t=\d+\r$/im);
    assert.match(text, /^retry-after: \d+\r$/im);
    assert.match(text, /"detail":"The limit \\"per-client\\" is reached\."/);
  });
});

describeExample('protection', (example) => {
  it('tells who is banned and why', async () => {
    const { status, text } = await example().curl('curl -s http://127.0.0.1:9901/api/v1/bans');
    assert.equal(status, 200, text);
    assert.match(text, /"network":"127\.0\.4\.0\/24","since":\d+,"until":\d+,"by":"admin API","reason":"a test"/);
  });

  it('says to who is banned for how long yet', async () => {
    const { status, text } = await example().curl(`curl -i --interface 127.0.4.1 ${url}/api/1`);
    assert.equal(status, 403, text);
    assert.match(text, /^retry-after: 3[56]\d\d\r$/im);
  });
});

describeExample('tls', (example) => {
  const trust = '--cacert examples/tls/certificates/ca.pem --connect-to ::127.0.0.1:8443';

  it('chooses the certificate by the name that the client asks for', async () => {
    for (const host of ['shop.example.test', 'api.example.test']) {
      const echo = await echoOf(example(), `curl ${trust} https://${host}/`);
      assert.equal(echo.headers['host'], host);
      assert.equal(echo.headers['x-forwarded-proto'], 'https');
    }
  });

  it('does not send a request to an upstream that it cannot trust', async () => {
    const { text } = await example().curl(`curl ${trust} https://api.example.test/untrusted`);
    assert.equal((JSON.parse(text) as { code: string }).code, 'UPSTREAM_TLS_FAILED');
  });
});

describeExample('signatures', (example) => {
  const signed = (path: string): string => `node examples/signatures/sign.ts ${url}${path} | curl -s -K -`;

  it('tells the service who called, in a token that it can verify', async () => {
    const { headers } = await echoOf(example(), signed('/orders/7?x=1'));
    assert.equal(headers['x-consumer'], 'mobile-app');
    assert.equal(headers['signature'], undefined);
    assert.equal(headers['authorization'], 'Bearer example-token-of-the-gateway');
    const keys = JSON.parse((await example().curl(`curl -s ${url}/.well-known/jwks.json`)).text) as JSONWebKeySet;
    const { payload } = await jwtVerify(headers['x-identity-token'] as string, createLocalJWKSet(keys));
    assert.deepEqual([payload.sub, payload.aud, payload['groups']], ['mobile-app', 'orders', ['gold']]);
  });

  it('takes a signature once', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'gatewright-signed-'));
    t.after(() => rm(folder, { recursive: true }));
    const once = `node examples/signatures/sign.ts ${url}/orders/7 | tee ${folder}/signed | curl -s -K -`;
    assert.equal((await example().curl(once)).status, 200);
    assert.equal((await example().curl(`curl -s -K ${folder}/signed`)).status, 401);
  });

  it('signs what goes to the other service, and takes away what the client says', async () => {
    const { headers } = await echoOf(example(), `curl -s ${url}/stock/7 -H 'signature: sig1=:AAAA:'`);
    assert.match(headers['signature-input'] as string, /^sig1=\("@method" "@authority" "@path" "@query"\);created=/);
    assert.notEqual(headers['signature'], 'sig1=:AAAA:');
  });
});

describeExample('typescript', (example) => {
  it('serves what the program says', async () => {
    assert.equal((await echoOf(example(), `curl ${url}/catalog/7`)).service, 'echo-3001');
    assert.equal((await echoOf(example(), `curl ${url}/orders -d x`)).body, 'x');
  });
});
