import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type TestContext, suite, test } from 'node:test';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { DirectWriter } from '../../src/wire/direct-write.ts';
import { makeCertificate } from '../support/certificates.ts';

const { key, cert } = makeCertificate();

/** Both ends of a connection. */
async function ends(t: TestContext, isTls: boolean): Promise<readonly [here: Socket, there: Socket]> {
  const server: Server = isTls ? createTlsServer({ key, cert }) : createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const there = isTls
    ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
    : connect({ port, host: '127.0.0.1' });
  const [here] = (await once(server, isTls ? 'secureConnection' : 'connection')) as [Socket];
  t.after(() => {
    here.destroy();
    there.destroy();
    server.close();
  });
  return [here, there];
}

suite('DirectWriter', () => {
  for (const isTls of [false, true]) {
    const kind = isTls ? 'TLS' : 'TCP';

    test(`over ${kind} keeps the order of what it writes and what the socket does, and ends behind both`, async (t) => {
      const [here, there] = await ends(t, isTls);
      const direct = DirectWriter.of(here)!;
      let sent = '';
      const add = (piece: string): void => {
        sent += piece;
        if (!direct.write(piece)) here.write(piece, 'latin1');
      };
      for (let i = 0; i < 50; i++) {
        add(`<${i}>`);
        add('|');
        here.write(`[${i}]`);
        sent += `[${i}]`;
        here.cork();
        add('a');
        add('b');
        here.uncork();
        // Every few, what is under way gets the time to leave.
        if (i % 5 === 0) await new Promise(setImmediate);
      }
      add('last');
      here.end('.');
      assert.equal(await text(there), `${sent}.`);
    });

    test(`over ${kind} loses nothing of what the kernel has no room for`, async (t) => {
      const [here, there] = await ends(t, isTls);
      const direct = DirectWriter.of(here)!;
      let length = 0;
      for (let i = 0; i < 400; i++) {
        const piece = String.fromCharCode(97 + (i % 26)).repeat(16_000);
        length += piece.length;
        if (!direct.write(piece)) here.write(piece, 'latin1');
      }
      here.end();
      const all = await text(there);
      assert.equal(all.length, length);
      for (let i = 0; i < 400; i++) assert.equal(all[i * 16_000], String.fromCharCode(97 + (i % 26)), String(i));
    });

    test(`over ${kind} closes a socket whose other end is gone`, async (t) => {
      const [here, there] = await ends(t, isTls);
      const direct = DirectWriter.of(here)!;
      here.on('error', () => {});
      const closed = new Promise((resolve) => here.once('close', resolve));
      there.destroy();
      const timer = setInterval(() => {
        if (!direct.write('x'.repeat(1000))) here.write('x');
      }, 1);
      await closed;
      clearInterval(timer);
      assert.equal(direct.write('x'), false);
    });
  }

  test('writes nothing that would overtake what waits in the socket', async (t) => {
    const [here, there] = await ends(t, false);
    const direct = DirectWriter.of(here)!;
    here.cork();
    here.write('first ');
    assert.equal(direct.write('second'), false);
    here.uncork();
    here.end('second');
    assert.equal(await text(there), 'first second');
    assert.equal(direct.write('third'), false);
  });

  test('is not for streams that are no sockets of the system', () => {
    assert.equal(DirectWriter.of(new PassThrough() as unknown as Socket), null);
  });
});
