/** What the admin API tells as it happens. */
import assert from 'node:assert/strict';
import { type TestContext, describe, it } from 'node:test';
import { eventually } from '../support/changes.ts';
import { RawClient } from '../support/raw-client.ts';
import { AdminApi, token } from './admin-api.ts';

interface Event {
  readonly id: string;
  readonly event: string;
  readonly data: { readonly kind: string; readonly at: number; readonly about: Record<string, unknown> };
}

/** The events in what was received: chunked framing is between them, never within one. */
function eventsIn(received: string): Event[] {
  return [...received.matchAll(/id: (.*)\nevent: (.*)\ndata: (.*)\n\n/g)].map(([, id, event, data]) => ({
    id,
    event,
    data: JSON.parse(data) as Event['data'],
  }));
}

async function subscribe(t: TestContext, api: AdminApi, more = ''): Promise<RawClient> {
  const client = await RawClient.connect(t, { host: '127.0.0.1', port: api.port });
  client.write(`GET /api/v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\n${more}\r\n`);
  await client.until((received) => received.includes('retry: 3000\n:\n\n'), 'the subscription');
  return client;
}

const has = (count: number) => (received: string) => eventsIn(received).length >= count;

describe('the events of the admin API', () => {
  it('come as they happen, to all who listen', async (t) => {
    const api = await AdminApi.start(t);
    const clients = [await subscribe(t, api), await subscribe(t, api)];
    assert.match(clients[0].received, /^HTTP\/1\.1 200 [\s\S]*content-type: text\/event-stream\r\n/i);
    assert.match(clients[0].received, /cache-control: no-store\r\n/i);
    api.control.tell('reload', { revision: 2, text: 'two\nlines' });
    api.control.tell('thread-replaced', { thread: 1 });
    for (const client of clients) {
      await client.until(has(2), 'two events');
      const [first, second] = eventsIn(client.received);
      assert.deepEqual([first.event, second.event], ['reload', 'thread-replaced']);
      assert.deepEqual(first.data, {
        kind: 'reload',
        at: Date.UTC(2026, 0, 1),
        about: { revision: 2, text: 'two\nlines' },
      });
      assert.notEqual(first.id, second.id);
    }
  });

  it('are told again to those who come back, from where they were', async (t) => {
    const api = await AdminApi.start(t);
    const client = await subscribe(t, api);
    for (const n of [1, 2, 3]) api.control.tell('reload', { n });
    await client.until(has(3), 'three events');
    const { id } = eventsIn(client.received)[0];
    const again = await subscribe(t, api, `Last-Event-ID: ${id}\r\n`);
    await again.until(has(2), 'what was missed');
    assert.deepEqual(
      eventsIn(again.received).map(({ data }) => data.about['n']),
      [2, 3],
    );
    for (const foreign of ['other.2', 'x', `${id}x`, '']) {
      const other = await subscribe(t, api, `Last-Event-ID: ${foreign}\r\n`);
      await other.until(has(3), 'all that is kept');
    }
    const fresh = await subscribe(t, api);
    api.control.tell('reload', { n: 4 });
    await fresh.until(has(1), 'the new event');
    assert.deepEqual(
      eventsIn(fresh.received).map(({ data }) => data.about['n']),
      [4],
      'who is new hears only what is new',
    );
  });

  it('are kept in a bounded number and size', async (t) => {
    const api = await AdminApi.start(t);
    for (let n = 1; n <= 300; n++) api.control.tell('reload', { n });
    const client = await subscribe(t, api, 'Last-Event-ID: x\r\n');
    await client.until(has(256), 'all that is kept');
    assert.equal(eventsIn(client.received)[0].data.about['n'], 45);
    for (let n = 1; n <= 20; n++) api.control.tell('reload', { n, text: 'x'.repeat(30_000) });
    const later = await subscribe(t, api, 'Last-Event-ID: x\r\n');
    await later.until(has(4), 'what there is room for');
    assert.equal(eventsIn(later.received).length, 4);
    api.control.tell('reload', { text: 'x'.repeat(100_000) });
    await later.until(has(5), 'what is left of too large an event');
    assert.deepEqual(eventsIn(later.received)[4].data.about, { truncated: true });
  });

  it('stay one line each, whatever their kind', async (t) => {
    const api = await AdminApi.start(t);
    const client = await subscribe(t, api);
    api.control.tell('odd\nid: 7\n\nevent: x', {});
    await client.until(has(1), 'the event');
    assert.equal(eventsIn(client.received)[0].event, 'odd_id__7__event__x');
  });

  it('have a heartbeat between them', async (t) => {
    const api = await AdminApi.start(t);
    const client = await subscribe(t, api);
    const before = client.received.length;
    api.clock.advance(15_000);
    await client.until((received) => received.slice(before).includes(':\n\n'), 'the heartbeat');
  });

  it('have a bounded number of subscribers, and room again when one leaves', async (t) => {
    const api = await AdminApi.start(t);
    const clients = await Promise.all(Array.from({ length: 32 }, () => subscribe(t, api)));
    assert.equal(await api.outcome('/api/v1/events'), '503 ADMIN_BUSY');
    clients[0].destroy();
    await eventually(async () => (await api.ask('/api/v1/events', { method: 'HEAD' })).status === 200, 'room');
    await subscribe(t, api);
  });

  it('are not buffered for who does not take them: that one is cut off, the others hear all', async (t) => {
    const api = await AdminApi.start(t);
    const [slow, quick] = [await subscribe(t, api), await subscribe(t, api)];
    slow.socket.pause();
    const text = 'x'.repeat(30_000);
    // The kernel takes some megabytes before the server has to.
    const rounds = 200;
    for (let round = 1; round <= rounds; round++) {
      for (let i = 0; i < 5; i++) api.control.tell('reload', { round, i, text });
      await quick.until((received) => received.includes(`"round":${round},"i":4,`), 'the events of the round');
      quick.received = '';
    }
    slow.socket.resume();
    await slow.untilEnded();
    const heard = eventsIn(slow.received).length;
    assert.ok(heard > 0 && heard < rounds * 5, String(heard));
    api.control.tell('reload', { round: 0 });
    await quick.until((received) => received.includes('"round":0'), 'one more event');
  });

  it('end with the server, and nothing is left of them', async (t) => {
    const api = await AdminApi.start(t);
    const client = await subscribe(t, api);
    assert.deepEqual([api.control.subscribers, api.clock.running], [1, 1]);
    await api.server.close();
    await client.untilEnded();
    assert.deepEqual([api.control.subscribers, api.clock.running], [0, 0]);
  });
});
