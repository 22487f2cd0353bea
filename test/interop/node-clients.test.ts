/** Clients of Node through a gateway process: `fetch`, `node:http` and `ws`. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { WebSocket } from 'ws';
import { unlessInstalled } from '../support/needed-programs.ts';
import { SuiteScope } from '../support/scope.ts';
import { type Echo, Services, sha256 } from './services.ts';

const skip = unlessInstalled('nginx', 'python3');
const scope = new SuiteScope();
let services: Services;

if (skip === false) {
  before(async () => {
    services = await Services.start(scope);
  });
  after(() => scope.end());
}

describe('fetch', { skip }, () => {
  it('gets files from every upstream, and what nginx compresses', async () => {
    for (const upstream of ['nginx', 'python']) {
      const small = await fetch(`${services.url}/${upstream}/small.txt`);
      assert.deepEqual([small.status, await small.text()], [200, services.site.small]);
      const large = await fetch(`${services.url}/${upstream}/large.bin`);
      assert.equal(sha256(await large.bytes()), sha256(services.site.large));
    }
    const compressed = await fetch(`${services.url}/nginx/small.txt`, { headers: { 'accept-encoding': 'gzip' } });
    assert.equal(compressed.headers.get('content-encoding'), 'gzip');
  });

  it('sends a stream and gets one back', async () => {
    const pieces = Array.from({ length: 50 }, () => randomBytes(10_000));
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        const piece = pieces.at(sent++);
        if (piece === undefined) controller.close();
        else controller.enqueue(piece);
      },
    });
    let sent = 0;
    const response = await fetch(`${services.url}/node/stream`, { method: 'POST', body, duplex: 'half' });
    const echo = (await response.json()) as Echo;
    assert.deepEqual([echo.length, echo.sha256], [500_000, sha256(Buffer.concat(pieces))]);
  });

  it('gets redirects as they are, and can change its mind', async () => {
    const moved = await fetch(`${services.url}/nginx/moved`, { redirect: 'manual' });
    assert.equal(moved.status, 301);
    const aborter = new AbortController();
    const large = await fetch(`${services.url}/nginx/large.bin`, { signal: aborter.signal });
    aborter.abort();
    await assert.rejects(large.bytes(), { name: 'AbortError' });
    assert.equal((await fetch(`${services.url}/nginx/small.txt`)).status, 200);
  });

  it('gets many answers at a time', async () => {
    const statuses = await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const upstream = ['nginx/small.txt', 'node/stream', 'python/small.txt'][index % 3];
        const response = await fetch(`${services.url}/${upstream}?${index}`);
        await response.bytes();
        return response.status;
      }),
    );
    assert.deepEqual([...new Set(statuses)], [200]);
  });
});

describe('node:http', { skip }, () => {
  it('keeps its one connection over requests of every kind', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ports = new Set<number | undefined>();
    const call = async (method: string, path: string, body?: string): Promise<IncomingMessage & { text: string }> => {
      const outgoing = request(services.url + path, { method, agent });
      outgoing.end(body);
      const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
      ports.add(outgoing.socket?.localPort);
      return Object.assign(response, { text: await text(response) });
    };
    assert.equal((await call('GET', '/nginx/small.txt')).text, services.site.small);
    assert.equal((await call('HEAD', '/nginx/large.bin')).text, '');
    assert.equal((await call('GET', '/nginx/nothing')).statusCode, 404);
    assert.equal((await call('POST', '/python/echo', 'abc')).statusCode, 200);
    assert.equal((JSON.parse((await call('PUT', '/node/stream', 'abc')).text) as Echo).method, 'PUT');
    assert.equal((await call('DELETE', '/node/sum')).text, sha256(''));
    assert.equal((await call('OPTIONS', '/node/sum')).statusCode, 200);
    assert.equal(ports.size, 1);
    agent.destroy();
  });

  it('gets the interim response that it asks for before it sends a body', async () => {
    const outgoing = request(`${services.url}/node/sum`, { method: 'POST', headers: { expect: '100-continue' } });
    outgoing.flushHeaders();
    await once(outgoing, 'continue');
    outgoing.end('late');
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    assert.equal(await text(response), sha256('late'));
  });
});

describe('ws', { skip }, () => {
  const open = async (): Promise<WebSocket> => {
    const socket = new WebSocket(`${services.url.replace('http', 'ws')}/node/socket`);
    scope.after(() => socket.terminate());
    await once(socket, 'open');
    return socket;
  };
  const echo = async (socket: WebSocket, message: string | Buffer): Promise<Buffer> => {
    socket.send(message);
    const [data] = (await once(socket, 'message')) as [Buffer];
    return data;
  };

  it('echoes text, a mebibyte, and what is compressed, then closes with its code', async () => {
    const socket = await open();
    assert.match(socket.extensions, /permessage-deflate/);
    assert.equal((await echo(socket, 'hello')).toString(), 'hello');
    const mebibyte = randomBytes(1024 * 1024);
    assert.equal(sha256(await echo(socket, mebibyte)), sha256(mebibyte));
    assert.equal((await echo(socket, 'a'.repeat(100_000))).length, 100_000);
    socket.ping();
    await once(socket, 'pong');
    socket.close(4711, 'enough');
    const [code] = (await once(socket, 'close')) as [number];
    assert.equal(code, 4711);
  });

  it('keeps a hundred of them open beside other requests', async () => {
    const sockets = await Promise.all(Array.from({ length: 100 }, open));
    assert.equal((await fetch(`${services.url}/node/sum`)).status, 200);
    const echoes = await Promise.all(sockets.map((socket, index) => echo(socket, `message ${index}`)));
    assert.deepEqual(
      echoes.map(String),
      sockets.map((_, index) => `message ${index}`),
    );
    for (const socket of sockets) socket.terminate();
  });
});
