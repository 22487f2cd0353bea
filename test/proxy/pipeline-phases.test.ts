/** Which hooks of which policies run, and in which order (stations 4, 7, 8 and 9). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Outcome, Policy, Reply } from '../../src/contract.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { proxyTo } from '../support/gateway.ts';
import { fieldValue } from '../support/message-parser.ts';
import { RawClient, request } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';
import { fileOf, get, noting, startConfig, startWith } from './with-policies.ts';

const abc = (notes: string[], b: Policy = {}): Policy[] => [
  noting(notes, 'a'),
  noting(notes, 'b', b),
  noting(notes, 'c'),
];
const later = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe('the phases of a request', () => {
  const whole = [
    ['a.onRequest', 'b.onRequest', 'c.onRequest'],
    ['a.onUpstreamRequest', 'b.onUpstreamRequest', 'c.onUpstreamRequest'],
    ['c.onResponse', 'b.onResponse', 'a.onResponse'],
    ['a.onFinish', 'b.onFinish', 'c.onFinish'],
  ].flat();

  it('run in declared order, but for responses, which pass the policies the other way', async (t) => {
    const notes: string[] = [];
    const gateway = await startWith(t, (await RawUpstream.start(t)).url, abc(notes));
    await request(t, gateway.address(), get());
    await gateway.observation();
    assert.deepEqual(notes, whole);
  });

  it('keep their order whichever hooks are asynchronous', async (t) => {
    const upstream = await RawUpstream.start(t);
    const asynchronous: Policy = {
      onRequest: () => later(),
      onUpstreamRequest: async () => later(),
      onResponse: async () => later(),
    };
    // Each bit is one policy.
    for (let mask = 1; mask < 8; mask++) {
      const notes: string[] = [];
      const policies = ['a', 'b', 'c'].map((name, i) =>
        noting(notes, name, (mask & (1 << i)) === 0 ? {} : asynchronous),
      );
      const gateway = await startWith(t, upstream.url, policies);
      assert.equal((await request(t, gateway.address(), get())).body, 'ok');
      await gateway.observation();
      assert.deepEqual(notes, whole);
    }
  });

  it('begin with the policies of `defaults`; named policies stand where they are named', async (t) => {
    const notes: string[] = [];
    const config = {
      ...proxyTo((await RawUpstream.start(t)).url),
      policies: { second: { use: fileOf(1) } },
      defaults: { policies: [{ use: fileOf(0) }] },
    };
    config.routes = { all: { upstream: 'service', policies: ['second', { use: fileOf(2) }] } };
    const gateway = await startConfig(t, config, abc(notes));
    await request(t, gateway.address(), get());
    await gateway.observation();
    assert.deepEqual(notes, whole);
  });

  it('are kept apart by exchange when requests of many clients are under way', async (t) => {
    const upstream = await RawUpstream.start(t, { onRequest: ({ target }) => ok(target) });
    const seen = new Map<string, string[]>();
    const note = (path: string, what: string): void => void seen.set(path, [...(seen.get(path) ?? []), what]);
    const policy: Policy = {
      async onRequest({ path }) {
        await later();
        note(path, 'request');
      },
      async onResponse(exchange) {
        await later();
        note(exchange.path, 'response');
        exchange.responseHeaders.set('x-path', exchange.path);
      },
      onFinish: ({ path }) => note(path, 'finish'),
    };
    const gateway = await startWith(t, upstream.url, [policy]);
    const paths = Array.from({ length: 40 }, (_, i) => `/${i}`);
    const responses = await Promise.all(paths.map((path) => request(t, gateway.address(), get(path))));
    assert.deepEqual(
      responses.map(({ body }) => body),
      paths,
    );
    assert.deepEqual(
      responses.map(({ fields }) => fieldValue(fields, 'x-path')),
      paths,
    );
    await gateway.observation(39);
    assert.ok(paths.every((path) => seen.get(path)!.join() === 'request,response,finish'));
  });
});

describe('a reply of a policy', () => {
  const notHere: Reply = { status: 410, headers: [['x-why', 'gone']], body: 'gone' };
  const seenByB = ['a.onRequest', 'b.onRequest', 'b.onResponse', 'a.onResponse', 'a.onFinish', 'b.onFinish'];

  for (const [how, onRequest] of [
    ['at once', () => notHere],
    ['in a promise', async () => later().then(() => notHere)],
  ] as const) {
    it(`${how} ends the way there: only that policy and those before it see the response`, async (t) => {
      const notes: string[] = [];
      const upstream = await RawUpstream.start(t);
      const gateway = await startWith(t, upstream.url, abc(notes, { onRequest }));
      const client = await RawClient.connect(t, gateway.address());
      for (let i = 0; i < 2; i++) {
        const { status, statusText, body, fields } = await client.write(get()).response();
        assert.deepEqual([status, statusText, body, fieldValue(fields, 'x-why')], [410, 'Gone', 'gone', 'gone']);
        assert.equal(fieldValue(fields, 'content-length'), '4');
      }
      assert.equal(upstream.connections.length, 0);
      assert.equal((await gateway.observation(1)).attempts, 0);
      assert.deepEqual(notes, [...seenByB, ...seenByB]);
    });
  }

  it('of the last policy is seen by all, one of the first by that one alone', async (t) => {
    for (const [position, expected] of [
      [0, 'p0.onResponse'],
      [2, 'p2.onResponse p1.onResponse p0.onResponse'],
    ] as const) {
      const notes: string[] = [];
      const policies = [0, 1, 2].map((i) => noting(notes, `p${i}`, i === position ? { onRequest: () => notHere } : {}));
      const gateway = await startWith(t, 'http://127.0.0.1:1', policies);
      await request(t, gateway.address(), get());
      assert.equal(notes.filter((note) => note.endsWith('onResponse')).join(' '), expected);
    }
  });

  it('leaves out policies behind it that have no onRequest, and not those before it', async (t) => {
    const notes: string[] = [];
    const silent = (name: string): Policy => ({
      onResponse: () => void notes.push(`${name}.onResponse`),
      onFinish: () => void notes.push(`${name}.onFinish`),
    });
    const gateway = await startWith(t, 'http://127.0.0.1:1', [silent('a'), { onRequest: () => notHere }, silent('c')]);
    await request(t, gateway.address(), get());
    await gateway.observation();
    assert.deepEqual(notes, ['a.onResponse', 'a.onFinish']);
  });

  it('with a code becomes problem details, and the code is that of the outcome', async (t) => {
    const outcomes: Outcome[] = [];
    const gateway = await startWith(t, 'http://127.0.0.1:1', [
      {
        onRequest: () => ({ status: 403, code: 'IP_DENIED', detail: 'Not from there.', headers: [['x-a', 'b']] }),
        onFinish: (_, outcome) => void outcomes.push(outcome),
      },
    ]);
    const { status, fields, body } = await request(t, gateway.address(), get());
    assert.deepEqual(
      [status, fieldValue(fields, 'content-type'), fieldValue(fields, 'x-a')],
      [403, 'application/problem+json', 'b'],
    );
    assert.partialDeepStrictEqual(JSON.parse(body), { code: 'IP_DENIED', status: 403, detail: 'Not from there.' });
    assert.equal((await gateway.observation()).code, 'IP_DENIED');
    assert.partialDeepStrictEqual(outcomes, [{ status: 403, code: 'IP_DENIED', attempts: 0 }]);
  });

  it('may have a body of bytes, of text beyond ASCII, or none', async (t) => {
    const bodies = [Buffer.from([0, 255, 128]), 'größer – 大きい', '', new Uint8Array(0), 'x'.repeat(200_000)];
    const replies: Reply[] = [{ status: 200 }, ...bodies.map((body) => ({ status: 200, body }))];
    const gateway = await startWith(t, 'http://127.0.0.1:1', [
      { onRequest: ({ path }) => replies[Number(path.slice(1))] },
    ]);
    const client = await RawClient.connect(t, gateway.address());
    for (const [i, { body = '' }] of replies.entries()) {
      const response = await client.write(get(`/${i}`)).response();
      assert.ok(Buffer.from(response.body, 'latin1').equals(Buffer.from(body)), `body ${i}`);
      assert.equal(response.framing, Buffer.from(body).length);
    }
  });
});

describe('onResponse', () => {
  const marking: Policy = {
    onResponse: ({ responseHeaders, status }) => responseHeaders.set('x-seen', String(status)),
  };

  it('passes failures of the upstream', async (t) => {
    const clock = new FakeClock();
    const cases = [
      ['http://127.0.0.1:1', 502, 'UPSTREAM_UNREACHABLE'],
      [(await RawUpstream.start(t, { onRequest: (_, connection) => connection.reset() })).url, 502, 'UPSTREAM_RESET'],
      [(await RawUpstream.start(t, { onRequest: () => 'nonsense\r\n\r\n' })).url, 502, 'UPSTREAM_BAD_RESPONSE'],
      [(await RawUpstream.start(t, { onRequest: () => clock.advance(30_001) })).url, 504, 'UPSTREAM_TIMEOUT'],
    ] as const;
    for (const [url, status, code] of cases) {
      const outcomes: Outcome[] = [];
      const policies = [{ ...marking, onFinish: (_: unknown, outcome: Outcome) => void outcomes.push(outcome) }];
      const gateway = await startWith(t, url, policies, {}, { clock });
      const { fields, body } = await request(t, gateway.address(), get());
      assert.deepEqual([fieldValue(fields, 'x-seen'), JSON.parse(body).code], [String(status), code]);
      await gateway.observation();
      assert.deepEqual(
        outcomes.map((outcome) => [outcome.status, outcome.code]),
        [[status, code]],
      );
    }
  });

  it('passes what the route itself replies', async (t) => {
    const config = proxyTo('http://127.0.0.1:1');
    const policies = [{ use: fileOf(0) }];
    config.routes = {
      reply: { match: { path: '/reply' }, respond: { status: 418 }, policies },
      redirect: { match: { path: '/redirect' }, redirect: { to: '/there', status: 308 }, policies },
    };
    const gateway = await startConfig(t, config, [marking]);
    for (const [path, status] of [
      ['/reply', 418],
      ['/redirect', 308],
    ] as const) {
      const { status: sent, fields } = await request(t, gateway.address(), get(path));
      assert.deepEqual([sent, fieldValue(fields, 'x-seen')], [status, String(status)]);
    }
  });

  it('passes what no route matches, as the policies of `notFound`', async (t) => {
    const notes: string[] = [];
    const config = {
      ...proxyTo('http://127.0.0.1:1', { route: { match: { path: '/known', methods: ['GET', 'DELETE'] } } }),
      notFound: { policies: [{ use: fileOf(0) }] },
    };
    const gateway = await startConfig(t, config, [noting(notes, 'a', marking)]);
    const missing = await request(t, gateway.address(), get('/unknown'));
    assert.deepEqual(
      [missing.status, fieldValue(missing.fields, 'x-seen'), JSON.parse(missing.body).code],
      [404, '404', 'NO_ROUTE'],
    );
    const refused = await request(t, gateway.address(), 'PUT /known HTTP/1.1\r\nhost: localhost\r\n\r\n');
    assert.deepEqual([refused.status, fieldValue(refused.fields, 'x-seen')], [405, '405']);
    assert.deepEqual(fieldValue(refused.fields, 'allow')!.split(', ').toSorted(), ['DELETE', 'GET']);
    await gateway.observation(1);
    const once = ['a.onRequest', 'a.onResponse', 'a.onFinish'];
    assert.deepEqual(notes, [...once, ...once]);
  });

  it('does not pass requests that are malformed: nothing in them can be relied on', async (t) => {
    const notes: string[] = [];
    const config = { ...proxyTo('http://127.0.0.1:1'), notFound: { policies: [{ use: fileOf(0) }] } };
    const gateway = await startConfig(t, config, [noting(notes, 'a')]);
    for (const bytes of ['GET / HTTP/1.1\r\n\r\n', 'nonsense\r\n\r\n', get('/%00'), get('/../..')]) {
      assert.equal((await request(t, gateway.address(), bytes)).status, 400);
    }
    await gateway.observation(3);
    assert.deepEqual(notes, []);
  });

  it('does not pass interim responses', async (t) => {
    const notes: string[] = [];
    const upstream = await RawUpstream.start(t, {
      onRequest: () => `HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${ok()}`,
    });
    const gateway = await startWith(t, upstream.url, [noting(notes, 'a', marking)]);
    const { interim, fields } = await request(t, gateway.address(), get());
    assert.deepEqual(
      interim.map((response) => [response.status, fieldValue(response.fields, 'x-seen')]),
      [[103, undefined]],
    );
    assert.equal(fieldValue(fields, 'x-seen'), '200');
    assert.equal(notes.filter((note) => note === 'a.onResponse').length, 1);
  });
});
