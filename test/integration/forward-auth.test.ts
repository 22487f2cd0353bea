/** forwardAuth at real sockets, with a service such as oauth2-proxy: what clients, upstreams, the service and logs get to see. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, describe, it } from 'node:test';
import type { ConfigInput } from '../../src/config/schema.ts';
import { brokenServices, nobodyAt } from '../support/broken-services.ts';
import { settle } from '../support/changes.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { LoginService } from '../support/login-service.ts';
import { fieldValue, fieldValues } from '../support/message-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';

const consumers: ConfigInput['consumers'] = { ann: { groups: ['gold'] } };
const options = {
  copyHeaders: ['x-auth-request-user', 'x-auth-request-email'],
  consumerHeader: 'x-auth-request-user',
  cookies: ['_oauth2_proxy*'],
};

async function start(t: TestContext, path = '/', more: object = {}) {
  const service = await LoginService.start(t);
  const upstream = await RawUpstream.start(t, { onRequest: () => ok('app', 'set-cookie: app=1\r\n') });
  const gateway = await TestGateway.start(t, {
    ...proxyTo(upstream.url),
    consumers,
    upstreams: { app: { targets: [upstream.url] }, login: { targets: [service.url] } },
    routes: {
      login: { match: { path: '/oauth2/*' }, upstream: 'login' },
      open: { match: { path: '/public/*' }, upstream: 'app' },
      app: {
        match: { path: '/*' },
        policies: [{ forwardAuth: { url: service.url + path, ...options, ...more } }],
        upstream: 'app',
      },
    },
  });
  const client = await RawClient.connect(t, gateway.address());
  const send = async (target: string, fields = '', method = 'GET') => {
    client.write(`${method} ${target} HTTP/1.1\r\nhost: app.example.com:8080\r\n${fields}\r\n`);
    return client.response(method);
  };
  return { service, upstream, gateway, client, send };
}

const ann = `cookie: app=1; ${LoginService.cookieOf('ann')}\r\n`;

describe('forwardAuth', () => {
  it('takes a browser through the login and back to where it wanted to go', async (t) => {
    const { send, upstream } = await start(t);
    const jar = new Map<string, string>();
    let target = '/page?a=1';
    const steps: (readonly [number, string])[] = [];
    for (let i = 0; i < 4; i++) {
      const cookies = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
      const response = await send(target, cookies === '' ? '' : `cookie: ${cookies}\r\n`);
      steps.push([response.status, target]);
      for (const cookie of fieldValues(response.fields, 'set-cookie')) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie)!;
        if (value === '') jar.delete(name);
        else jar.set(name, value);
      }
      const location = fieldValue(response.fields, 'location');
      if (location === undefined) break;
      const { pathname, search } = new URL(location, 'http://app.example.com:8080');
      target = pathname + search;
    }
    const back = encodeURIComponent('http://app.example.com:8080/page?a=1');
    assert.deepEqual(steps, [
      [302, '/page?a=1'],
      [302, `/oauth2/start?rd=${back}`],
      [302, `/oauth2/callback?state=${back}`],
      [200, '/page?a=1'],
    ]);
    assert.deepEqual([...jar.keys()], ['_oauth2_proxy', 'app']);
    const { fields } = await upstream.request();
    assert.deepEqual(fieldValues(fields, 'x-auth-request-email'), ['ann@example.com']);
    assert.deepEqual(fieldValues(fields, 'x-consumer'), ['ann']);
    assert.deepEqual(fieldValues(fields, 'x-consumer-groups'), ['gold']);
    assert.deepEqual(fieldValues(fields, 'cookie'), []);
  });

  it('asks about what was matched, with what it says itself and nothing else', async (t) => {
    const { send, service, upstream } = await start(t, '/oauth2/auth');
    const forged =
      'x-forwarded-uri: /public/x\r\nx-forwarded-host: evil.example\r\nx-forwarded-method: HEAD\r\nx-forwarded-for: 1.2.3.4\r\n' +
      'x-original-url: http://app.example.com/public/x\r\nx-real-ip: 1.2.3.4\r\ncontent-length: 4\r\n';
    const target = '/public/%2e%2e/%61dmin/./x?q=/public/';
    const { status } = await send(target, `${ann}${forged}\r\nbody`, 'POST');
    assert.equal(status, 200);
    const [{ method, path, headers }] = service.asked;
    assert.deepEqual([method, path], ['GET', '/oauth2/auth']);
    const uri = '/admin/x?q=/public/';
    assert.deepEqual(headers, {
      host: new URL(service.url).host,
      'user-agent': 'gatewright',
      'accept-encoding': 'identity',
      'x-forwarded-method': 'POST',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'app.example.com:8080',
      'x-forwarded-uri': uri,
      'x-forwarded-for': '127.0.0.1',
      'x-real-ip': '127.0.0.1',
      'x-original-method': 'POST',
      'x-original-url': `http://app.example.com:8080${uri}`,
      'x-original-uri': uri,
      cookie: `app=1; ${LoginService.cookieOf('ann')}`,
    });
    const sent = await upstream.request();
    assert.deepEqual([sent.startLine, sent.body], [`POST ${uri} HTTP/1.1`, 'body']);
    assert.deepEqual(fieldValues(sent.fields, 'cookie'), ['app=1']);
  });

  it('never shows the upstream who somebody says to be (GHSA-7r4p-vjf4-gxv4)', async (t) => {
    const { send, upstream } = await start(t, '/', {
      copyHeaders: ['x-auth-request-user', 'x-auth-request-groups', 'remote-user'],
    });
    const forged =
      'X-Auth-Request-User: root\r\nx-auth-request-GROUPS: admins\r\nRemote-User: root\r\nRemote_User: root\r\n';
    for (const fields of [forged, `connection: x-auth-request-user\r\n${forged}`]) {
      assert.equal((await send('/', ann + fields)).status, 200);
    }
    for (const { fields } of upstream.requests) {
      assert.deepEqual(fieldValues(fields, 'x-auth-request-user'), ['ann']);
      for (const name of ['x-auth-request-groups', 'remote-user', 'remote_user']) {
        assert.deepEqual(fieldValues(fields, name), [], name);
      }
    }
    assert.equal(upstream.requests.length, 2);
    assert.doesNotMatch(upstream.bytes, /root|admins/);
  });

  it('CVE-2024-45410: is not asked about a field that `Connection` keeps from the upstream', async (t) => {
    const { send, service, upstream } = await start(t, '/', { sendHeaders: ['cookie', 'x-read-only'] });
    for (const fields of ['', 'connection: X-Read-Only\r\n']) {
      assert.equal((await send('/', `${ann}x-read-only: 1\r\n${fields}`)).status, 200);
    }
    assert.deepEqual(
      service.asked.map(({ headers }) => headers['x-read-only']),
      upstream.requests.map(({ fields }) => fieldValue(fields, 'x-read-only')),
    );
  });

  it('refuses in the words of the service', async (t) => {
    const { send, upstream, gateway } = await start(t, '/oauth2/auth');
    for (const fields of ['', `cookie: ${LoginService.cookieOf('ann')}x\r\n`, 'cookie: _oauth2_proxy=root|x\r\n']) {
      const { status, body, fields: got } = await send('/', fields);
      assert.deepEqual([status, body, fieldValue(got, 'content-type')], [401, 'Unauthorized\n', 'text/plain']);
      assert.equal(fieldValue(got, 'cache-control'), 'no-store');
    }
    assert.equal((await send('/', '', 'HEAD')).status, 401);
    assert.equal(upstream.requests.length, 0);
    const { code, reason } = await gateway.observation();
    assert.deepEqual([code, reason], ['UNAUTHENTICATED', 'the service answers with status 401']);
  });

  it('passes the cookies of the service on to the client, beside those of the upstream', async (t) => {
    const { send, service } = await start(t);
    service.renews = true;
    const { fields } = await send('/', ann);
    assert.deepEqual(fieldValues(fields, 'set-cookie'), ['app=1', `${LoginService.cookieOf('ann')}; Path=/; HttpOnly`]);
  });

  it('asks again with every request, or once for so long', async (t) => {
    const always = await start(t);
    for (let i = 0; i < 3; i++) await always.send('/', ann);
    assert.equal(always.service.asked.length, 3);
    const cached = await start(t, '/', { cacheFor: '1h' });
    for (const target of ['/', '/', '/?', '/a', '/a']) assert.equal((await cached.send(target, ann)).status, 200);
    assert.equal(cached.service.asked.length, 2);
    assert.equal((await cached.send('/')).status, 302);
    cached.service.stop();
    assert.equal((await cached.send('/a', ann)).status, 200);
    assert.equal((await cached.send('/b', ann)).status, 503);
  });

  for (const { name, script, hangs } of brokenServices('welcome')) {
    it(`lets nobody pass when the service ${name}`, async (t) => {
      const clock = new FakeClock();
      const service = await RawUpstream.start(t, script);
      const upstream = await RawUpstream.start(t);
      const policies = [{ forwardAuth: { url: `${service.url}/?CANARY`, timeout: '1s', copyHeaders: ['x-user'] } }];
      const gateway = await TestGateway.start(t, proxyTo(upstream.url, { route: { policies } }), { clock });
      const client = await RawClient.connect(t, gateway.address());
      client.write(`GET /CANARY HTTP/1.1\r\nhost: x\r\nauthorization: Bearer CANARY\r\n\r\n`);
      await service.request();
      if (hangs === true) {
        await settle();
        clock.advance(1_100);
      }
      const { status, body } = await client.response();
      assert.equal(status, 503);
      assert.equal((JSON.parse(body) as { code: string }).code, 'AUTH_UNAVAILABLE');
      assert.equal(upstream.requests.length, 0);
      const { reason } = await gateway.observation();
      assert.match(reason, /^the authorisation service: /);
      assert.doesNotMatch(reason + JSON.stringify(gateway.log) + body, /CANARY/);
      assert.equal(gateway.log.filter(({ level }) => level === 'warn').length, 1);
    });
  }

  it('lets nobody pass when the service is not there', async (t) => {
    const upstream = await RawUpstream.start(t);
    const policies = [{ forwardAuth: { url: await nobodyAt(t) } }];
    const gateway = await TestGateway.start(t, proxyTo(upstream.url, { route: { policies } }));
    const client = await RawClient.connect(t, gateway.address());
    for (const fields of ['', ann, 'authorization: Basic YTpi\r\n']) {
      assert.equal((await client.write(`GET / HTTP/1.1\r\nhost: x\r\n${fields}\r\n`).response()).status, 503);
    }
    assert.equal(upstream.requests.length, 0);
  });

  it('gives up asking when the client goes away', async (t) => {
    const service = await RawUpstream.start(t, {});
    const upstream = await RawUpstream.start(t);
    const policies = [{ forwardAuth: { url: service.url } }];
    const gateway = await TestGateway.start(t, proxyTo(upstream.url, { route: { policies } }), {
      clock: new FakeClock(),
    });
    const client = await RawClient.connect(t, gateway.address());
    client.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    const connection = await service.connection();
    await service.request();
    client.reset();
    await service.until(() => connection.closed, 'the question to be taken back');
    assert.equal((await gateway.observation()).code, 'CLIENT_CLOSED');
    assert.deepEqual(
      gateway.log.filter(({ level }) => level !== 'info'),
      [],
    );
  });

  it('keeps what it sends and gets out of the access log', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'gatewright-forward-auth-'));
    t.after(() => rm(folder, { recursive: true }));
    const file = join(folder, 'access.log');
    const service = await RawUpstream.start(t, {
      onRequest: ({ fields }) =>
        fieldValues(fields, 'authorization')[0] === 'Bearer CANARY-good'
          ? ok('CANARY', 'set-cookie: CANARY=1\r\nx-user: CANARY\r\n')
          : 'HTTP/1.1 302 Found\r\nlocation: /?CANARY\r\ncontent-length: 6\r\n\r\nCANARY',
    });
    const upstream = await RawUpstream.start(t);
    const policies = [{ forwardAuth: { url: service.url, copyHeaders: ['x-user'] } }];
    const gateway = await TestGateway.open({
      ...proxyTo(upstream.url, { route: { policies } }),
      telemetry: { accessLog: { file, headers: ['authorization', 'cookie'] } },
    });
    const client = await RawClient.connect(t, gateway.address());
    const statuses: number[] = [];
    for (const token of ['CANARY-good', 'CANARY-bad']) {
      client.write(`GET / HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ncookie: CANARY=1\r\n\r\n`);
      statuses.push((await client.response()).status);
    }
    await gateway.gateway.stop(0);
    assert.deepEqual(statuses, [200, 302]);
    const log = await readFile(file, 'utf8');
    assert.equal(log.trimEnd().split('\n').length, 2);
    assert.doesNotMatch(log + JSON.stringify(gateway.log), /CANARY/);
  });
});
