/** `onUpstreamRequest`: what policies may do to the request of one attempt, and to that one alone. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Exchange, Policy, UpstreamRequest } from '../../src/contract.ts';
import { proxyTo } from '../support/gateway.ts';
import { fieldValue, fieldValues } from '../support/message-parser.ts';
import { RawClient, request } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';
import { fileOf, get, inFlight, post, startConfig, startWith } from './with-policies.ts';

const later = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe('onUpstreamRequest', () => {
  it('is told where the attempt goes, and as what', async (t) => {
    const upstream = await RawUpstream.start(t);
    const seen: UpstreamRequest[] = [];
    const config = proxyTo(upstream.url, { route: { match: { path: '/api/*' }, rewrite: { path: '/v1/{*}' } } });
    config.routes!['all'].policies = [{ use: fileOf(0) }];
    const gateway = await startConfig(t, config, [{ onUpstreamRequest: (_, attempt) => void seen.push(attempt) }]);
    await request(t, gateway.address(), get('/api/x?q=1'));
    const { upstream: name, target, method, path } = seen[0];
    assert.deepEqual([name, target, method, path], ['service', upstream.url, 'GET', '/v1/x?q=1']);
    assert.equal(upstream.requests[0].target, '/v1/x?q=1');
  });

  it('may set, add and remove fields, in any hook of any policy', async (t) => {
    const upstream = await RawUpstream.start(t);
    const policies: Policy[] = [
      {
        onUpstreamRequest(_, { headers }) {
          headers.set('x-set', 'first');
          headers.add('x-add', '1');
          headers.remove('x-remove');
        },
      },
      {
        async onUpstreamRequest(_, { headers }) {
          await later();
          assert.equal(headers.get('x-set'), 'first');
          headers.set('x-set', 'second');
          headers.add('x-add', '2');
        },
      },
      { onUpstreamRequest: (_, { headers }) => headers.add('x-add', '3') },
    ];
    const gateway = await startWith(t, upstream.url, policies);
    await request(t, gateway.address(), get('/', 'x-set: client\r\nx-remove: 1\r\nx-keep: 1\r\n'));
    const { fields } = upstream.requests[0];
    const values = ['x-set', 'x-add', 'x-remove', 'x-keep'].map((name) => fieldValues(fields, name).join());
    assert.deepEqual(values, ['second', '1,2,3', '', '1']);
  });

  it('runs again for the next target, on the fields of the request as they were before', async (t) => {
    const upstream = await RawUpstream.start(t);
    const targets = ['http://127.0.0.1:1', 'http://127.0.0.1:2', upstream.url];
    for (const wait of [false, true]) {
      const seen: string[] = [];
      const counts: (number | undefined)[] = [];
      const policy: Policy = {
        onUpstreamRequest(exchange: Exchange, { target, headers }) {
          counts.push(inFlight(exchange));
          assert.deepEqual([headers.get('x-attempt'), headers.get('x-original')], [undefined, 'kept']);
          assert.equal(exchange.requestHeaders.get('x-attempt'), undefined);
          seen.push(target);
          headers.set('x-attempt', String(seen.length));
          headers.remove('x-original');
          return wait ? later() : undefined;
        },
      };
      const gateway = await startWith(t, targets[0], [policy], { upstream: { targets } });
      const response = await request(t, gateway.address(), get('/', 'x-original: kept\r\n'));
      assert.equal(response.status, 200);
      assert.deepEqual(seen, targets);
      assert.deepEqual(counts, [1, 1, 1]);
      const { fields } = upstream.requests.at(-1)!;
      assert.deepEqual([fieldValue(fields, 'x-attempt'), fieldValue(fields, 'x-original')], ['3', undefined]);
      assert.equal((await gateway.observation()).attempts, 3);
    }
  });

  it('runs again when a pooled connection turns out to be dead', async (t) => {
    const upstream = await RawUpstream.start(t, {
      // The second request on the first connection finds it closed.
      onRequest: (_, connection) =>
        connection.index === 0 && connection.requests.length === 2 ? connection.reset() : ok(),
    });
    const attempts: number[] = [];
    const gateway = await startWith(t, upstream.url, [
      { onUpstreamRequest: (_, { headers }) => headers.set('x-attempt', String(attempts.push(attempts.length))) },
    ]);
    const client = await RawClient.connect(t, gateway.address());
    assert.equal((await client.write(get('/1')).response()).status, 200);
    assert.equal((await client.write(get('/2')).response()).status, 200);
    assert.deepEqual(
      upstream.requests.map(({ fields }) => fieldValue(fields, 'x-attempt')),
      ['1', '2', '3'],
    );
  });

  it('does not run for requests that go nowhere', async (t) => {
    const config = proxyTo('http://127.0.0.1:1');
    config.routes = { all: { respond: { status: 200 }, policies: [{ use: fileOf(0) }] } };
    let calls = 0;
    const gateway = await startConfig(t, config, [{ onUpstreamRequest: () => void calls++ }]);
    await request(t, gateway.address(), get());
    assert.equal(calls, 0);
  });

  it('cannot change what frames the message or names the host', async (t) => {
    const upstream = await RawUpstream.start(t);
    const policy: Policy = {
      onUpstreamRequest(_, { headers }) {
        for (const [name, value] of [
          ['content-length', '3'],
          ['transfer-encoding', 'chunked'],
          ['connection', 'x-a'],
          ['host', 'evil.example'],
        ]) {
          headers.set(name, value);
        }
        headers.set('x-a', '1');
      },
    };
    const gateway = await startWith(t, upstream.url, [policy]);
    assert.equal((await request(t, gateway.address(), post('hello'))).status, 200);
    const { fields, body } = upstream.requests[0];
    assert.equal(body, 'hello');
    assert.deepEqual(
      ['content-length', 'transfer-encoding', 'connection', 'host', 'x-a'].map((name) =>
        fieldValues(fields, name).join(),
      ),
      ['5', '', '', 'localhost', '1'],
    );
  });
});

describe('what says who the client is', () => {
  const claims =
    'x-consumer: evil\r\nX-Consumer: evil2\r\nx-forwarded-for: 6.6.6.6\r\nx-forwarded-proto: https\r\nx-forwarded-host: evil.example\r\n' +
    'x-forwarded-port: 1\r\nforwarded: for=6.6.6.6\r\n';

  for (const hook of ['onRequest', 'onUpstreamRequest'] as const) {
    it(`reaches the upstream when a policy sets it in ${hook}, and never when the client does`, async (t) => {
      const upstream = await RawUpstream.start(t);
      const set = (headers: Exchange['requestHeaders']): void => {
        assert.ok(!headers.has('x-consumer') && !headers.has('x-forwarded-for') && !headers.has('forwarded'));
        headers.set('x-consumer', 'mobile-app');
        headers.set('x-forwarded-for', '192.0.2.7');
        headers.set('X-Forwarded-Proto', 'https');
        headers.set('x-forwarded-host', 'public.example');
        headers.set('x-forwarded-port', '8443');
        headers.set('forwarded', 'for=192.0.2.7');
      };
      const policy: Policy =
        hook === 'onRequest'
          ? { onRequest: ({ requestHeaders }) => set(requestHeaders) }
          : { onUpstreamRequest: (_, { headers }) => set(headers) };
      const gateway = await startWith(t, upstream.url, [policy]);
      const client = await RawClient.connect(t, gateway.address());
      for (let i = 0; i < 2; i++) {
        assert.equal((await client.write(get('/', claims)).response()).status, 200);
        const { fields } = upstream.requests[i];
        assert.deepEqual(
          [
            'x-consumer',
            'x-forwarded-for',
            'x-forwarded-proto',
            'x-forwarded-host',
            'x-forwarded-port',
            'forwarded',
          ].map((name) => fieldValues(fields, name)),
          [['mobile-app'], ['192.0.2.7'], ['https'], ['public.example'], ['8443'], ['for=192.0.2.7']],
        );
      }
    });
  }

  it('is not sent when no policy sets it', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await startWith(t, upstream.url, [{ onUpstreamRequest() {} }]);
    await request(t, gateway.address(), get('/', claims));
    const { fields } = upstream.requests[0];
    assert.deepEqual(fieldValues(fields, 'x-consumer'), []);
    assert.deepEqual(fieldValues(fields, 'x-forwarded-for'), ['127.0.0.1']);
    assert.doesNotMatch(upstream.bytes, /evil|6\.6\.6\.6/);
  });

  it('is the gateway’s own again for the next request of the connection', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await startWith(t, upstream.url, [
      {
        onRequest({ path, requestHeaders }) {
          if (path === '/set') requestHeaders.set('x-forwarded-for', '192.0.2.7');
        },
      },
    ]);
    const client = await RawClient.connect(t, gateway.address());
    for (const path of ['/', '/set', '/']) await client.write(get(path)).response();
    assert.deepEqual(
      upstream.requests.map(({ fields }) => fieldValues(fields, 'x-forwarded-for').join()),
      ['127.0.0.1', '192.0.2.7', '127.0.0.1'],
    );
  });
});
