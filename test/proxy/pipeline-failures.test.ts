/** Policies that fail: the request is refused, the log says who it was, and nobody else is any the worse for it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Outcome, Policy, Reply } from '../../src/contract.ts';
import { CompileError } from '../../src/compile.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type TestGateway, proxyTo } from '../support/gateway.ts';
import { fieldValue } from '../support/message-parser.ts';
import { RawClient, request } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';
import { fileOf, get, inFlight, nameOf, noting, post, postChunks, startConfig, startWith } from './with-policies.ts';

const boom = (): never => {
  throw new Error('boom');
};
const laterBoom = async (): Promise<never> => {
  await new Promise((resolve) => void setImmediate(resolve));
  return boom();
};

/** Checks the one line that the log has of a failed policy. */
function assertBlamed(gateway: TestGateway, index: number, message: RegExp = /^boom$/): void {
  const lines = gateway.log.filter(({ level }) => level !== 'info');
  assert.equal(lines.length, 1, JSON.stringify(lines));
  const { error, ...about } = lines[0].about;
  assert.deepEqual(
    [lines[0].level, lines[0].message, about],
    ['error', 'a policy failed', { policy: nameOf(index), route: 'all' }],
  );
  assert.match((error as Error).message, message);
}

/** Throws for requests to `/bad` only. */
function onlyBad<Args extends readonly [{ readonly path: string }, ...unknown[]], Result>(fail: () => Result) {
  return (...[exchange]: Args): Result | undefined => (exchange.path === '/bad' ? fail() : undefined);
}

describe('a hook that fails', () => {
  const hooks = [
    ['onRequest', 0],
    ['onUpstreamRequest', 0],
    ['onResponse', 1],
  ] as const;
  for (const [hook, upstreamRequests] of hooks) {
    for (const [how, fail] of [
      ['throws', boom],
      ['rejects', laterBoom],
    ] as const) {
      it(`is answered with 500 when ${hook} ${how}, and others are served on`, async (t) => {
        const upstream = await RawUpstream.start(t);
        const outcomes: Outcome[] = [];
        const left: (number | undefined)[] = [];
        const policies: Policy[] = [
          { onResponse: ({ responseHeaders }) => responseHeaders.set('x-outer', '1') },
          { [hook]: onlyBad(fail) },
          {
            onFinish(exchange, outcome) {
              outcomes.push(outcome);
              left.push(inFlight(exchange));
            },
          },
        ];
        const gateway = await startWith(t, upstream.url, policies);
        const client = await RawClient.connect(t, gateway.address());
        assert.equal((await client.write(get('/good')).response()).status, 200);
        upstream.requests.length = 0;
        const { status, fields, body } = await client.write(get('/bad')).response();
        assert.deepEqual([status, JSON.parse(body).code], [500, 'POLICY_FAILED']);
        assert.equal(fieldValue(fields, 'x-outer'), '1', 'policies before it see the failure');
        assert.doesNotMatch(body, /boom/);
        assert.equal(upstream.requests.length, upstreamRequests);
        assert.equal((await client.write(get('/good')).response()).body, 'ok', 'the connection is still good');
        assert.partialDeepStrictEqual(await gateway.observation(1), { status: 500, code: 'POLICY_FAILED' });
        assertBlamed(gateway, 1);
        await gateway.observation(2);
        // Behind a policy whose onRequest failed nobody was reached.
        const ended = hook === 'onRequest' ? [200, 200] : [200, 500, 200];
        assert.deepEqual(
          outcomes.map((outcome) => outcome.status),
          ended,
        );
        assert.ok(
          left.every((count) => count === 0 || count === undefined),
          String(left),
        );
      });
    }
  }

  it('in onFinish harms nobody, not even the onFinish of others', async (t) => {
    const notes: string[] = [];
    // TypeScript takes an asynchronous function for one that returns nothing.
    const policies: Policy[] = [{ onFinish: boom }, { onFinish: async () => laterBoom() }, noting(notes, 'c')];
    const gateway = await startWith(t, (await RawUpstream.start(t)).url, policies);
    assert.equal((await request(t, gateway.address(), get())).status, 200);
    assert.partialDeepStrictEqual(await gateway.observation(), { status: 200, code: null });
    await new Promise((resolve) => void setImmediate(() => setImmediate(resolve)));
    assert.deepEqual(
      gateway.log.filter(({ level }) => level === 'error').map(({ about }) => about['policy']),
      [nameOf(0), nameOf(1)],
    );
    assert.equal(notes.at(-1), 'c.onFinish');
  });

  it('in onResponse is not called again for the 500, nor are those that have run before it', async (t) => {
    for (const fail of [boom, laterBoom]) {
      const notes: string[] = [];
      const policies = ['a', 'b', 'c'].map((name) => noting(notes, name, name === 'b' ? { onResponse: fail } : {}));
      const gateway = await startWith(t, (await RawUpstream.start(t)).url, policies);
      assert.equal((await request(t, gateway.address(), get())).status, 500);
      await gateway.observation();
      assert.deepEqual(
        notes.filter((note) => note.endsWith('onResponse')),
        ['c.onResponse', 'b.onResponse', 'a.onResponse'],
      );
      assert.deepEqual(
        notes.filter((note) => note.endsWith('onFinish')),
        ['a.onFinish', 'b.onFinish', 'c.onFinish'],
      );
      assertBlamed(gateway, 1);
    }
  });

  it('in every onResponse ends in a 500 all the same', async (t) => {
    const policies = [{ onResponse: boom }, { onResponse: laterBoom }, { onResponse: boom }];
    const gateway = await startWith(t, (await RawUpstream.start(t)).url, policies);
    assert.equal((await request(t, gateway.address(), get())).status, 500);
    assert.deepEqual(
      gateway.log.filter(({ level }) => level === 'error').map(({ about }) => about['policy']),
      [2, 1, 0].map(nameOf),
    );
  });

  it('while the body of the upstream is still coming lets nothing of it through', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onRequest: () => `HTTP/1.1 200 OK\r\nx-secret: 1\r\ncontent-length: 100000\r\n\r\n${'secret'.repeat(1000)}`,
    });
    for (const fail of [boom, laterBoom]) {
      const gateway = await startWith(t, upstream.url, [{ onResponse: fail }]);
      const response = await request(t, gateway.address(), get());
      assert.equal(response.status, 500);
      assert.doesNotMatch(JSON.stringify(response), /secret/);
    }
    await upstream.until(
      () => upstream.connections.every(({ closed }) => closed),
      'the upstream connections to be closed',
    );
  });

  it('while the request body is still coming gets its 500 out', async (t) => {
    const upstream = await RawUpstream.start(t);
    for (const policy of [{ onRequest: laterBoom }, { onRequest: boom }, { onUpstreamRequest: laterBoom }]) {
      const gateway = await startWith(t, upstream.url, [policy]);
      const client = await RawClient.connect(t, gateway.address());
      client.write('POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\nbeginning');
      const { responses } = await client.transcript();
      assert.deepEqual(
        responses.map(({ status, fields }) => [status, fieldValue(fields, 'connection')]),
        [[500, 'close']],
      );
      assertBlamed(gateway, 0);
    }
    assert.equal(upstream.requests.length, 0);
  });
});

describe('what a policy without types may return', () => {
  const strange: readonly (readonly [string, unknown])[] = [
    ['null', null],
    ['true', true],
    ['a thenable that is no promise', { then: 1 }],
    ['a reply without a status', { body: 'x' }],
    ['a status that is no number', { status: '200' }],
    ['an interim status', { status: 100 }],
    ['a switch of protocols', { status: 101 }],
    ['a status that HTTP cannot spell', { status: 1000 }],
    ['a fraction', { status: 200.5 }],
    ['a header that would split the response', { status: 200, headers: [['x-a', 'b\r\nx-evil: 1']] }],
    ['a header without a name', { status: 200, headers: [['', 'b']] }],
    ['a code that there is not', { status: 500, code: 'NO_SUCH_CODE' }],
  ];
  for (const [what, value] of strange) {
    it(`instead of a reply: ${what} is answered with 500, at once or in a promise`, async (t) => {
      const upstream = await RawUpstream.start(t);
      for (const onRequest of [() => value as Reply, () => Promise.resolve(value as Reply)]) {
        const gateway = await startWith(t, upstream.url, [{ onRequest }]);
        const { status, body, fields } = await request(t, gateway.address(), get());
        assert.deepEqual(
          [status, JSON.parse(body).code, fieldValue(fields, 'x-evil')],
          [500, 'POLICY_FAILED', undefined],
        );
        assertBlamed(gateway, 0, /./);
      }
      assert.equal(upstream.requests.length, 0);
    });
  }

  it('as a status: what is none of a final response is answered with 500', async (t) => {
    const upstream = await RawUpstream.start(t);
    for (const status of [0, 100, 101, 199, 1000, NaN, 200.5, '200' as unknown as number]) {
      for (const wait of [false, true]) {
        const onResponse: Policy['onResponse'] = (exchange) => {
          exchange.status = status;
          return wait ? Promise.resolve() : undefined;
        };
        const gateway = await startWith(t, upstream.url, [{ onResponse }]);
        assert.equal((await request(t, gateway.address(), get())).status, 500);
        assertBlamed(gateway, 0, /is not the status of a response/);
      }
    }
  });

  it('as a policy: one that was not made is found when the configuration is compiled', async (t) => {
    for (const made of [undefined, null, 'policy', Promise.resolve({})]) {
      const start = startConfig(t, proxyTo('http://127.0.0.1:1', { route: { policies: [{ use: fileOf(0) }] } }), [
        made as Policy,
      ]);
      await assert.rejects(
        start,
        (error) => error instanceof CompileError && /route all: policy .*p0.* made no policy/.test(error.message),
      );
    }
  });
});

describe('a hook whose promise is never settled', () => {
  const never = (): Promise<never> => new Promise(() => {});

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

it('a policy that fails for some does not lose the requests of others under way', async (t) => {
  const upstream = await RawUpstream.start(t, { onRequest: ({ target }) => ok(target) });
  const policies: Policy[] = [{ onRequest: onlyBad(boom), onResponse: onlyBad(laterBoom) }];
  const gateway = await startWith(t, upstream.url, policies);
  const targets = Array.from({ length: 60 }, (_, i) => (i % 3 === 0 ? '/bad' : `/${i}`));
  const responses = await Promise.all(targets.map((target) => request(t, gateway.address(), get(target))));
  assert.deepEqual(
    responses.map(({ status, body }) => (status === 500 ? '/bad' : body)),
    targets,
  );
  const bodies = await Promise.all([post('x'), postChunks('x')].map((bytes) => request(t, gateway.address(), bytes)));
  assert.deepEqual(
    bodies.map(({ status }) => status),
    [200, 200],
  );
});
