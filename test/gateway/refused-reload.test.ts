/** A gateway that is told to move to what it cannot serve, or again and again: nothing shows of it, nothing is left of it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type Arbitrary,
  array,
  assert as assertProperty,
  asyncProperty,
  constantFrom,
  dictionary,
  record,
  subarray,
} from 'fast-check';
import { createGateway } from '../../src/gateway/create-gateway.ts';
import type { ConfigInput } from '../../src/config/schema.ts';
import { eventually, settle } from '../support/changes.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { freePort, takenPort } from '../support/free-port.ts';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { policyOf } from '../support/inline-policy.ts';
import { RawClient, request } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';
import { ask } from '../support/threaded.ts';
import { makeTlsFiles } from '../support/tls-files.ts';

const get = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';

const replying = (body: string, listeners: ConfigInput['listeners'] = { web: { host: '127.0.0.1', port: 0 } }) => ({
  telemetry: { accessLog: false as const },
  listeners,
  routes: { all: { respond: { body } } },
});

describe('a configuration that cannot be served', () => {
  const broken = (error: string) => ({
    './broken.ts': {
      ...policyOf({}),
      create: () => {
        throw new Error(error);
      },
    },
  });

  it('changes nothing, and leaves no socket open', async (t) => {
    const upstream = await RawUpstream.start(t);
    const port = await freePort();
    const before = proxyTo(upstream.url);
    const gateway = await TestGateway.start(t, before);
    const client = await RawClient.connect(t, gateway.address());
    await client.write(get).response();

    const withPolicy: ConfigInput = {
      ...before,
      listeners: { ...before.listeners, more: { host: '127.0.0.1', port } },
      upstreams: { ...before.upstreams, other: { targets: ['http://127.0.0.1:9'] } },
      routes: { ...before.routes, bad: { policies: [{ use: './broken.ts' }], upstream: 'other' } },
    };
    await assert.rejects(gateway.apply(withPolicy, broken('no key')), /route bad: policy inline: no key/);
    await assert.rejects(RawClient.connect(t, { host: '127.0.0.1', port }), /ECONNREFUSED/);

    const takenAt = await takenPort(t);
    const listeners = {
      ...before.listeners,
      more: { host: '127.0.0.1', port },
      taken: { host: '127.0.0.1', port: takenAt },
    };
    await assert.rejects(gateway.apply({ ...before, listeners }), /listener taken cannot listen .* in use/);
    await assert.rejects(RawClient.connect(t, { host: '127.0.0.1', port }), /ECONNREFUSED/);

    assert.equal((await client.write(get).response()).status, 200);
    const { threads, listeners: open, upstreams } = await gateway.gateway.status();
    assert.deepEqual(
      [threads[0].revision, open.map(({ name }) => name), upstreams.map(({ name }) => name)],
      [1, ['web'], ['service']],
    );
    assert.equal(upstream.connections.length, 1, 'the pool is the same');
  });

  it('never shows, whatever came before it: what is served is always the last that was not refused', async (t) => {
    const ports = [await freePort(), await freePort()];
    const takenAt = await takenPort(t);
    const step = record({
      bodies: dictionary<string, string>(constantFrom('a', 'b', 'c', 'd'), constantFrom('1', '2', '3'), {
        minKeys: 1,
      }),
      ports: subarray(ports, { minLength: 1 }),
      fault: constantFrom<string[]>('none', 'none', 'policy', 'port'),
    });
    type Step = (typeof step extends Arbitrary<infer T> ? T : never) & object;
    const configOf = ({ bodies, ports: at, fault }: Step): ConfigInput => ({
      telemetry: { accessLog: false },
      listeners: Object.fromEntries(
        [...at, ...(fault === 'port' ? [takenAt] : [])].map((port) => [`p${port}`, { host: '127.0.0.1', port }]),
      ),
      routes: Object.fromEntries(
        Object.entries(bodies).map(([name, body]) => [
          name,
          {
            match: { path: `/${name}` },
            ...(fault === 'policy' ? { policies: [{ use: './broken.ts' }] } : {}),
            respond: { body },
          },
        ]),
      ),
    });

    await assertProperty(
      asyncProperty(array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
        const clock = new FakeClock();
        const first = { bodies: { a: '0' }, ports: [ports[0]], fault: 'none' };
        const gateway = await TestGateway.open(configOf(first), { clock });
        let served: Step = first;
        try {
          for (const next of steps) {
            const change = gateway.apply(configOf(next), broken('no'));
            if (next.fault === 'none') await change;
            else await assert.rejects(change);
            if (next.fault === 'none') served = next;
            clock.advance(200);
            await settle();
            for (const port of ports) {
              const answers = await Promise.all(
                ['a', 'b', 'c', 'd'].map(async (name) => {
                  const { status, text } = await ask({ host: '127.0.0.1', port }, '', `/${name}`);
                  return status === 200 ? text.at(-1) : status;
                }),
              );
              const expected = ['a', 'b', 'c', 'd'].map((name) => served.bodies[name] ?? 404);
              assert.deepEqual(answers, served.ports.includes(port) ? expected : [0, 0, 0, 0]);
            }
          }
        } finally {
          await gateway.gateway.stop(0);
        }
      }),
      { numRuns: 25 },
    );
  });
});

describe('a gateway inside another program', () => {
  it('moves to one configuration after another, when it is told of several at once', async (t) => {
    const port = await freePort();
    const gateway = await createGateway(replying('0', { web: { host: '127.0.0.1', port } }));
    t.after(() => gateway.stop(0));
    await gateway.start();
    const more = { host: '127.0.0.1', port: await freePort() };
    await Promise.all(
      ['1', '2', '3'].map((body) => gateway.reload(replying(body, { web: { host: '127.0.0.1', port }, more }))),
    );
    assert.equal((await request(t, more, get)).body, '3');
    await assert.rejects(gateway.reload({ routes: { r: { upstream: 'nobody' } } }), /nobody/);
    await gateway.reload(replying('4', { web: { host: '127.0.0.1', port } }));
    assert.equal((await request(t, { host: '127.0.0.1', port }, get)).body, '4');
  });

  it('has no database of consumers, as nobody could change it', async () => {
    const config: ConfigInput = { ...replying('0'), consumerSources: { database: './consumers.db' } };
    await assert.rejects(createGateway(config), /consumerSources\.database belongs to the admin API/);
    const kept: ConfigInput = { ...replying('0'), quotas: { database: './quotas.db' } };
    await assert.rejects(createGateway(kept), /quotas\.database is written by the main thread of `gatewright run`/);
  });

  it('does not begin to listen again when it is stopped while it moves', async (t) => {
    const port = await freePort();
    const gateway = await createGateway(replying('0'));
    await gateway.start();
    const moving = gateway.reload(replying('1', { web: { host: '127.0.0.1', port } }));
    await Promise.all([assert.rejects(moving, /the gateway was stopped/), gateway.stop(0)]);
    await assert.rejects(RawClient.connect(t, { host: '127.0.0.1', port }), /ECONNREFUSED/);
  });

  it('holds on to nothing, however often it moves', async (t) => {
    const upstream = await RawUpstream.start(t);
    const { cert, key } = makeTlsFiles(t);
    const clock = new FakeClock();
    const port = await freePort();
    const config = (round: number): ConfigInput => ({
      telemetry: { accessLog: false },
      listeners: {
        web: { host: '127.0.0.1', port: 0 },
        secure: {
          host: '127.0.0.1',
          port,
          tls: { certificates: [{ cert, key }], minVersion: round % 2 === 0 ? '1.2' : '1.3' },
        },
      },
      upstreams: { [`u${round}`]: { targets: [upstream.url] } },
      routes: { [`r${round}`]: { upstream: `u${round}` } },
    });
    const gateway = await TestGateway.start(t, config(0), { clock });
    const settled = async (): Promise<number> => {
      for (let minute = 0; minute < 3; minute++) {
        clock.advance(60_000);
        await settle();
      }
      return clock.running;
    };
    await gateway.apply(config(1));
    await request(t, gateway.address(), get);
    const before = await settled();
    for (let round = 2; round < 40; round++) {
      await gateway.apply(config(round));
      await request(t, gateway.address(), get);
    }
    assert.equal(await settled(), before, 'timers, and with them what they watch');
    await eventually(() => upstream.connections.filter(({ closed }) => !closed).length <= 1, 'pools to be closed');
  });
});
