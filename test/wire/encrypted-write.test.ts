import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { type TLSSocket, connect, createServer } from 'node:tls';
import { writeEncrypted } from '../../src/wire/encrypted-write.ts';
import { makeCertificate } from '../support/certificates.ts';

const certificate = makeCertificate({ commonName: 'a' });

/** Two clients that read nothing yet, and the sockets of the server that go to them. */
async function twoConnections(
  t: { after(end: () => void): void },
  maxVersion: 'TLSv1.2' | 'TLSv1.3',
): Promise<{ readonly server: TLSSocket; readonly client: TLSSocket }[]> {
  const server = createServer({ cert: certificate.cert, key: certificate.key, maxVersion });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const pairs: { readonly server: TLSSocket; readonly client: TLSSocket }[] = [];
  for (let i = 0; i < 2; i++) {
    const accepted = once(server, 'secureConnection') as Promise<[TLSSocket]>;
    const client = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
    client.pause();
    pairs.push({ server: (await accepted)[0], client });
  }
  t.after(() => {
    for (const { client, server: socket } of pairs) {
      client.destroy();
      socket.destroy();
    }
    server.close();
  });
  return pairs;
}

/** Of many lengths, and no two alike. */
const textOf = (whose: number, index: number): string =>
  `${whose}/${index}:`.padEnd((index * 977) % 20_000, 'äx~'[whose]);

describe('short texts to TLS sockets', () => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    it(`arrive whole and in order when nobody reads them for a while, with ${version}`, async (t) => {
      const pairs = await twoConnections(t, version);
      const count = 600;
      for (let index = 0; index < count; index++) {
        for (const [whose, { server }] of pairs.entries()) writeEncrypted(server, textOf(whose, index));
        // What was written before is under way or waits, and then again it has left.
        if (index % 3 === 0) await turn();
      }
      const due = pairs.map((_, whose) => Array.from({ length: count }, (__, index) => textOf(whose, index)).join(''));
      assert.ok(
        pairs.every(({ server }) => server.writableLength > 0),
        'what is written does not all fit into the kernel',
      );
      for (const { server } of pairs) server.end();
      for (const [whose, { client }] of pairs.entries()) {
        const received: Buffer[] = [];
        for await (const bytes of client) received.push(bytes as Buffer);
        assert.ok(Buffer.concat(received).toString('latin1') === due[whose], `what client ${whose} has received`);
      }
    });
  }
});
