/** Every kind of socket on either side: large bodies arrive unharmed however slowly they are taken, and failures show. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import {
  type IncomingMessage,
  type RequestListener,
  type Server,
  createServer,
  request as requestHttp,
} from 'node:http';
import { createServer as createSecureServer, request as requestHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { type TestContext, describe, it } from 'node:test';
import { type GatewayOptions, type ProxySettings, TestGateway, proxyTo } from '../support/gateway.ts';
import { policyOf } from '../support/inline-policy.ts';
import { fieldValue, fieldValues } from '../support/message-parser.ts';
import { type Address, RawClient, request } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';
import { type TlsFiles, makeTlsFiles } from '../support/tls-files.ts';

type Transport = 'tcp' | 'tls' | 'unix';
const transports: readonly Transport[] = ['tcp', 'tls', 'unix'];

const bodyBytes = 12 * 2 ** 20;
/** Numbers, so that no piece of it looks like another. */
const body = Buffer.from(Uint32Array.from({ length: bodyBytes / 4 }, (_, i) => i).buffer);
const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const expected = digest(body);

async function socketPath(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gatewright-'));
  t.after(() => rm(folder, { recursive: true }));
  return join(folder, 'socket');
}

/** Takes a body in small bites with rests between, so that everything behind it fills up. */
async function takeSlowly(stream: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let taken = 0;
  for await (const piece of stream as AsyncIterable<Buffer>) {
    pieces.push(piece);
    taken += piece.length;
    if (taken > 2 ** 20) {
      taken = 0;
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
  }
  return Buffer.concat(pieces);
}

async function startUpstream(
  t: TestContext,
  transport: Transport,
  files: TlsFiles,
  listener: RequestListener,
): Promise<string> {
  const server: Server =
    transport === 'tls'
      ? createSecureServer({ cert: files.certPem, key: files.keyPem }, listener)
      : createServer(listener);
  const path = transport === 'unix' ? await socketPath(t) : '';
  if (transport === 'unix') server.listen(path);
  else server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  if (transport === 'unix') return `unix:${path}`;
  return `${transport === 'tls' ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A gateway that is called through one transport and calls through another. */
async function start(
  t: TestContext,
  from: Transport,
  to: Transport,
  listener: RequestListener,
  route: ProxySettings['route'] = {},
  modules: GatewayOptions['modules'] = {},
) {
  const files = makeTlsFiles(t);
  const upstream = await startUpstream(t, to, files, listener);
  const { cert, key } = files;
  const listening = from === 'unix' ? { unix: await socketPath(t) } : { host: '127.0.0.1', port: 0 };
  const tls = from === 'tls' ? { tls: { certificates: [{ cert, key }] } } : {};
  const config = proxyTo(upstream, { upstream: { tls: { ca: cert } }, route });
  const gateway = await TestGateway.start(t, { ...config, listeners: { web: { ...listening, ...tls } } }, { modules });
  const address = gateway.address();
  const target = 'path' in address ? { socketPath: address.path } : { host: address.host, port: address.port };
  const call = async (method: string, content?: Buffer): Promise<IncomingMessage> => {
    const options = { ...target, method, path: '/', ca: files.certPem, headers: { host: 'localhost' } };
    const sending = from === 'tls' ? requestHttps(options) : requestHttp(options);
    sending.end(content);
    const [response] = (await once(sending, 'response')) as [IncomingMessage];
    return response;
  };
  return { gateway, call, files };
}

describe('a large body', { concurrency: 2 }, () => {
  for (const from of transports) {
    for (const to of transports) {
      it(`arrives unharmed at a client over ${from} that takes it slowly from an upstream over ${to}`, async (t) => {
        const { call } = await start(t, from, to, (_, response) => {
          response.setHeader('content-length', body.length);
          response.end(body);
        });
        assert.equal(digest(await takeSlowly(await call('GET'))), expected);
      });

      it(`arrives unharmed at an upstream over ${to} that takes it slowly from a client over ${from}`, async (t) => {
        const { call } = await start(t, from, to, (received, response) => {
          void takeSlowly(received).then((bytes) => response.end(digest(bytes)));
        });
        assert.equal((await takeSlowly(await call('PUT', body))).toString(), expected);
      });
    }
  }

  for (const to of transports) {
    it(`arrives unharmed from an upstream over ${to} when policies take their time with it`, async (t) => {
      const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));
      const slowly = policyOf({ onRequest: pause, onUpstreamRequest: pause, onResponse: pause });
      const echo: RequestListener = (received, response) => void received.pipe(response);
      const { call } = await start(
        t,
        'tcp',
        to,
        echo,
        { policies: [{ use: './slowly.ts' }] },
        { './slowly.ts': slowly },
      );
      assert.equal(digest(await takeSlowly(await call('PUT', body))), expected);
    });

    it(`arrives unharmed from an upstream over ${to} through transforms`, async (t) => {
      const through = policyOf({
        transformRequest: () => new PassThrough(),
        transformResponse: () => new PassThrough(),
      });
      const echo: RequestListener = (received, response) => void received.pipe(response);
      const { call } = await start(
        t,
        'tcp',
        to,
        echo,
        { policies: [{ use: './through.ts' }] },
        { './through.ts': through },
      );
      assert.equal(digest(await takeSlowly(await call('PUT', body))), expected);
    });
  }

  it('in chunks arrives unharmed both ways at once', async (t) => {
    const { call } = await start(t, 'tcp', 'tls', (received, response) => void received.pipe(response));
    assert.equal(digest(await takeSlowly(await call('POST', body))), expected);
  });
});

describe('a response that breaks off', () => {
  for (const from of transports) {
    for (const version of ['1.1', '1.0']) {
      it(`ends the connection of a client of HTTP/${version} over ${from}, and nothing else`, async (t) => {
        const { gateway, files } = await start(t, from, 'tcp', (_, response) => {
          response.write('hello');
          setImmediate(() => response.destroy());
        });
        const address: Address =
          from === 'tls'
            ? { ...(gateway.address() as { host: string; port: number }), ca: files.certPem }
            : gateway.address();
        const client = await RawClient.connect(t, address);
        client.write(`GET / HTTP/${version}\r\nhost: localhost\r\n\r\n`);
        await client.untilEnded();
        assert.doesNotMatch(client.received, /\r\n0\r\n/);
        assert.equal((await gateway.observation()).code, 'UPSTREAM_RESET');
        const next = await RawClient.connect(t, address);
        next.write(`GET / HTTP/${version}\r\nhost: localhost\r\n\r\n`);
        await next.untilEnded();
      });
    }
  }
});

describe('a Unix socket', () => {
  it('to listen on gives a peer without an address, and no claims about one', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(t, {
      ...proxyTo(upstream.url),
      listeners: { web: { unix: await socketPath(t) } },
    });
    const response = await request(
      t,
      gateway.address(),
      'GET / HTTP/1.1\r\nhost: api.example.com\r\nx-forwarded-for: 6.6.6.6\r\n\r\n',
    );
    assert.equal(response.status, 200);
    const { fields } = upstream.requests[0];
    assert.deepEqual(fieldValues(fields, 'x-forwarded-for'), []);
    assert.equal(fieldValue(fields, 'forwarded'), 'for=unknown;host=api.example.com;proto=http;by=_gatewright');
    assert.doesNotMatch(upstream.bytes, /6\.6\.6\.6/);
  });

  it('of a target has a name for `hostHeader: target`', async (t) => {
    const upstream = await RawUpstream.start(t, { onRequest: () => ok() }, await socketPath(t));
    const gateway = await TestGateway.start(t, proxyTo(upstream.url, { upstream: { hostHeader: 'target' } }));
    await request(t, gateway.address(), 'GET / HTTP/1.1\r\nhost: api.example.com\r\n\r\n');
    assert.equal(fieldValue(upstream.requests[0].fields, 'host'), 'localhost');
  });

  it('that is not there is an upstream that cannot be reached', async (t) => {
    const gateway = await TestGateway.start(t, proxyTo(`unix:${await socketPath(t)}`));
    const response = await request(t, gateway.address(), 'GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
    assert.deepEqual(
      [response.status, (JSON.parse(response.body) as { code: string }).code],
      [502, 'UPSTREAM_UNREACHABLE'],
    );
  });
});
