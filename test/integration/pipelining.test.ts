/** `connections.pipelining`: several requests under way on one connection to an upstream, answered in order. */
import assert from 'node:assert/strict';
import { type TestContext, describe, it } from 'node:test';
import { settle } from '../support/changes.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream, type UpstreamScript, ok } from '../support/raw-upstream.ts';

const get = (path = '/'): string => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`;
const post = (path = '/'): string => `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\n\r\nbody`;

async function start(t: TestContext, script: UpstreamScript, clients: number, pipelining = 8) {
  const clock = new FakeClock();
  const upstream = await RawUpstream.start(t, script);
  const gateway = await TestGateway.start(
    t,
    proxyTo(upstream.url, { upstream: { connections: { pipelining } }, route: { timeouts: { firstByte: '10s' } } }),
    { clock },
  );
  const all = await Promise.all(Array.from({ length: clients }, () => RawClient.connect(t, gateway.address())));
  await settle();
  return { upstream, gateway, clients: all, clock };
}

/** Opens the connection that the others are to share. */
async function warmUp(client: RawClient): Promise<void> {
  assert.equal((await client.write(get('/warm')).response()).status, 200);
}

/** Answers `/warm` and nothing else. */
const onlyWarm: UpstreamScript = { onRequest: ({ target }) => (target === '/warm' ? ok() : undefined) };

describe('pipelined requests', () => {
  it('of many clients share a connection, and each client gets its own answer', async (t) => {
    const { upstream, clients } = await start(t, { onRequest: ({ target }) => ok(target) }, 8);
    await warmUp(clients[0]);
    for (let round = 0; round < 20; round++) {
      const bodies = await Promise.all(
        clients.map(async (client, i) => (await client.write(get(`/${round}-${i}`)).response()).body),
      );
      assert.deepEqual(
        bodies,
        clients.map((_, i) => `/${round}-${i}`),
      );
    }
    assert.ok(upstream.connections.length <= 2, `${upstream.connections.length} connections`);
    assert.ok(upstream.connections[0].requests.length > 100);
  });

  it('are answered in order, whatever the sizes and framings of the answers', async (t) => {
    const replies = [
      (path: string) => ok(path),
      (path: string) => ok(path + 'x'.repeat(100_000)),
      (path: string) =>
        `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${path.length.toString(16)}\r\n${path}\r\n0\r\n\r\n`,
      (path: string) => `HTTP/1.1 103 Early Hints\r\n\r\n${ok(path)}`,
      () => 'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n',
    ];
    const { clients } = await start(
      t,
      {
        onRequest: ({ target }) =>
          target === '/warm' ? ok() : replies[Number(target.at(-1)) % replies.length](target),
      },
      8,
    );
    await warmUp(clients[0]);
    for (let round = 0; round < 10; round++) {
      const answers = await Promise.all(clients.map((client, i) => client.write(get(`/${round}-${i}`)).response()));
      for (const [i, { status, body }] of answers.entries()) {
        if (status === 200) {
          assert.ok(body.startsWith(`/${round}-${i}`), `${body.slice(0, 20)} instead of /${round}-${i}`);
        } else assert.equal(status, 304);
      }
    }
  });

  it('are as many as the configuration says; others go on another connection', async (t) => {
    const { upstream, clients } = await start(t, onlyWarm, 7, 3);
    await warmUp(clients[0]);
    for (const client of clients) client.write(get());
    await upstream.until(() => upstream.requests.length === 8, 'all requests');
    assert.deepEqual(
      upstream.connections
        .map(({ requests }) => requests.length - 1)
        .toSorted((a, b) => a - b)
        .at(-1),
      3,
    );
  });

  it('do not include those that are not idempotent, in whichever order they come', async (t) => {
    const { upstream, clients } = await start(
      t,
      { onRequest: ({ method, target, body }) => ok(`${method} ${target} ${body}`) },
      6,
    );
    await warmUp(clients[0]);
    for (let round = 0; round < 30; round++) {
      const bodies = await Promise.all(
        clients.map(
          async (client, i) =>
            (await client.write((i + round) % 3 === 0 ? post(`/${i}`) : get(`/${i}`)).response()).body,
        ),
      );
      assert.deepEqual(
        bodies,
        clients.map((_, i) => ((i + round) % 3 === 0 ? `POST /${i} body` : `GET /${i} `)),
      );
    }
    assert.equal(upstream.malformed, null);
  });

  it('are not joined by a POST, and do not join one', async (t) => {
    const { upstream, clients } = await start(t, onlyWarm, 4);
    const [first, second, third, fourth] = clients as [RawClient, RawClient, RawClient, RawClient];
    await warmUp(first);
    // The connection is idle again; a GET takes it, and in the same turn a POST needs one.
    first.write(get('/a'));
    second.write(post('/b'));
    third.write(get('/c'));
    fourth.write(post('/d'));
    await upstream.until(() => upstream.requests.length === 5, 'all requests');
    for (const { requests } of upstream.connections) {
      const [unanswered, posts] = [
        requests.filter(({ target }) => target !== '/warm'),
        requests.filter(({ method }) => method === 'POST'),
      ];
      assert.ok(
        posts.length === 0 || unanswered.length === 1,
        JSON.stringify(unanswered.map(({ method, target }) => method + target)),
      );
    }
  });

  it('are made again when the connection dies, but for the one that was being answered', async (t) => {
    const { upstream, clients, gateway } = await start(
      t,
      {
        onRequest({ target }, connection) {
          if (target === '/warm' || connection.index > 0) return ok(target);
          if (connection.requests.length === 5) connection.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhel');
          return undefined;
        },
      },
      4,
    );
    await warmUp(clients[0]);
    for (const [i, client] of clients.entries()) client.write(get(`/${i}`));
    const transcripts = await Promise.all(clients.map(async (client) => client.response().catch(() => null)));
    assert.equal(transcripts.filter((response) => response === null).length, 1, 'one client sees its response cut');
    assert.deepEqual(transcripts.flatMap((response) => response?.body ?? []).length, 3);
    assert.equal(upstream.requests.filter(({ target }) => target !== '/warm').length, 7);
    assert.deepEqual(
      gateway.observations.flatMap(({ code }) => code ?? []),
      ['UPSTREAM_RESET'],
    );
  });

  it('are all made again when the connection dies unanswered', async (t) => {
    const { clients } = await start(
      t,
      {
        onRequest: ({ target }, connection) =>
          connection.index > 0 || target === '/warm'
            ? ok(target)
            : void (connection.requests.length === 5 && connection.reset()),
      },
      4,
    );
    await warmUp(clients[0]);
    const bodies = await Promise.all(
      clients.map(async (client, i) => (await client.write(get(`/${i}`)).response()).body),
    );
    assert.deepEqual(bodies, ['/0', '/1', '/2', '/3']);
  });

  it('behind a cancelled one are answered, and nobody gets its answer', async (t) => {
    for (const cancelled of [0, 1, 2]) {
      const { upstream, clients, gateway } = await start(t, onlyWarm, 3);
      await warmUp(clients[0]);
      for (const [i, client] of clients.entries()) client.write(get(`/${i}`));
      await upstream.until(() => upstream.requests.length === 4, 'all requests');
      clients[cancelled].reset();
      await gateway.observation(1);
      const [connection] = upstream.connections;
      for (const { target } of connection.requests.slice(1)) connection.write(ok(target + 'x'.repeat(50_000)));
      for (const [i, client] of clients.entries()) {
        if (i !== cancelled) {
          assert.ok((await client.response()).body.startsWith(`/${i}x`), `client ${i} of those around ${cancelled}`);
        }
      }
      assert.equal(upstream.connections.length, 1);
    }
  });

  it('behind one that is cancelled while it is answered are made again', async (t) => {
    const { upstream, clients } = await start(
      t,
      { onRequest: ({ target }, connection) => (target === '/warm' || connection.index > 0 ? ok(target) : undefined) },
      3,
    );
    await warmUp(clients[0]);
    clients[0].write(get('/0'));
    await upstream.request(1);
    clients[1].write(get('/1'));
    clients[2].write(get('/2'));
    await upstream.until(() => upstream.requests.length === 4, 'all requests');
    upstream.connections[0].write('HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nhello');
    await clients[0].until((received) => received.endsWith('hello'), 'the first piece');
    clients[0].reset();
    assert.deepEqual([(await clients[1].response()).body, (await clients[2].response()).body], ['/1', '/2']);
  });

  it('that nobody answers fail one after the other, none for ever', async (t) => {
    const { upstream, clients, clock } = await start(t, onlyWarm, 3);
    await warmUp(clients[0]);
    for (const client of clients) client.write(get());
    await upstream.until(() => upstream.requests.length === 4, 'all requests');
    for (let i = 0; i < 4; i++) {
      clock.advance(10_100);
      await settle();
    }
    for (const client of clients) assert.equal((await client.response()).status, 504);
  });
});
