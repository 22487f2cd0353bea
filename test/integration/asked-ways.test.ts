/** Those who are asked about a request, as two ways in of which one is enough. */
import assert from 'node:assert/strict';
import { type TestContext, describe, it } from 'node:test';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { LoginService } from '../support/login-service.ts';
import { fieldValue, fieldValues } from '../support/message-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';

async function start(t: TestContext) {
  const login = await LoginService.start(t);
  login.renews = true;
  const issuer = await RawUpstream.start(t, {
    onRequest: ({ body }) => ok(JSON.stringify({ active: body.includes('token=good&'), sub: 'ann' })),
  });
  const upstream = await RawUpstream.start(t);
  const policies = [
    {
      anyOf: [
        { introspection: { url: issuer.url, forwardClaims: { 'x-user': 'sub' } } },
        { forwardAuth: { url: login.url, sendHeaders: ['cookie'], copyHeaders: ['x-auth-request-user'] } },
      ],
    },
  ];
  const gateway = await TestGateway.start(t, proxyTo(upstream.url, { route: { policies } }));
  const client = await RawClient.connect(t, gateway.address());
  const forged = 'x-user: root\r\nx-auth-request-user: root\r\n';
  const send = async (fields: string) => {
    client.write(`GET / HTTP/1.1\r\nhost: app.example.com\r\n${forged}${fields}\r\n`);
    return client.response();
  };
  return { login, issuer, upstream, send };
}

const cookie = `cookie: ${LoginService.cookieOf('ann')}\r\n`;

describe('anyOf introspection and forwardAuth', () => {
  it('tells the upstream what the way that succeeded says, and nothing of the client in place of the other', async (t) => {
    const { send, upstream, login } = await start(t);
    const byToken = await send('authorization: Bearer good\r\n');
    assert.deepEqual([byToken.status, fieldValues(byToken.fields, 'set-cookie')], [200, []]);
    assert.equal(login.asked.length, 0);
    const byCookie = await send(cookie);
    assert.deepEqual([byCookie.status, fieldValues(byCookie.fields, 'set-cookie').length], [200, 1]);
    const told = upstream.requests.map(({ fields }) => [
      fieldValue(fields, 'x-user'),
      fieldValue(fields, 'x-auth-request-user'),
    ]);
    assert.deepEqual(told, [
      ['ann', undefined],
      [undefined, 'ann'],
    ]);
    assert.doesNotMatch(upstream.bytes, /root|Bearer|_oauth2_proxy/);
  });

  it('leads browsers to the login, and tells clients with a bad token that it is bad', async (t) => {
    const { send, upstream } = await start(t);
    const browser = await send('');
    assert.deepEqual(
      [browser.status, fieldValue(browser.fields, 'location')?.startsWith('/oauth2/start')],
      [302, true],
    );
    const machine = await send('authorization: Bearer bad\r\n');
    assert.deepEqual(
      [machine.status, fieldValues(machine.fields, 'www-authenticate')],
      [401, ['Bearer realm="api", error="invalid_token"']],
    );
    assert.equal(upstream.requests.length, 0);
  });

  it('lets in by one way while nobody answers at the other, and nobody else', async (t) => {
    const { send, login, issuer } = await start(t);
    login.stop();
    assert.equal((await send('authorization: Bearer good\r\n')).status, 200);
    assert.equal((await send(cookie)).status, 503);
    issuer.stop();
    assert.equal((await send('authorization: Bearer new\r\n')).status, 503);
  });
});
