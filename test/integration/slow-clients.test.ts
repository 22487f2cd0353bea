/**
 * Two thousand clients of slowhttptest that send heads and bodies and take responses as slowly as they can, all at once:
 * others are served as if nothing were, and the slow ones are cut at their time-outs.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type TestContext, it } from 'node:test';
import { eventually } from '../support/changes.ts';
import { proxyTo } from '../support/gateway.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { unlessInstalled } from '../support/needed-programs.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';

const connections = { heads: 800, bodies: 700, readers: 500 };

interface Attack {
  /** Whether it still has connections, or time. */
  isOn: boolean;
  /** What it has printed, once it is over. */
  readonly report: Promise<string>;
  stop(): void;
}

function attack(t: TestContext, url: string, count: number, mode: readonly string[]): Attack {
  const options = ['-c', String(count), '-r', String(count), '-l', '20', '-p', '5', '-u', url, ...mode];
  const attacker = spawn('slowhttptest', options, { stdio: ['ignore', 'pipe', 'ignore'] });
  t.after(() => attacker.kill('SIGKILL'));
  let output = '';
  attacker.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const report = once(attacker, 'close').then(() => {
    on.isOn = false;
    return output;
  });
  const on: Attack = { isOn: true, report, stop: () => void attacker.kill() };
  return on;
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
    const heads = attack(t, `${gateway.url}/`, connections.heads, ['-H', '-i', '1']);
    const bodies = attack(t, `${gateway.url}/`, connections.bodies, ['-B', '-i', '5', '-s', '8192']);
    const readers = attack(t, `${gateway.url}/big`, connections.readers, [
      '-X',
      '-n',
      '1',
      '-w',
      '512',
      '-y',
      '1024',
      '-z',
      '32',
    ]);

    const client = await RawClient.connect(t, gateway.address);
    const waits: number[] = [];
    const endings: Record<string, number> = {};
    const isOver = async (): Promise<boolean> => {
      const askedAt = performance.now();
      const { status } = await client.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n').response();
      assert.equal(status, 200);
      waits.push(performance.now() - askedAt);
      for (const [ending, count] of Object.entries(await gateway.endings())) {
        endings[ending] = (endings[ending] ?? 0) + count;
      }
      return !heads.isOn && !bodies.isOn && (endings['CLIENT_CLOSED'] ?? 0) >= connections.readers * 0.95;
    };
    await eventually(isOver, 'the slow ones to be cut', 30_000);
    assert.ok(readers.isOn, 'slow readers were cut, they did not leave');
    readers.stop();
    for (const slow of [heads, bodies]) assert.match(await slow.report, /No open connections left/);

    assert.ok(endings['REQUEST_TIMEOUT'] >= (connections.heads + connections.bodies) * 0.95, JSON.stringify(endings));
    const [median, most] = [0.5, 0.95].map(
      (share) => waits.toSorted((a, b) => a - b)[Math.floor(waits.length * share)],
    );
    assert.ok(
      waits.length > 50 && median < 100 && most < 1000,
      `${waits.length} served, median ${median} ms, 95 % in ${most} ms`,
    );
    assert.ok(gateway.isRunning && gateway.complaints === '');
  },
);
