/** The PROXY protocol at real sockets, in front of plain HTTP and of TLS, however its bytes are cut. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type Socket, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { type TestContext, describe, it } from 'node:test';
import { connect as connectTls } from 'node:tls';
import type { ConfigInput } from '../../src/config/schema.ts';
import { makeCertificate } from '../support/certificates.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { fieldValue } from '../support/message-parser.ts';
import { type Address, RawClient } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';

type Transport = 'plain' | 'tls';

const headers: Readonly<Record<'version 1' | 'version 2', Buffer>> = {
  'version 1': Buffer.from('PROXY TCP4 203.0.113.9 198.51.100.1 56324 443\r\n'),
  // PROXY, TCP over IPv4, twelve bytes: both addresses, both ports.
  'version 2': Buffer.from('0d0a0d0a000d0a515549540a2111000ccb007109c6336401dc0401bb', 'hex'),
};

const request = 'GET / HTTP/1.1\r\nhost: api.example.com\r\n\r\n';

/** The first bytes of a client, header included, in the pieces that are to arrive one after the other. */
const deliveries: Readonly<Record<string, (header: Buffer, next: Buffer) => Buffer[]>> = {
  'together with the bytes behind it': (header, next) => [Buffer.concat([header, next])],
  'before the bytes behind it': (header, next) => [header, next],
  'together with half of the bytes behind it': (header, next) => {
    const half = next.length >> 1;
    return [Buffer.concat([header, next.subarray(0, half)]), next.subarray(half)];
  },
  'byte by byte': (header, next) => [...Array.from(header, (byte) => Buffer.from([byte])), next],
};

/** Sends what is written first together with the header, in pieces; everything else as it is. */
function greetingStream(socket: Socket, header: Buffer, cut: (header: Buffer, next: Buffer) => Buffer[]): Duplex {
  let isFirst = true;
  const stream = new Duplex({
    read: () => {},
    write: (bytes: Buffer, _encoding, done) => {
      const pieces = isFirst ? cut(header, bytes) : [bytes];
      isFirst = false;
      const writeNext = (): void => {
        socket.write(pieces.shift()!);
        if (pieces.length === 0) done();
        else setImmediate(writeNext);
      };
      writeNext();
    },
  });
  socket.on('data', (bytes: Buffer) => stream.push(bytes));
  socket.on('end', () => stream.push(null));
  return stream;
}

interface Greeted {
  readonly stream: Duplex;
  /** Resolves once that many responses have arrived. */
  readonly responses: (this: void, count: number) => Promise<void>;
}

async function start(t: TestContext, transport: Transport, clock?: FakeClock) {
  const upstream = await RawUpstream.start(t);
  const gateway = await TestGateway.start(
    t,
    proxyTo(upstream.url, {
      listener: { proxyProtocol: true, ...(transport === 'tls' && { tls: await tlsSection(t) }) },
    }),
    clock === undefined ? {} : { clock },
  );
  const greet = async (header: Buffer, cut = deliveries['before the bytes behind it']): Promise<Greeted> => {
    const socket = connect({ ...gateway.address(), noDelay: true } as Address & { noDelay: true });
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    const inner = greetingStream(socket, header, cut);
    const stream = transport === 'plain' ? inner : connectTls({ socket: inner, rejectUnauthorized: false });
    let received = '';
    stream.on('data', (bytes: Buffer) => (received += bytes.toString('latin1')));
    const responses = async (count: number): Promise<void> => {
      while (received.split('HTTP/1.1 200 OK\r\n').length <= count) await once(stream, 'data');
    };
    return { stream, responses };
  };
  return { upstream, gateway, greet };
}

async function tlsSection(t: TestContext): Promise<NonNullable<NonNullable<ConfigInput['listeners']>[string]['tls']>> {
  const folder = await mkdtemp(join(tmpdir(), 'gatewright-proxy-protocol-'));
  t.after(() => rm(folder, { recursive: true }));
  const { cert, key } = makeCertificate({ altNames: ['DNS:api.example.com'] });
  const files = { cert: join(folder, 'site.pem'), key: join(folder, 'site.key') };
  await writeFile(files.cert, cert);
  await writeFile(files.key, key);
  return { certificates: [files] };
}

for (const transport of ['plain', 'tls'] as const) {
  describe(`the PROXY protocol before ${transport === 'tls' ? 'TLS' : 'plain HTTP'}`, () => {
    for (const [version, header] of Object.entries(headers)) {
      for (const [delivery, cut] of Object.entries(deliveries)) {
        it(`${version}, ${delivery}, says who the client is`, async (t) => {
          const { upstream, greet } = await start(t, transport);
          const { stream, responses } = await greet(header, cut);
          for (const count of [1, 2]) {
            stream.write(request);
            await responses(count);
          }
          assert.deepEqual(
            upstream.requests.map(({ fields }) => fieldValue(fields, 'x-forwarded-for')),
            ['203.0.113.9', '203.0.113.9'],
          );
          assert.equal(
            fieldValue(upstream.requests[0].fields, 'x-forwarded-proto'),
            transport === 'tls' ? 'https' : 'http',
          );
        });
      }
    }

    it('leaves the peer of the connection what it is when the proxy speaks for itself', async (t) => {
      const { upstream, greet } = await start(t, transport);
      const local = Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex');
      for (const [index, header] of [Buffer.from('PROXY UNKNOWN\r\n'), local].entries()) {
        const { stream, responses } = await greet(header);
        stream.write(request);
        await responses(1);
        assert.equal(fieldValue(upstream.requests[index].fields, 'x-forwarded-for'), '127.0.0.1');
      }
    });

    it('keeps the clients of connections that are open at the same time apart', async (t) => {
      const { upstream, greet } = await start(t, transport);
      const addresses = Array.from({ length: 20 }, (_, index) => `203.0.113.${index + 1}`);
      const greeted = await Promise.all(
        addresses.map((address) => greet(Buffer.from(`PROXY TCP4 ${address} 198.51.100.1 56324 443\r\n`))),
      );
      for (const [index, { stream }] of greeted.entries()) stream.write(request.replace('/ ', `/${addresses[index]} `));
      await Promise.all(greeted.map(({ responses }) => responses(1)));
      assert.equal(upstream.requests.length, addresses.length);
      for (const { startLine, fields } of upstream.requests) {
        assert.equal(startLine, `GET /${fieldValue(fields, 'x-forwarded-for')} HTTP/1.1`);
      }
    });

    it('is required: a client that comes without it is not answered', async (t) => {
      const { gateway, upstream } = await start(t, transport);
      const client = await RawClient.connect(t, gateway.address());
      client.write(request);
      await client.untilEnded();
      assert.equal(client.received, '');
      assert.equal(upstream.bytes, '');
    });

    it('must be complete within the time for the handshake', async (t) => {
      const clock = new FakeClock();
      const { gateway } = await start(t, transport, clock);
      const client = await RawClient.connect(t, gateway.address());
      client.write(headers['version 2'].subarray(0, 20));
      for (let tries = 0; tries < 1000 && !client.closed && !client.ended; tries++) {
        clock.advance(1000);
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.ok(client.ended || client.closed);
      assert.equal(client.received, '');
      assert.ok(clock.now() >= 10_000, `closed after ${clock.now()} ms`);
    });
  });
}
