/** What an exchange shows to policies: most of it only once somebody asks. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Exchange, Policy } from '../../src/contract.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { RawClient, request } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';
import { asModules, fileOf, get, post, startConfig, startWith } from './with-policies.ts';

const withCookies = (...cookies: string[]): string =>
  get('/', cookies.map((cookie) => `cookie: ${cookie}\r\n`).join(''));

/** The names of the lazily made parts of an exchange that exist. */
function made(exchange: Exchange): string[] {
  return Object.entries(exchange)
    .filter(([, value]) => value instanceof URLSearchParams || value instanceof Map || value instanceof AbortController)
    .map(([name]) => name);
}

describe('an exchange', () => {
  it('tells policies what the request is, in its canonical form', async (t) => {
    const seen: Exchange[] = [];
    const policy: Policy = {
      onRequest(exchange) {
        const { listener, protocol, scheme, clientIp, method, host, path, query, params, route } = exchange;
        seen.push({
          listener,
          protocol,
          scheme,
          clientIp,
          method,
          host,
          path,
          query,
          params,
          route,
          peer: exchange.peer,
        } as Exchange);
      },
    };
    const config = proxyTo('http://127.0.0.1:1', {
      route: { match: { path: '/users/{id}/*', methods: ['GET'] }, policies: [{ use: fileOf(0) }] },
    });
    const gateway = await startConfig(t, config, [policy]);
    await request(
      t,
      gateway.address(),
      'GET /x/../users/%37/%7Ea//b?q=%7E&q HTTP/1.1\r\nhost: API.Example.com:81\r\n\r\n',
    );
    assert.partialDeepStrictEqual(seen[0], {
      listener: 'web',
      protocol: 'HTTP/1.1',
      scheme: 'http',
      clientIp: '127.0.0.1',
      method: 'GET',
      host: 'api.example.com',
      path: '/users/7/~a/b',
      query: 'q=%7E&q',
      params: { id: '7', '*': '~a/b' },
      route: { name: 'all', methods: ['GET'] },
      peer: { address: '127.0.0.1', certificate: null },
    });
  });

  it('makes nothing that nobody asks for', async (t) => {
    const seen: string[][] = [];
    const gateway = await startWith(t, (await RawUpstream.start(t)).url, [
      {
        onRequest(exchange) {
          seen.push(made(exchange));
          const parts = [exchange.searchParams, exchange.cookies, exchange.signal];
          assert.deepEqual([exchange.searchParams, exchange.cookies, exchange.signal], parts);
          assert.ok(
            exchange.signal === parts[2] && exchange.searchParams === parts[0] && exchange.cookies === parts[1],
            'and keeps it',
          );
          seen.push(made(exchange));
        },
      },
    ]);
    await request(t, gateway.address(), get('/?a=1', 'cookie: a=1\r\n'));
    assert.deepEqual(
      seen.map((names) => names.length),
      [0, 3],
    );
  });

  it('parses the query as forms do, and never throws', async (t) => {
    const seen: string[][] = [];
    const gateway = await startWith(t, (await RawUpstream.start(t)).url, [
      { onRequest: ({ searchParams }) => void seen.push([...searchParams].flat()) },
    ]);
    for (const query of ['?a=1&a=2&b=%20+x', '', '?', '?a', '?=b', '?%zz=%', '?a=%ff', '?a=1;b=2']) {
      assert.equal((await request(t, gateway.address(), get(`/${query}`))).status, 200);
    }
    assert.deepEqual(seen, [
      ['a', '1', 'a', '2', 'b', '  x'],
      [],
      [],
      ['a', ''],
      ['', 'b'],
      ['%zz', '%'],
      ['a', '\ufffd'],
      ['a', '1;b=2'],
    ]);
  });

  it('parses cookies leniently; the first of a name counts, and none comes from a prototype', async (t) => {
    const seen: (string | undefined)[][] = [];
    const names = ['a', 'b', 'c', '__proto__', 'constructor', ''];
    const gateway = await startWith(t, (await RawUpstream.start(t)).url, [
      { onRequest: ({ cookies }) => void seen.push(names.map((name) => cookies.get(name))) },
    ]);
    for (const bytes of [
      withCookies('a=1; b=2;c=3'),
      withCookies('a=1; a=2', 'a=3; b=x=y'),
      withCookies('a; =x; ; b= spaced ; c='),
      withCookies('a="quoted"; b=%20'),
      withCookies('__proto__=p'),
      get(),
    ]) {
      await request(t, gateway.address(), bytes);
    }
    assert.deepEqual(seen, [
      ['1', '2', '3', undefined, undefined, undefined],
      ['1', 'x=y', undefined, undefined, undefined, undefined],
      [undefined, 'spaced', '', undefined, undefined, undefined],
      ['"quoted"', '%20', undefined, undefined, undefined, undefined],
      [undefined, undefined, undefined, 'p', undefined, undefined],
      [undefined, undefined, undefined, undefined, undefined, undefined],
    ]);
  });

  it('has one clock for its start and its duration', async (t) => {
    const clock = new FakeClock();
    clock.advance(1000);
    const upstream = await RawUpstream.start(t, { onRequest: () => (clock.advance(250), ok()) });
    const seen: number[] = [];
    const policy: Policy = {
      onRequest: ({ startedAt }) => void seen.push(startedAt),
      onFinish: (_, { durationMs }) => void seen.push(durationMs),
    };
    const gateway = await startWith(t, upstream.url, [policy], {}, { clock });
    await request(t, gateway.address(), get());
    await gateway.observation();
    assert.deepEqual(seen, [1000, 250]);
  });

  it('counts the bytes of both bodies for its outcome', async (t) => {
    const upstream = await RawUpstream.start(t, { onRequest: ({ body }) => ok(`${body}${body}`) });
    const gateway = await startWith(t, upstream.url, []);
    const sizes = [0, 5, 20_000, 100_000];
    for (const size of sizes) await request(t, gateway.address(), post('x'.repeat(size)));
    await gateway.observation(3);
    assert.deepEqual(
      gateway.observations.map(({ bytesIn, bytesOut }) => [bytesIn, bytesOut]),
      sizes.map((size) => [size, size * 2]),
    );
  });
});

describe('the signal of an exchange', () => {
  /** Notes in which state the signal is when a hook has it, and when it aborts. */
  const watching = (notes: string[]): Policy => ({
    onRequest({ signal }) {
      notes.push(`request ${signal.aborted}`);
      signal.addEventListener('abort', () => notes.push('abort'));
    },
    onResponse: ({ signal }) => void notes.push(`response ${signal.aborted}`),
    onFinish: ({ signal }) => void notes.push(`finish ${signal.aborted}`),
  });

  it('aborts when the exchange ends, and not before', async (t) => {
    const notes: string[] = [];
    const gateway = await startWith(t, (await RawUpstream.start(t)).url, [watching(notes)]);
    await request(t, gateway.address(), get());
    await gateway.observation();
    assert.deepEqual(notes, ['request false', 'response false', 'abort', 'finish true']);
  });

  it('aborts when the client goes away', async (t) => {
    const notes: string[] = [];
    const upstream = await RawUpstream.start(t, {});
    const gateway = await startWith(t, upstream.url, [watching(notes)]);
    const client = await RawClient.connect(t, gateway.address());
    client.write(get());
    await upstream.request();
    client.destroy();
    assert.equal((await gateway.observation()).code, 'CLIENT_CLOSED');
    assert.deepEqual(notes, ['request false', 'abort', 'finish true']);
  });

  it('lets a policy stop what it waits for, and that is no failure of the policy', async (t) => {
    const waiting = Promise.withResolvers<void>();
    const stopped = Promise.withResolvers<unknown>();
    const onRequest = ({ signal }: Exchange): Promise<undefined> =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          stopped.resolve(signal.reason);
          reject(signal.reason as Error);
        });
        waiting.resolve();
      });
    const gateway = await startWith(t, 'http://127.0.0.1:1', [{ onRequest }]);
    const client = await RawClient.connect(t, gateway.address());
    client.write(get());
    await waiting.promise;
    client.reset();
    assert.equal(((await stopped.promise) as Error).name, 'AbortError');
    assert.equal((await gateway.observation()).code, 'CLIENT_CLOSED');
    assert.deepEqual(
      gateway.log.filter(({ level }) => level === 'error'),
      [],
    );
  });

  it('has aborted already for who asks for it at the end', async (t) => {
    const notes: boolean[] = [];
    const gateway = await startWith(t, (await RawUpstream.start(t)).url, [
      { onFinish: ({ signal }) => void notes.push(signal.aborted) },
    ]);
    await request(t, gateway.address(), get());
    await gateway.observation();
    assert.deepEqual(notes, [true]);
  });
});

it('a policy is created once per use, and told where it is used', async (t) => {
  const modules = asModules([{}]);
  const created: string[] = [];
  const module = modules[fileOf(0)];
  const create: typeof module.create = (_, env) => {
    created.push(env.route);
    env.warn(`made for ${env.route} at ${env.now() >= 0}`);
    return {};
  };
  const config = proxyTo((await RawUpstream.start(t)).url);
  const policies = [{ use: fileOf(0) }];
  config.routes = {
    a: { match: { path: '/a' }, upstream: 'service', policies },
    b: { match: { path: '/b' }, upstream: 'service', policies: [...policies, ...policies] },
  };
  const gateway = await TestGateway.start(t, config, { modules: { [fileOf(0)]: { ...module, create } } });
  for (const path of ['/a', '/b', '/b']) await request(t, gateway.address(), get(path));
  assert.deepEqual(created, ['a', 'b', 'b']);
  assert.deepEqual(
    gateway.log.filter(({ level }) => level === 'warn').map(({ about }) => about),
    created.map((route) => ({ route, policy: 'p0' })),
  );
});
