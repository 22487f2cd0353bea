/** What policies may do to the head of a response, and what becomes of its body then. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Exchange, Policy } from '../../src/contract.ts';
import { fieldValue, fieldValues } from '../support/message-parser.ts';
import { RawClient, request } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';
import { chunks, get, head, inFlight, postChunks, startWith } from './with-policies.ts';

const later = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Sets the status that the query of the request names. */
const setsStatus = (wait: boolean): Policy => ({
  onResponse(exchange) {
    exchange.status = Number(exchange.query);
    return wait ? later() : undefined;
  },
});

describe('a status that a policy has changed', () => {
  const large = 'x'.repeat(300_000);
  const bodies: Readonly<Record<string, string>> = {
    '/small': ok('small'),
    '/large': ok(large),
    '/chunked': `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${chunks('in ', 'chunks')}`,
    '/unfinished': 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n',
    '/none': 'HTTP/1.1 204 No Content\r\n\r\n',
    '/unchanged': 'HTTP/1.1 304 Not Modified\r\netag: "a"\r\ncontent-length: 7\r\n\r\n',
  };
  const script = {
    onRequest: ({ target }: { readonly target: string }) => bodies[target.slice(0, target.indexOf('?'))],
  };

  for (const wait of [false, true]) {
    const how = wait ? ', by a policy that waits' : '';

    it(`to 204 or 304 leaves no body behind and the connection intact${how}`, async (t) => {
      const upstream = await RawUpstream.start(t, script);
      const left: (number | undefined)[] = [];
      const counting: Policy = { onFinish: (exchange) => void left.push(inFlight(exchange)) };
      const gateway = await startWith(t, upstream.url, [counting, setsStatus(wait)]);
      const client = await RawClient.connect(t, gateway.address());
      const paths = ['/small', '/large', '/chunked', '/unfinished', '/none', '/unchanged'];
      for (const status of [204, 304]) {
        for (const path of paths) {
          const response = await client.write(get(`${path}?${status}`)).response();
          assert.deepEqual([response.status, response.body], [status, ''], path);
          assert.equal(response.statusText, status === 204 ? 'No Content' : 'Not Modified');
          assert.equal(fieldValue(response.fields, 'transfer-encoding'), undefined);
          if (status === 204) assert.equal(fieldValue(response.fields, 'content-length'), undefined);
        }
      }
      assert.equal((await client.write(get('/small?200')).response()).body, 'small');
      assert.equal(client.received, '');
      await gateway.observation(12);
      assert.deepEqual(
        left,
        Array.from({ length: 13 }, () => 0),
      );
      const isOver = (): boolean => upstream.connections.filter(({ closed }) => !closed).length <= 1;
      await upstream.until(isOver, 'the end of the responses that nobody reads');
    });

    it(`to another one brings the words of that one along${how}`, async (t) => {
      const upstream = await RawUpstream.start(t, script);
      const gateway = await startWith(t, upstream.url, [setsStatus(wait)]);
      const client = await RawClient.connect(t, gateway.address());
      for (const [path, status, statusText, body] of [
        ['/small', 503, 'Service Unavailable', 'small'],
        ['/large', 203, 'Non-Authoritative Information', large],
        ['/chunked', 599, '', 'in chunks'],
        ['/none', 200, 'OK', ''],
        ['/unchanged', 200, 'OK', ''],
      ] as const) {
        const response = await client.write(get(`${path}?${status}`)).response();
        assert.deepEqual([response.status, response.statusText, response.body], [status, statusText, body]);
      }
      assert.equal((await gateway.observation(0)).status, 503);
    });
  }

  it('is that of the outcome; one that was not changed keeps the words of the upstream', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onRequest: () => 'HTTP/1.1 200 Fine with me\r\ncontent-length: 0\r\n\r\n',
    });
    const statuses: number[] = [];
    const gateway = await startWith(t, upstream.url, [
      { ...setsStatus(false), onFinish: (_, outcome) => void statuses.push(outcome.status) },
    ]);
    assert.equal((await request(t, gateway.address(), get('/?200'))).statusText, 'Fine with me');
    assert.equal((await request(t, gateway.address(), get('/?201'))).statusText, 'Created');
    await gateway.observation(1);
    assert.deepEqual(statuses, [200, 201]);
  });

  it('of a reply may be one without a body', async (t) => {
    const gateway = await startWith(t, 'http://127.0.0.1:1', [
      setsStatus(false),
      { onRequest: () => ({ status: 200, body: 'text' }) },
    ]);
    const client = await RawClient.connect(t, gateway.address());
    for (const status of [204, 304, 200]) {
      assert.equal((await client.write(get(`/?${status}`)).response()).body, status === 200 ? 'text' : '');
    }
  });

  it('of a response to HEAD changes nothing about its body', async (t) => {
    const upstream = await RawUpstream.start(t, { onRequest: () => 'HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n' });
    const gateway = await startWith(t, upstream.url, [setsStatus(true)]);
    const client = await RawClient.connect(t, gateway.address());
    for (const status of [404, 204, 200]) {
      const { status: sent, fields } = await client.write(head(`/?${status}`)).response('HEAD');
      assert.deepEqual([sent, fieldValue(fields, 'content-length')], [status, status === 204 ? undefined : '1234']);
    }
  });

  it('before the request has arrived whole closes the connection behind the response', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onHead: (_, connection) => void connection.write('HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nhello'),
    });
    const gateway = await startWith(t, upstream.url, [{ onResponse: (exchange) => void (exchange.status = 304) }]);
    const client = await RawClient.connect(t, gateway.address());
    client.write(postChunks('hello').slice(0, -5));
    const { responses, rest } = await client.transcript();
    assert.deepEqual(
      [responses.map(({ status, fields }) => [status, fieldValue(fields, 'connection')]), rest],
      [[[304, 'close']], ''],
    );
    await upstream.until(() => upstream.connections[0].closed, 'the end of the upstream connection');
  });
});

describe('the fields of a response', () => {
  it('may be set, added and removed by policies', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onRequest: () => ok('ok', 'X-Old: 1\r\nx-Set: upstream\r\nx-set: twice\r\nx-keep: 1\r\n'),
    });
    const gateway = await startWith(t, upstream.url, [
      {
        onResponse({ responseHeaders }) {
          assert.equal(responseHeaders.get('x-set'), 'inner');
          responseHeaders.set('x-set', 'outer');
        },
      },
      {
        onResponse({ responseHeaders }) {
          responseHeaders.remove('x-old');
          assert.deepEqual(responseHeaders.getAll('X-SET'), ['upstream', 'twice']);
          responseHeaders.set('X-Set', 'inner');
          responseHeaders.add('x-add', '1');
          responseHeaders.add('x-add', '2');
        },
      },
    ]);
    const { fields } = await request(t, gateway.address(), get());
    assert.deepEqual(
      ['x-old', 'x-set', 'x-add', 'x-keep'].map((name) => fieldValues(fields, name)),
      [[], ['outer'], ['1', '2'], ['1']],
    );
  });

  it('keep their lines: Set-Cookie cannot be joined', async (t) => {
    const cookies = ['a=1; Path=/', 'b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT', 'c=3'];
    const upstream = await RawUpstream.start(t, {
      onRequest: () =>
        ok(
          'ok',
          cookies
            .slice(0, 2)
            .map((cookie) => `Set-Cookie: ${cookie}\r\n`)
            .join(''),
        ),
    });
    const gateway = await startWith(t, upstream.url, [
      { onResponse: ({ responseHeaders }) => responseHeaders.add('set-cookie', cookies[2]) },
    ]);
    const { fields } = await request(t, gateway.address(), get());
    assert.deepEqual(fieldValues(fields, 'set-cookie'), cookies);
  });

  it('do not name alternatives of the upstream, but may name those of a policy', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onRequest: () => ok('ok', 'alt-svc: h3=":443"\r\nAlt-Svc: h2="evil.example:443"\r\n'),
    });
    const seen: (string | undefined)[] = [];
    const plain = await startWith(t, upstream.url, [
      { onResponse: ({ responseHeaders }) => void seen.push(responseHeaders.get('alt-svc')) },
    ]);
    assert.deepEqual(fieldValues((await request(t, plain.address(), get())).fields, 'alt-svc'), []);
    assert.deepEqual(seen, [undefined]);
    const own = await startWith(t, upstream.url, [
      { onResponse: ({ responseHeaders }) => responseHeaders.set('alt-svc', 'clear') },
    ]);
    assert.deepEqual(fieldValues((await request(t, own.address(), get())).fields, 'alt-svc'), ['clear']);
  });

  it('that frame the message are the gateway’s, whatever a policy or a reply sets', async (t) => {
    const upstream = await RawUpstream.start(t);
    const framing = [
      ['content-length', '1'],
      ['transfer-encoding', 'chunked'],
      ['connection', 'upgrade'],
      ['keep-alive', 'x'],
    ] as const;
    const set: Policy = {
      onResponse: ({ responseHeaders }) => framing.forEach(([name, value]) => responseHeaders.set(name, value)),
    };
    const replying: Policy = {
      onRequest: ({ path }) => (path === '/reply' ? { status: 200, headers: framing, body: 'own' } : undefined),
    };
    const gateway = await startWith(t, upstream.url, [set, replying]);
    const client = await RawClient.connect(t, gateway.address());
    for (const [path, body] of [
      ['/', 'ok'],
      ['/reply', 'own'],
      ['/', 'ok'],
    ] as const) {
      const response = await client.write(get(path)).response();
      assert.deepEqual([response.body, response.framing], [body, body.length]);
      assert.deepEqual(
        ['connection', 'keep-alive'].flatMap((name) => fieldValues(response.fields, name)),
        [],
      );
    }
  });

  it('can never be more than one was meant to be', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await startWith(t, upstream.url, [
      { onResponse: ({ query, responseHeaders }) => responseHeaders.set('x-a', decodeURIComponent(query)) },
    ]);
    for (const query of ['a%0d%0ax-evil:1', 'a%0ab', 'a%00b', 'a%0d']) {
      const { status, fields } = await request(t, gateway.address(), get(`/?${query}`));
      assert.deepEqual([status, fieldValues(fields, 'x-evil')], [500, []]);
    }
    assert.equal(fieldValue((await request(t, gateway.address(), get('/?fine'))).fields, 'x-a'), 'fine');
  });

  it('of one response are not those of the next', async (t) => {
    const upstream = await RawUpstream.start(t);
    const seen: string[][] = [];
    const gateway = await startWith(t, upstream.url, [
      {
        onResponse({ query, responseHeaders }: Exchange) {
          seen.push(responseHeaders.getAll('x-a'));
          if (query !== '') responseHeaders.add('x-a', query);
        },
      },
    ]);
    const client = await RawClient.connect(t, gateway.address());
    for (const query of ['1', '2', '']) {
      const { fields } = await client.write(get(`/?${query}`)).response();
      assert.deepEqual(fieldValues(fields, 'x-a'), query === '' ? [] : [query]);
    }
    assert.deepEqual(seen, [[], [], []]);
  });
});
