/** Policies that fail: the request is refused, the log says who it was, and nobody else is any the worse for it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Outcome, Policy, Reply } from '../../src/contract.ts';
import { CompileError } from '../../src/compile/compile-error.ts';
import { proxyTo } from '../support/gateway.ts';
import { fieldValue } from '../support/message-parser.ts';
import { RawClient, request } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';
import {
  assertBlamed,
  fileOf,
  get,
  inFlight,
  nameOf,
  noting,
  post,
  postChunks,
  startConfig,
  startWith,
} from './with-policies.ts';

const boom = (): never => {
  throw new Error('boom');
};
const laterBoom = async (): Promise<never> => {
  await new Promise((resolve) => void setImmediate(resolve));
  return boom();
};

/** Fails for requests to `/bad` only. */
function onlyBad(
  fail: () => never | Promise<never>,
): (exchange: { readonly path: string }) => Promise<never> | undefined {
  return ({ path }) => (path === '/bad' ? fail() : undefined);
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
    const asynchronous = laterBoom as () => unknown;
    const policies: Policy[] = [{ onFinish: boom }, { onFinish: asynchronous }, noting(notes, 'c')];
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
    ['a text', 'no'],
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

  it('as a policy: one that was not made is found when the configuration is compiled, made later or not', async (t) => {
    for (const made of [undefined, null, 'policy', Promise.resolve(undefined)]) {
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
