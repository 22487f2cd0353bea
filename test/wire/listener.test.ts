import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type Server, connect } from 'node:net';
import { it } from 'node:test';
import { systemClock } from '../../src/util/clock.ts';
import { Listener, type ListenerSettings } from '../../src/wire/listener.ts';
import type { RequestHandler } from '../../src/wire/server-stream.ts';
import { HeaderFields } from '../../src/http/header-fields.ts';
import { TimerWheel } from '../../src/wire/timer-wheel.ts';

const handler: RequestHandler = {
  onRequest: (stream) => stream.sendWhole(200, 'OK', new HeaderFields(), 'ok'),
  onMalformed: (stream) => stream.sendWhole(400, 'Bad Request', new HeaderFields(), ''),
};

const settings: ListenerSettings = {
  tls: null,
  proxyProtocol: false,
  maxConnections: 10,
  handshakeMs: 1000,
  limits: { headBytes: 1000, targetBytes: 1000, headers: 10, keepUnderscores: false, bodyBytes: 1000 },
  timeouts: { headMs: 1000, bodyIdleMs: 1000, keepAliveMs: 1000 },
  handler,
};

it('a listener goes on when the kernel fails to hand a connection over', async (t) => {
  const listener = new Listener(settings, new TimerWheel(systemClock));
  t.after(() => listener.destroy());
  const port = await listener.listen({ host: '127.0.0.1', port: 0 });
  listener.open();
  // No way to make accept(2) fail like this on purpose; it is what Node does when it does.
  const [server] = Reflect.get(listener, 'servers') as Set<Server>;
  server.emit('error', Object.assign(new Error('accept ENOBUFS'), { code: 'ENOBUFS' }));
  const client = connect(port, '127.0.0.1');
  client.write('GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n');
  const [answer] = (await once(client, 'data')) as [Buffer];
  assert.match(answer.toString(), /^HTTP\/1\.1 200 OK\r\n/);
  client.destroy();
  await listener.drain();
});
