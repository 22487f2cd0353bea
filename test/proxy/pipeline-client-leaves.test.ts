/** The client leaves while a policy is pending: everything is given back, once, and what comes later changes nothing. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Exchange, Outcome, Policy } from '../../src/contract.ts';
import { RawClient, request } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';
import { get, inFlight, startWith } from './with-policies.ts';

type AsyncHook = 'onRequest' | 'onUpstreamRequest' | 'onResponse';

/** A policy that waits in one hook for requests to `/slow`, and notes how exchanges end. */
class Waiting {
  readonly called = Promise.withResolvers<Exchange>();
  readonly pending = Promise.withResolvers<undefined>();
  readonly ended = Promise.withResolvers<void>();
  readonly outcomes: Outcome[] = [];
  readonly policy: Policy;

  constructor(hook: AsyncHook) {
    this.policy = {
      [hook]: (exchange: Exchange) => {
        if (exchange.path !== '/slow') return undefined;
        this.called.resolve(exchange);
        return this.pending.promise;
      },
      onFinish: (exchange, outcome) => {
        if (exchange.path !== '/slow') return;
        this.outcomes.push(outcome);
        this.ended.resolve();
      },
    };
  }
}

describe('a client that leaves while a policy is pending', () => {
  for (const hook of ['onRequest', 'onUpstreamRequest', 'onResponse'] as const) {
    for (const settle of ['resolve', 'reject'] as const) {
      for (const leave of ['destroy', 'reset'] as const) {
        it(`in ${hook} (${leave}, then ${settle}) ends the exchange once and gives back what it held`, async (t) => {
          const upstream = await RawUpstream.start(t);
          const waiting = new Waiting(hook);
          const gateway = await startWith(t, upstream.url, [waiting.policy]);
          // So that there is an idle connection to be taken.
          await request(t, gateway.address(), get('/first'));
          const client = await RawClient.connect(t, gateway.address());
          client.write(get('/slow'));
          const exchange = await waiting.called.promise;
          client[leave]();
          await waiting.ended.promise;
          assert.ok(!inFlight(exchange));
          if (settle === 'resolve') waiting.pending.resolve(undefined);
          else waiting.pending.reject(new Error('too late'));
          assert.equal((await request(t, gateway.address(), get('/last'))).body, 'ok');
          const { code, status, attempts } = waiting.outcomes[0];
          assert.deepEqual(
            [waiting.outcomes.length, code, status, attempts],
            [1, 'CLIENT_CLOSED', 499, hook === 'onRequest' ? 0 : 1],
          );
          assert.equal((await gateway.observation(2)).status, 200);
          assert.deepEqual(
            upstream.requests.map(({ target }) => target).filter((target) => target === '/slow'),
            hook === 'onResponse' ? ['/slow'] : [],
          );
          assert.equal(upstream.connections.length, 1, 'the connection is used again');
          assert.deepEqual(
            gateway.log.filter(({ level }) => level === 'error'),
            [],
          );
        });
      }
    }
  }

  it('in onResponse cancels an upstream that has more to send', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onRequest: () => `HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n${'x'.repeat(50_000)}`,
    });
    const waiting = new Waiting('onResponse');
    const gateway = await startWith(t, upstream.url, [waiting.policy]);
    const client = await RawClient.connect(t, gateway.address());
    client.write(get('/slow'));
    const exchange = await waiting.called.promise;
    assert.equal(inFlight(exchange), 1);
    client.destroy();
    await waiting.ended.promise;
    assert.equal(inFlight(exchange), 0);
    await upstream.until(() => upstream.connections[0].closed, 'the end of the upstream connection');
    waiting.pending.resolve(undefined);
    assert.equal(waiting.outcomes.length, 1);
  });

  it('behind which another target is not tried any more', async (t) => {
    const upstream = await RawUpstream.start(t);
    const waiting = new Waiting('onUpstreamRequest');
    const gateway = await startWith(t, 'http://127.0.0.1:1', [waiting.policy], {
      upstream: { targets: ['http://127.0.0.1:1', upstream.url] },
    });
    const client = await RawClient.connect(t, gateway.address());
    client.write(get('/slow'));
    await waiting.called.promise;
    client.destroy();
    await waiting.ended.promise;
    waiting.pending.resolve(undefined);
    assert.equal((await request(t, gateway.address(), get('/last'))).status, 200);
    assert.deepEqual(
      upstream.requests.map(({ target }) => target),
      ['/last'],
    );
    assert.equal(waiting.outcomes.length, 1);
  });
});

describe('a client that leaves while nothing is pending', () => {
  it('cancels what waits for the upstream', async (t) => {
    const upstream = await RawUpstream.start(t, {});
    const outcomes: Outcome[] = [];
    const gateway = await startWith(t, upstream.url, [{ onFinish: (_, outcome) => void outcomes.push(outcome) }]);
    const client = await RawClient.connect(t, gateway.address());
    client.write(get());
    await upstream.request();
    client.destroy();
    assert.partialDeepStrictEqual(await gateway.observation(), { status: 499, code: 'CLIENT_CLOSED', attempts: 1 });
    await upstream.until(() => upstream.connections[0].closed, 'the end of the upstream connection');
    assert.equal(outcomes.length, 1);
  });

  it('ends an exchange whose request body is being buffered', async (t) => {
    const upstream = await RawUpstream.start(t);
    const notes: string[] = [];
    const gateway = await startWith(t, upstream.url, [
      { onRequest: () => void notes.push('first'), onFinish: () => void notes.push('first finished') },
      {
        buffersRequest: 100,
        onRequest: () => void notes.push('second'),
        onFinish: () => void notes.push('second finished'),
      },
    ]);
    const client = await RawClient.connect(t, gateway.address());
    client.write('POST / HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 10\r\n\r\n');
    await client.until((received) => received.includes('100 Continue'), 'the gateway to want the body');
    client.write('12345');
    client.reset();
    assert.partialDeepStrictEqual(await gateway.observation(), { status: 499, code: 'CLIENT_CLOSED' });
    assert.deepEqual(notes, ['first', 'first finished']);
  });

  it('keeps the status of a response that had begun', async (t) => {
    const upstream = await RawUpstream.start(t, { onRequest: () => ok('x'.repeat(9)).slice(0, -1) });
    const gateway = await startWith(t, upstream.url, [{ onResponse() {} }]);
    const client = await RawClient.connect(t, gateway.address());
    client.write(get());
    await client.until((received) => received.endsWith('xxxxxxxx'), 'the beginning');
    client.destroy();
    assert.partialDeepStrictEqual(await gateway.observation(), { status: 200, code: 'CLIENT_CLOSED', bytesOut: 8 });
  });
});
