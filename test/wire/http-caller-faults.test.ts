import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CallRequest } from '../../src/contract.ts';
import { callerOf, canary, failureOf, startCaller, textOf } from '../support/caller.ts';
import { settle } from '../support/changes.ts';
import { freePort } from '../support/free-port.ts';
import { type UpstreamScript, ok } from '../support/raw-upstream.ts';

describe('a call that fails', () => {
  it('says that nobody listens', async (t) => {
    const url = `http://127.0.0.1:${await freePort()}/?secret=${canary}`;
    const failure = await failureOf(callerOf(t).call({ url, timeoutMs: 1000, maxBytes: 10 }));
    assert.equal(failure, 'cannot be reached: ECONNREFUSED');
  });

  const garbage: Readonly<Record<string, readonly [answer: string, failure: RegExp]>> = {
    'no HTTP at all': [`220 smtp ready ${canary}\r\n\r\n`, /^bad response: bad status line$/],
    'HTTP/2 spoken at once': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', /^bad response: /],
    'a space before a colon': [`HTTP/1.1 200 OK\r\nx-${canary} : 1\r\n\r\n`, /^bad response: bad header name$/],
    'two lengths': [
      'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\nx',
      /more than one Content-Length$/,
    ],
    'length and chunks': [
      'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n',
      /both Content-Length and Transfer-Encoding$/,
    ],
    'a bad chunk': [`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${canary}`, /^bad response: /],
    'a head without end': [`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}`, /^bad response: head too large$/],
    'interim answers without end': ['HTTP/1.1 102 x\r\n\r\n'.repeat(40), /too many interim responses$/],
    'another protocol': ['HTTP/1.1 101 x\r\nupgrade: websocket\r\n\r\n', /was not asked for$/],
    'an encoding': ['HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx', /encoded unasked$/],
    'an encoding of chunks': [
      'HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ntransfer-encoding: chunked\r\n\r\n',
      /encoded unasked$/,
    ],
  };
  for (const [what, [answer, expected]] of Object.entries(garbage)) {
    it(`refuses ${what}, and uses the connection no more`, async (t) => {
      const { server, call } = await startCaller(t, { onRequest: ({ target }) => (target === '/ok' ? ok() : answer) });
      assert.match(await failureOf(call()), expected);
      if (!what.startsWith('an encoding')) {
        await server.until(() => server.connections[0].closed, 'the connection to be closed');
      }
      assert.equal(textOf(await call({ path: '/ok' })), 'ok');
    });
  }

  const oversized: Readonly<Record<string, string>> = {
    'by its length': 'HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n',
    'by its length, all at once': ok('x'.repeat(1001)),
    'in chunks': `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${`1f4\r\n${'x'.repeat(500)}\r\n`.repeat(3)}`,
    'without end': `HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(1001)}`,
  };
  for (const [how, answer] of Object.entries(oversized)) {
    it(`refuses an answer that is too long ${how}`, async (t) => {
      const { call } = await startCaller(t, {
        onRequest: ({ target }) => (target === '/ok' ? ok('x'.repeat(1000)) : answer),
      });
      assert.equal(await failureOf(call({ maxBytes: 1000 })), 'longer than 1000 bytes');
      assert.equal((await call({ path: '/ok', maxBytes: 1000 })).body.length, 1000);
    });
  }

  it('takes nothing for an answer that breaks off', async (t) => {
    const answers = [
      'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n',
      'HTTP/1.1 200 O',
    ];
    for (const reset of [false, true]) {
      for (const answer of answers) {
        const { call } = await startCaller(t, {
          onRequest(_, connection) {
            connection.socket.write(answer, 'latin1', () => (reset ? connection.reset() : connection.end()));
          },
        });
        assert.match(await failureOf(call()), /^broke off: (ECONNRESET|closed by the upstream)$/);
      }
    }
    const { call } = await startCaller(t, {
      onRequest(_, connection) {
        connection.socket.write('HTTP/1.1 200 OK\r\n\r\nuntil the end', () => connection.reset());
      },
    });
    assert.match(await failureOf(call()), /^broke off/, 'a reset is no end of a body');
  });

  it('is over at its deadline: without an answer, in the midst of one, and drop by drop', async (t) => {
    const silent = await startCaller(t, { onRequest: () => {} });
    const never = failureOf(silent.call({ timeoutMs: 500 }));
    await silent.server.request();
    silent.clock.advance(600);
    assert.equal(await never, 'no answer within 500 ms');
    await silent.server.until(() => silent.server.connections[0].closed, 'the connection to be closed');

    const { server, clock, call } = await startCaller(t, {
      onRequest: () => 'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n',
    });
    const slow = failureOf(call({ timeoutMs: 1000 }));
    const { socket } = await server.connection();
    await server.request();
    // A byte every 100 ms: never silent for long.
    for (let i = 0; i < 11; i++) {
      socket.write('x');
      await settle();
      clock.advance(100);
    }
    assert.equal(await slow, 'no answer within 1000 ms');
    await server.until(() => server.connections[0].closed, 'the connection to be closed');
  });

  it('is over at its deadline when the connection does not get ready', async (t) => {
    const { server, clock, caller } = await startCaller(t, {});
    const url = server.url.replace('http:', 'https:');
    const failure = failureOf(caller.call({ url, timeoutMs: 300, maxBytes: 10 }));
    await server.until(() => server.bytes !== '', 'the beginning of a handshake');
    clock.advance(400);
    assert.equal(await failure, 'no answer within 300 ms');
    await server.until(() => server.connections[0].closed, 'the connection to be closed');
  });
});

describe('a connection that has died meanwhile', () => {
  /** Answers the first request of a connection, and closes it when the next arrives. */
  const forgetful: UpstreamScript = {
    onRequest(_, connection) {
      if (connection.requests.length <= 1) return ok(`connection ${connection.index}`);
      connection.end();
      return undefined;
    },
  };

  it('is replaced once by a fresh one, for requests that can be sent twice', async (t) => {
    for (const options of [{}, { method: 'POST', idempotent: true }] satisfies Partial<CallRequest>[]) {
      const { server, call } = await startCaller(t, forgetful);
      await call(options);
      assert.equal(textOf(await call(options)), 'connection 1');
      assert.equal(server.requests.length, 3);
    }
  });

  it('is not for a request that may have been obeyed', async (t) => {
    for (const options of [{ method: 'POST' }, { idempotent: false }] satisfies Partial<CallRequest>[]) {
      const { server, call } = await startCaller(t, forgetful);
      await call(options);
      assert.match(await failureOf(call(options)), /^broke off/);
      assert.equal(server.requests.length, 2);
    }
  });

  it('is not twice, and not for one that was fresh', async (t) => {
    let answering = true;
    const { server, call } = await startCaller(t, {
      onRequest(_, connection) {
        if (answering) return ok();
        connection.end();
        return undefined;
      },
    });
    await call();
    answering = false;
    assert.match(await failureOf(call()), /^broke off/);
    assert.equal(server.requests.length, 3);
    assert.match(await failureOf(call()), /^broke off/);
    assert.equal(server.requests.length, 4);
  });
});
