import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as httpRequest, Agent } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite, test, type TestContext } from 'node:test';
import type { Outcome } from '../../src/contract.ts';
import { definePolicy } from '../../src/contract.ts';
import { z } from '../../src/util/schema.ts';
import { Changes } from '../support/changes.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { RawClient } from '../support/raw-client.ts';
import { TestThreads } from '../support/threaded.ts';

const workers = 4;
const workMs = 20;

/** Works on so many requests at a time, for some milliseconds each; the others wait without end. */
class BusyUpstream {
  url = '';
  private busy = 0;
  private readonly waiting: (() => void)[] = [];

  static async start(t: TestContext): Promise<BusyUpstream> {
    const upstream = new BusyUpstream();
    const server = createServer((_, response) => {
      upstream.waiting.push(() => {
        setTimeout(() => {
          response.end('done');
          upstream.busy--;
          upstream.work();
        }, workMs);
      });
      upstream.work();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
    upstream.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return upstream;
  }

  private work(): void {
    while (this.busy < workers && this.waiting.length > 0) {
      this.busy++;
      this.waiting.shift()!();
    }
  }
}

interface Run {
  readonly answered: number;
  readonly refused: number;
  /** The middle one of those that were answered. */
  readonly latencyMs: number;
}

/** So many clients, each of which asks again as soon as it is answered, and after a while where it is refused. */
async function ask(t: TestContext, url: string, clients: number, ms: number): Promise<Run> {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  t.after(() => agent.destroy());
  const latencies: number[] = [];
  let refused = 0;
  const untilMs = performance.now() + ms;
  const settleMs = performance.now() + ms / 2;
  const client = async (): Promise<void> => {
    while (performance.now() < untilMs) {
      const beganMs = performance.now();
      const status = await new Promise<number>((resolve, reject) => {
        httpRequest(url, { agent }, (response) => {
          response.resume();
          response.on('end', () => resolve(response.statusCode!));
        })
          .on('error', reject)
          .end();
      });
      // The first half is for learning.
      if (beganMs < settleMs) {
        if (status === 429) await new Promise((resolve) => setTimeout(resolve, 40));
        continue;
      }
      if (status === 200) latencies.push(performance.now() - beganMs);
      else {
        assert.equal(status, 429);
        refused++;
        await new Promise((resolve) => setTimeout(resolve, 40));
      }
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return { answered: latencies.length, refused, latencyMs: latencies.toSorted((a, b) => a - b)[latencies.length >> 1] };
}

suite('concurrency with an adaptive limit', () => {
  test('keeps an upstream that is given too much answering in time, over two threads', async (t) => {
    const clients = 64;
    const { url } = await BusyUpstream.start(t);
    const config = (policies: { concurrency: object }[]) => ({ ...proxyTo(url, { route: { policies } }), threads: 2 });
    const free = await TestThreads.start(t, config([]));
    const without = await ask(t, free.url(), clients, 2_000);
    // Whoever asks waits for all the others.
    assert.ok(without.latencyMs > 0.6 * (clients / workers) * workMs, JSON.stringify(without));

    const limited = await TestThreads.start(t, config([{ concurrency: { limit: 'adaptive', min: 2 } }]));
    const { answered, refused, latencyMs } = await ask(t, limited.url(), clients, 6_000);
    assert.ok(latencyMs < without.latencyMs / 2, `${latencyMs} against ${without.latencyMs} ms`);
    assert.ok(refused > 0);
    t.diagnostic(JSON.stringify({ without, answered, refused, latencyMs }));
    // Three seconds against one.
    assert.ok(answered / 3 > 0.7 * without.answered, `${answered / 3} against ${without.answered} in a second`);
  });
});

suite('how long an upstream takes', () => {
  const outcomes: Outcome[] = [];
  const changes = new Changes();
  const noting = definePolicy({
    name: 'noting',
    summary: 'Notes how exchanges end.',
    options: z.strictObject({}),
    create: () => ({
      onFinish(_exchange, outcome) {
        outcomes.push(outcome);
        changes.notify();
      },
    }),
  });
  const nextOutcome = async (): Promise<Outcome> => {
    await changes.until(
      () => outcomes.length > 0,
      () => 'an exchange to end',
    );
    return outcomes.shift()!;
  };

  test('has nothing to do with how slowly a client sends', async (t) => {
    const clock = new FakeClock();
    let isAsked = false;
    const server = createServer((request, response) => {
      isAsked = true;
      changes.notify();
      request.resume().on('end', () => {
        clock.advance(40);
        response.end('done');
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const gateway = await TestGateway.start(t, proxyTo(url, { route: { policies: [{ use: './noting.ts' }] } }), {
      modules: { './noting.ts': noting },
      clock,
    });
    const client = await RawClient.connect(t, gateway.address());
    client.write('POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 5\r\n\r\n12');
    await changes.until(
      () => isAsked,
      () => 'the upstream to be asked',
    );
    clock.advance(3_000);
    client.write('345');
    const { status, durationMs, upstreamMs } = await nextOutcome();
    assert.deepEqual([status, durationMs, upstreamMs], [200, 3_040, 40]);
  });

  test('is not known where there is none, or it answers before it has the request', async (t) => {
    const server = createServer((_, response) => response.end('early'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const policies = [{ use: './noting.ts' }];
    const config = proxyTo(url, { route: { policies } });
    const gateway = await TestGateway.start(
      t,
      { ...config, routes: { ...config.routes, own: { match: { path: '/own' }, policies, respond: { body: 'own' } } } },
      { modules: { './noting.ts': noting } },
    );
    const client = await RawClient.connect(t, gateway.address());
    client.write('GET /own HTTP/1.1\r\nhost: x\r\n\r\n');
    assert.equal((await nextOutcome()).upstreamMs, -1);
    client.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 500000\r\n\r\n12');
    const outcome = await nextOutcome();
    assert.deepEqual([outcome.status, outcome.upstreamMs], [200, -1]);
  });
});
