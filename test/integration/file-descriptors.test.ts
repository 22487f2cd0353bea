/** A process may have only so many sockets open. At that limit the gateway must not end, and must recover. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { type Socket, connect } from 'node:net';
import { it } from 'node:test';
import { eventually } from '../support/changes.ts';
import { proxyTo } from '../support/gateway.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { unlessInstalled } from '../support/needed-programs.ts';
import { request } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';

const get = 'GET / HTTP/1.1\r\nhost: localhost\r\n\r\n';

it(
  'a gateway without file descriptors left goes on, and serves again once there are',
  { skip: unlessInstalled('prlimit') },
  async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await GatewayProcess.start(t, proxyTo(upstream.url));
    const address = gateway.address as { host: string; port: number };
    assert.equal((await request(t, address, get)).status, 200);
    const openFiles = readdirSync(`/proc/${gateway.pid}/fd`).length;
    execFileSync('prlimit', ['--pid', String(gateway.pid), `--nofile=${openFiles + 20}`]);

    const sockets: Socket[] = Array.from({ length: 200 }, () => connect(address));
    t.after(() => sockets.forEach((socket) => socket.destroy()));
    for (const socket of sockets) {
      socket.on('error', () => {});
      // Every one of them also needs a connection to the upstream.
      socket.write(get);
    }
    await eventually(
      () => readdirSync(`/proc/${gateway.pid}/fd`).length >= openFiles + 18,
      'no file descriptors to be left',
    );
    await gateway.endings();
    assert.ok(gateway.isRunning && gateway.complaints === '', gateway.complaints);

    for (const socket of sockets) socket.destroy();
    await eventually(async () => {
      const response = await request(t, address, get).catch(() => null);
      return response?.status === 200;
    }, 'a request to be served');
    assert.ok(gateway.isRunning && gateway.complaints === '', gateway.complaints);
  },
);
