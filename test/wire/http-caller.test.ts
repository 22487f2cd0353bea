import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type RequestListener, createServer as listen } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, describe, it } from 'node:test';
import type { CallResponse } from '../../src/contract.ts';
import { systemClock } from '../../src/util/clock.ts';
import { HttpCaller } from '../../src/wire/call/http-caller.ts';
import { TimerWheel } from '../../src/wire/timer-wheel.ts';
import { callerOf, canary, failureOf, startCaller, textOf } from '../support/caller.ts';
import { makeCertificate } from '../support/certificates.ts';
import { ok } from '../support/raw-upstream.ts';
import { makeTlsFiles } from '../support/tls-files.ts';

describe('a call', () => {
  it('is a plain HTTP/1.1 request, with what the caller has given and nothing that frames it twice', async (t) => {
    const { server, call } = await startCaller(t);
    const { status, headers, body } = await call({ path: '/a/%20?x=1', headers: [['authorization', 'Basic abc']] });
    assert.deepEqual([status, headers, Buffer.from(body).toString()], [200, [['content-length', '2']], 'ok']);
    await call({ method: 'POST', body: 'tökén=1', headers: [['user-agent', 'other']] });
    await call({ method: 'POST' });
    const host = server.url.slice('http://'.length);
    assert.equal(
      server.bytes,
      `GET /a/%20?x=1 HTTP/1.1\r\nhost: ${host}\r\nuser-agent: gatewright\r\naccept-encoding: identity\r\n` +
        'authorization: Basic abc\r\n\r\n' +
        `POST / HTTP/1.1\r\nhost: ${host}\r\naccept-encoding: identity\r\nuser-agent: other\r\ncontent-length: 9\r\n\r\n` +
        Buffer.from('tökén=1').toString('latin1') +
        `POST / HTTP/1.1\r\nhost: ${host}\r\nuser-agent: gatewright\r\naccept-encoding: identity\r\ncontent-length: 0\r\n\r\n`,
    );
  });

  it('keeps connections, and uses one at a time for one call', async (t) => {
    const { server, call } = await startCaller(t);
    for (let i = 0; i < 3; i++) await call();
    assert.equal(server.connections.length, 1);
    await Promise.all([call(), call()]);
    assert.equal(server.connections.length, 2);
  });

  it('closes a connection that nobody has used for a while', async (t) => {
    const { server, clock, call } = await startCaller(t);
    await call();
    clock.advance(31_000);
    await server.until(() => server.connections[0].closed, 'the idle connection to be closed');
    assert.equal(clock.running, 0, 'nothing ticks while nothing is under way');
  });

  it('reads bodies of every framing, and bytes as they are', async (t) => {
    const bytes = String.fromCharCode(...Array.from({ length: 256 }, (_, code) => code));
    const long = bytes.repeat(200);
    const answers: Readonly<Record<string, readonly [head: string, body: string]>> = {
      '/length': [`content-length: ${long.length}\r\n`, long],
      '/chunked': ['transfer-encoding: chunked\r\n', `${long.length.toString(16)}\r\n${long}\r\n0\r\nx-t: 1\r\n\r\n`],
      '/close': ['connection: close\r\n', long],
    };
    const { call } = await startCaller(t, {
      onRequest({ target }, connection) {
        const [head, body] = answers[target];
        connection.write(`HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n${head}\r\n${body}`);
        if (target === '/close') connection.end();
      },
    });
    for (const path of Object.keys(answers)) {
      const { body } = await call({ path });
      assert.equal(Buffer.from(body).toString('latin1'), long, path);
    }
    const head = await startCaller(t, { onRequest: () => 'HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n' });
    assert.equal((await head.call({ method: 'HEAD' })).body.length, 0);
    assert.equal((await head.call({ method: 'HEAD' })).status, 200, 'the connection is in step');
  });

  it('does not follow redirects', async (t) => {
    const { server, call } = await startCaller(t, {
      onRequest: () => 'HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n',
    });
    const { status, headers } = await call();
    assert.deepEqual([status, headers[0]], [302, ['location', '/elsewhere']]);
    assert.equal(server.requests.length, 1);
  });

  it('waits for its turn when all connections are in use, and no longer than its deadline', async (t) => {
    const { server, clock, call } = await startCaller(t, { onRequest: () => {} });
    const first = Array.from({ length: 32 }, () => call({ timeoutMs: 60_000 }));
    const late = failureOf(call({ timeoutMs: 1000 }));
    const waiting = Array.from({ length: 40 }, () => call({ timeoutMs: 60_000 }));
    await server.until(() => server.requests.length === 32, '32 requests');
    clock.advance(1100);
    assert.equal(await late, 'no answer within 1000 ms');
    let answered = 0;
    while (answered < 72) {
      await server.until(() => server.requests.length > answered, 'the next request');
      for (const connection of server.connections) {
        while (connection.requests.length > 0) {
          connection.requests.shift();
          answered++;
          connection.write(ok());
        }
      }
    }
    assert.equal((await Promise.all([...first, ...waiting])).length, 72);
    assert.equal(server.connections.length, 32);
  });

  it('is refused when too many wait already', async (t) => {
    const { caller, call } = await startCaller(t, { onRequest: () => {} });
    const all = Array.from({ length: 32 + 1024 }, () => failureOf(call()));
    assert.equal(await failureOf(call()), 'too many calls wait for it already');
    caller.close();
    assert.deepEqual([...new Set(await Promise.all(all))], ['the gateway stops']);
    assert.equal(await failureOf(call()), 'the gateway stops');
  });

  it('can be given up: before, while it waits for a connection, and while it waits for the answer', async (t) => {
    const { server, call } = await startCaller(t, { onRequest: () => {} });
    assert.equal(await failureOf(call({ signal: AbortSignal.abort() })), 'given up');
    const connecting = new AbortController();
    const first = failureOf(call({ signal: connecting.signal }));
    connecting.abort();
    assert.equal(await first, 'given up');
    const asking = new AbortController();
    const second = failureOf(call({ signal: asking.signal }));
    await server.request();
    asking.abort();
    assert.equal(await second, 'given up');
    await server.until(
      () => server.connections.every(({ closed }) => closed || server.connections.length > 1),
      'closed',
    );
    // Places that were taken are free again.
    const many = Array.from({ length: 32 }, () => failureOf(call()));
    await server.until(() => server.requests.length === 33, '32 more requests at the same time');
    server.stop();
    await Promise.all(many);
  });
});

describe('what cannot be called', () => {
  const urls: readonly (readonly [url: string, problem: RegExp])[] = [
    ['ftp://host/', /http/],
    ['file:///etc/passwd', /http/],
    ['//host/', /http/],
    ['http:host', /http/],
    ['http:///host', /http/],
    ['http://user:canary-3f9c@host/', /user/],
    ['http://@host/', /user/],
    ['https://issuer.example\\@host/', /visible ASCII/],
    ['http://host/#canary-3f9c', /fragment/],
    ['http://host/\r\nx: canary-3f9c', /visible ASCII/],
    ['http://ho\tst/', /visible ASCII/],
    ['http://host/ a', /visible ASCII/],
    ['http://höst/', /visible ASCII/],
    ['http://host:99999/', /not a URL/],
    ['http://[::1/', /not a URL/],
    ['', /http/],
  ];
  for (const [url, problem] of urls) {
    it(`is ${JSON.stringify(url)}`, async (t) => {
      await assert.rejects(callerOf(t).call({ url, timeoutMs: 1000, maxBytes: 10 }), (error: unknown) => {
        assert.ok(error instanceof TypeError);
        assert.match(error.message, problem);
        assert.ok(!error.message.includes(canary));
        return true;
      });
    });
  }

  it('are headers and methods that would be something else on the wire (CVE-2022-31150, CVE-2026-31908)', async (t) => {
    const { server, call } = await startCaller(t);
    const fields: readonly (readonly [string, string])[] = [
      ['x', `a\r\nx-admin: ${canary}`],
      ['x', 'a\0'],
      ['x', 'a\u0100'],
      ['x y', '1'],
      ['', '1'],
      ['x:', '1'],
      ...[
        'Host',
        'content-length',
        'transfer-encoding',
        'connection',
        'expect',
        'te',
        'upgrade',
        'Accept-Encoding',
      ].map((name): [string, string] => [name, '1']),
    ];
    for (const field of fields) await assert.rejects(call({ headers: [field] }), TypeError);
    for (const method of ['get', 'CONNECT', 'GET / HTTP/1.1\r\nx: y\r\n\r\nGET', '', 'G T']) {
      await assert.rejects(call({ method }), TypeError);
    }
    assert.equal(server.connections.length, 0);
  });
});

it('calls IPv6 literals', async (t) => {
  const server = listen((request, response) => response.end(request.headers.host));
  server.listen(0, '::1');
  const listening = await Promise.race([
    once(server, 'listening').then(() => true),
    once(server, 'error').then(() => false),
  ]);
  if (!listening) {
    t.skip('no IPv6 here');
    return;
  }
  t.after(() => server.close().closeAllConnections());
  const { port } = server.address() as AddressInfo;
  const response = await callerOf(t).call({ url: `http://[::1]:${port}`, timeoutMs: 5000, maxBytes: 100 });
  assert.equal(textOf(response), `[::1]:${port}`);
});

it('knows a bounded number of others', async (t) => {
  const { server, caller } = await startCaller(t, { onRequest: ({ target }) => (target === '/' ? ok() : undefined) });
  const port = new URL(server.url).port;
  // All of 127.0.0.0/8 is this machine, but the server listens on one address of it; refused counts as known as well.
  const ask = (host: string, path: string): Promise<CallResponse> =>
    caller.call({ url: `http://${host}:${port}${path}`, timeoutMs: 1000, maxBytes: 100 });
  await ask('127.0.0.1', '/');
  for (let i = 2; i < 70; i++) await failureOf(ask(`127.0.0.${i}`, '/'));
  await server.until(() => server.connections[0].closed, 'the one that was not used for longest to be let go');
  assert.equal(textOf(await ask('127.0.0.1', '/')), 'ok');
});

describe('a call over TLS', () => {
  async function serve(t: TestContext, options: object, answer: RequestListener): Promise<string> {
    const server = createServer(options, answer);
    server.on('tlsClientError', () => {});
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close().closeAllConnections());
    return `https://localhost:${(server.address() as AddressInfo).port}/`;
  }

  const request = { timeoutMs: 5000, maxBytes: 1000 };

  it('goes only to those whom the named authority vouches for', async (t) => {
    const files = makeTlsFiles(t);
    let asked = 0;
    const url = await serve(t, { cert: files.certPem, key: files.keyPem }, (_, response) => {
      asked++;
      response.end('secure');
    });
    const caller = callerOf(t);
    assert.match(await failureOf(caller.call({ url, ...request })), /^TLS failed: [A-Z_]+$/);
    const stranger = makeCertificate({ commonName: 'stranger', isAuthority: true });
    assert.match(
      await failureOf(caller.call({ url, ...request, tls: { ca: stranger.cert } })),
      /^TLS failed: [A-Z_]+$/,
    );
    assert.equal(asked, 0);
    assert.equal(textOf(await caller.call({ url, ...request, tls: { ca: files.certPem } })), 'secure');
    assert.equal(textOf(await caller.call({ url, ...request, tls: { ca: files.cert } })), 'secure');
    assert.match(await failureOf(caller.call({ url, ...request })), /^TLS failed/, 'trust is not shared between calls');
    const other = url.replace('localhost', '127.0.0.2');
    assert.match(await failureOf(caller.call({ url: other, ...request, tls: { ca: files.cert } })), /^(TLS|cannot)/);
  });

  it('goes to nobody whose authority cannot be read, and follows its file', async (t) => {
    const files = makeTlsFiles(t);
    const url = await serve(t, { cert: files.certPem, key: files.keyPem }, (_, response) => response.end('secure'));
    const folder = join(files.cert, '..');
    const ca = join(folder, 'later.pem');
    const caller = new HttpCaller({ clock: systemClock, wheel: new TimerWheel(systemClock), warn: () => {} });
    t.after(() => caller.close());
    assert.match(await failureOf(caller.call({ url, ...request, tls: { ca } })), /later\.pem cannot be read/);
    writeFileSync(ca, files.certPem);
    assert.equal(textOf(await caller.call({ url, ...request, tls: { ca } })), 'secure');
  });

  it('fails where no TLS is spoken', async (t) => {
    const { server, caller } = await startCaller(t, {
      onConnection: (connection) => connection.end('HTTP/1.1 400 no\r\n\r\n'),
    });
    const failure = await failureOf(caller.call({ url: server.url.replace('http:', 'https:'), ...request }));
    assert.match(failure, /^TLS failed: /);
  });
});
