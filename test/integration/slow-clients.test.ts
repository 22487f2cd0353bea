/**
 * Two thousand clients of slowhttptest that send heads and bodies and take responses as slowly as they can, all at once:
 * others are served as if nothing were, and the slow ones are cut at their time-outs.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { type TestContext, it } from 'node:test';
import { eventually } from '../support/changes.ts';
import { proxyTo } from '../support/gateway.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { unlessInstalled } from '../support/needed-programs.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';

const connections = { heads: 800, bodies: 700, readers: 500 };

/** Attacks for longer than the test lasts. */
function attack(t: TestContext, url: string, count: number, mode: readonly string[]): ChildProcess {
  const options = ['-c', String(count), '-r', String(count), '-l', '100', '-p', '5', '-u', url, ...mode];
  const attacker = spawn('slowhttptest', options, { stdio: 'ignore' });
  t.after(() => attacker.kill('SIGKILL'));
  return attacker;
}

it(
  'two thousand slow clients are cut while others are served',
  { skip: unlessInstalled('slowhttptest') },
  async (t) => {
    const big = Buffer.alloc(8 * 2 ** 20);
    const upstream = await RawUpstream.start(t, {
      onRequest({ target }, connection) {
        if (target !== '/big') return ok();
        connection.write(`HTTP/1.1 200 OK\r\ncontent-length: ${big.length}\r\n\r\n`).write(big);
        return undefined;
      },
    });
    const gateway = await GatewayProcess.start(
      t,
      proxyTo(upstream.url, {
        listener: { timeouts: { head: '2s', bodyIdle: '2s' } },
        upstream: { connections: { max: 2000 } },
        // The upstream, in the process of the test, has as much to do as the gateway.
        route: { timeouts: { connect: '20s' } },
      }),
    );
    attack(t, `${gateway.url}/`, connections.heads, ['-H', '-i', '1']);
    attack(t, `${gateway.url}/`, connections.bodies, ['-B', '-i', '5', '-s', '8192']);
    const slowReads = ['-X', '-n', '1', '-w', '512', '-y', '1024', '-z', '32'];
    const readers = attack(t, `${gateway.url}/big`, connections.readers, slowReads);

    const client = await RawClient.connect(t, gateway.address);
    const waits: number[] = [];
    const cut = { REQUEST_TIMEOUT: 0, CLIENT_CLOSED: 0 };
    const areCut = async (): Promise<boolean> => {
      const askedAt = performance.now();
      const { status } = await client.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n').response();
      assert.equal(status, 200);
      waits.push(performance.now() - askedAt);
      const endings = await gateway.endings();
      cut.REQUEST_TIMEOUT += endings['REQUEST_TIMEOUT'] ?? 0;
      cut.CLIENT_CLOSED += endings['CLIENT_CLOSED'] ?? 0;
      const slowSenders = connections.heads + connections.bodies;
      return cut.REQUEST_TIMEOUT >= slowSenders * 0.95 && cut.CLIENT_CLOSED >= connections.readers * 0.95;
    };
    await eventually(areCut, 'the slow ones to be cut', 60_000);
    assert.equal(readers.exitCode, null, 'slow readers were cut, they did not leave');

    // Generous, because attackers, upstream and gateway share a machine.
    const sorted = waits.toSorted((a, b) => a - b);
    const [median, most] = [0.5, 0.95].map((share) => sorted[Math.floor(sorted.length * share)]);
    assert.ok(median < 250 && most < 2500, `${waits.length} served, median ${median} ms, 95 % in ${most} ms`);
    assert.ok(gateway.isRunning && gateway.complaints === '');
  },
);
