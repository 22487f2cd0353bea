/** Promises of hooks that are settled too late, or never. */
import assert from 'node:assert/strict';
import { Transform } from 'node:stream';
import { describe, it } from 'node:test';
import type { Policy } from '../../src/contract.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { fieldValue } from '../support/message-parser.ts';
import { RawClient, request } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';
import { assertBlamed, get, inFlight, postChunks, startWith } from './with-policies.ts';

const never = (): Promise<never> => new Promise(() => {});

describe('a hook whose promise is never settled', () => {
  for (const hook of ['onRequest', 'onUpstreamRequest', 'onResponse'] as const) {
    it(`ends the exchange at timeouts.total when it is ${hook}`, async (t) => {
      const clock = new FakeClock();
      const called = Promise.withResolvers<void>();
      const left: (number | undefined)[] = [];
      const policy: Policy = {
        [hook]: () => {
          called.resolve();
          return never();
        },
        onFinish: (exchange) => void left.push(inFlight(exchange)),
      };
      const upstream = await RawUpstream.start(t);
      const outer: Policy = { onResponse: async ({ responseHeaders }) => responseHeaders.set('x-outer', '1') };
      const gateway = await startWith(
        t,
        upstream.url,
        [outer, policy],
        { route: { timeouts: { total: '5s' } } },
        { clock },
      );
      const client = await RawClient.connect(t, gateway.address());
      client.write(get());
      await called.promise;
      clock.advance(4_900);
      assert.equal(client.received, '');
      clock.advance(200);
      const { status, body, fields } = await client.response();
      assert.deepEqual([status, JSON.parse(body).code, fieldValue(fields, 'x-outer')], [500, 'POLICY_FAILED', '1']);
      assertBlamed(gateway, 1, /not settled within timeouts\.total/);
      assert.partialDeepStrictEqual(await gateway.observation(), { status: 500, code: 'POLICY_FAILED' });
      assert.ok(left.length === 1 && !left[0]);
    });
  }

  it('does so for a request that is still sending its body', async (t) => {
    const clock = new FakeClock();
    const called = Promise.withResolvers<void>();
    const onRequest = (): Promise<never> => {
      called.resolve();
      return never();
    };
    const gateway = await startWith(
      t,
      'http://127.0.0.1:1',
      [{ onRequest }],
      { route: { timeouts: { total: '5s' } } },
      { clock },
    );
    const client = await RawClient.connect(t, gateway.address());
    client.write('POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n12345');
    await called.promise;
    clock.advance(5_100);
    assert.deepEqual(
      (await client.transcript()).responses.map(({ status }) => status),
      [500],
    );
  });

  it('does not come back to life when it is settled afterwards', async (t) => {
    const clock = new FakeClock();
    for (const settle of ['resolve', 'reject'] as const) {
      const pending = Promise.withResolvers<undefined>();
      const called = Promise.withResolvers<void>();
      const upstream = await RawUpstream.start(t);
      const policy: Policy = {
        onRequest({ path }) {
          if (path !== '/slow') return undefined;
          called.resolve();
          return pending.promise;
        },
      };
      const gateway = await startWith(t, upstream.url, [policy], { route: { timeouts: { total: '5s' } } }, { clock });
      const client = await RawClient.connect(t, gateway.address());
      client.write(get('/slow'));
      await called.promise;
      clock.advance(5_100);
      assert.equal((await client.response()).status, 500);
      if (settle === 'resolve') pending.resolve(undefined);
      else pending.reject(new Error('too late'));
      assert.equal((await client.write(get('/next')).response()).status, 200);
      assert.deepEqual(
        upstream.requests.map(({ target }) => target),
        ['/next'],
      );
      assertBlamed(gateway, 0, /timeouts\.total/);
    }
  });

  it('is not blamed for a time that the upstream has used up, and may then see the 504', async (t) => {
    const clock = new FakeClock();
    const upstream = await RawUpstream.start(t, { onRequest: () => clock.advance(5_100) });
    const policy: Policy = {
      async onResponse(exchange) {
        await new Promise((resolve) => void setImmediate(resolve));
        clock.advance(500);
        exchange.responseHeaders.set('x-late', '1');
      },
    };
    const gateway = await startWith(
      t,
      upstream.url,
      [policy],
      { route: { timeouts: { total: '5s', firstByte: '5s' } } },
      { clock },
    );
    const { status, fields, body } = await request(t, gateway.address(), get());
    assert.deepEqual([status, fieldValue(fields, 'x-late'), JSON.parse(body).code], [504, '1', 'UPSTREAM_TIMEOUT']);
  });
});

describe('a failure while a policy holds the response back', () => {
  it('by the upstream is seen once the policy lets go of it: the body is broken off', async (t) => {
    const pending = Promise.withResolvers<void>();
    const called = Promise.withResolvers<void>();
    const upstream = await RawUpstream.start(t, {
      onRequest: () => 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf',
    });
    const onResponse = (): Promise<void> => {
      called.resolve();
      return pending.promise;
    };
    const gateway = await startWith(t, upstream.url, [{ onResponse }]);
    const client = await RawClient.connect(t, gateway.address());
    client.write(get());
    await called.promise;
    upstream.connections[0].end();
    pending.resolve();
    assert.match((await client.transcript()).rest, /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nhalf$/s);
    assert.partialDeepStrictEqual(await gateway.observation(), { status: 200, code: 'UPSTREAM_RESET' });
  });

  it('by the request body takes its place: one response is sent', async (t) => {
    const pending = Promise.withResolvers<void>();
    const upstream = await RawUpstream.start(t, {
      onHead: (_, connection) => void connection.write('HTTP/1.1 200 OK\r\ncontent-length: 20000\r\n\r\nhalf'),
    });
    const statuses: number[] = [];
    const policy: Policy = {
      onResponse({ status }) {
        statuses.push(status);
        return statuses.length === 1 ? pending.promise : undefined;
      },
    };
    const gateway = await startWith(t, upstream.url, [policy]);
    const client = await RawClient.connect(t, gateway.address());
    client.write('POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n');
    await upstream.until(() => upstream.bytes.includes('hello'), 'the beginning');
    client.write('nonsense\r\n');
    const { responses } = await client.transcript();
    pending.resolve();
    assert.deepEqual([responses.map(({ status }) => status), statuses], [[400], [200, 400]]);
    await upstream.until(() => upstream.connections[0].closed, 'the end of the upstream connection');
  });
});

describe('timeouts.total', () => {
  const within5s = { route: { timeouts: { total: '5s' } } };

  /** A policy that holds failures back until it is let go. */
  class Holding {
    readonly called = Promise.withResolvers<void>();
    readonly pending = Promise.withResolvers<void>();
    readonly policy: Policy = {
      onResponse: ({ status }) => {
        if (status < 400) return undefined;
        this.called.resolve();
        return this.pending.promise;
      },
    };
  }

  it('ends the waiting for a policy for good, although the failure itself is held back by another one', async (t) => {
    const clock = new FakeClock();
    const holding = new Holding();
    const called = Promise.withResolvers<void>();
    const late = Promise.withResolvers<undefined>();
    const upstream = await RawUpstream.start(t);
    const onRequest = (): Promise<undefined> => {
      called.resolve();
      return late.promise;
    };
    const gateway = await startWith(t, upstream.url, [holding.policy, { onRequest }], within5s, { clock });
    const client = await RawClient.connect(t, gateway.address());
    client.write(get());
    await called.promise;
    clock.advance(5_100);
    await holding.called.promise;
    late.resolve(undefined);
    await new Promise((resolve) => void setImmediate(resolve));
    holding.pending.resolve();
    assert.equal((await client.response()).status, 500);
    assert.equal(upstream.connections.length, 0);
  });

  it('ends the waiting for a body for good, although the failure itself is held back by a policy', async (t) => {
    const clock = new FakeClock();
    const holding = new Holding();
    const upstream = await RawUpstream.start(t);
    const settings = { ...within5s, listener: { timeouts: { bodyIdle: '1h' } } };
    const gateway = await startWith(t, upstream.url, [holding.policy, { buffersRequest: 10 }], settings, { clock });
    // So that an idle connection would be used at once.
    assert.equal((await request(t, gateway.address(), get())).status, 200);
    const client = await RawClient.connect(t, gateway.address());
    client.write('POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n');
    await client.until((received) => received.includes('100 Continue'), 'the 100');
    clock.advance(5_100);
    await holding.called.promise;
    client.write(`hello${get('/next')}`);
    await new Promise((resolve) => void setImmediate(() => setImmediate(resolve)));
    holding.pending.resolve();
    assert.equal((await client.response()).status, 408);
    assert.equal((await request(t, gateway.address(), get())).status, 200);
    assert.deepEqual(
      upstream.requests.filter(({ method }) => method === 'POST'),
      [],
    );
  });

  it('is nothing to a policy that has let go in time: a WebSocket may stay open for longer', async (t) => {
    const clock = new FakeClock();
    const upstream = await RawUpstream.start(t, {
      onRequest(_, connection) {
        connection.switchProtocols();
        return 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';
      },
    });
    const gateway = await startWith(t, upstream.url, [{ onRequest: async () => {} }], within5s, { clock });
    const client = await RawClient.connect(t, gateway.address());
    client.write(get('/', 'connection: upgrade\r\nupgrade: websocket\r\n'));
    await client.until((received) => received.endsWith('\r\n\r\n'), 'the switch');
    clock.advance(20_000);
    upstream.connections[0].write('still here');
    await client.until((received) => received.endsWith('still here'), 'the bytes of the upstream');
    assert.deepEqual(gateway.observations, []);
  });

  it('is nothing to a body that has been buffered in time', async (t) => {
    const clock = new FakeClock();
    const { promise: body, resolve: letGo } = Promise.withResolvers<void>();
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const transform = new Transform({
      transform(bytes, _, done) {
        begin();
        void body.then(() => done(null, bytes));
      },
    });
    const gateway = await startWith(
      t,
      (await RawUpstream.start(t)).url,
      [{ buffersRequest: 10, transformResponse: () => transform }],
      within5s,
      { clock },
    );
    const client = await RawClient.connect(t, gateway.address());
    client.write(postChunks('hello'));
    await begun;
    clock.advance(5_100);
    letGo();
    assert.equal((await client.response()).body, 'ok');
  });

  it('is nothing to an exchange that is over', async (t) => {
    const clock = new FakeClock();
    const called = Promise.withResolvers<void>();
    const onRequest = (): Promise<never> => {
      called.resolve();
      return never();
    };
    const gateway = await startWith(t, 'http://127.0.0.1:1', [{ onRequest }], within5s, { clock });
    const client = await RawClient.connect(t, gateway.address());
    client.write(get());
    await called.promise;
    client.reset();
    assert.equal((await gateway.observation()).code, 'CLIENT_CLOSED');
    clock.advance(5_100);
    assert.deepEqual(
      gateway.log.filter(({ level }) => level === 'error'),
      [],
    );
    assert.equal(gateway.observations.length, 1);
  });
});
