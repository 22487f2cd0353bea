/** Who may open another connection, at the unit level: very many clients, and full tables. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { parseConfig } from '../../src/config/load.ts';
import { ListenerGate } from '../../src/gateway/listener-gate.ts';
import { builtinPolicies } from '../../src/policies/index.ts';
import { SharedBans } from '../../src/stores/shared-bans.ts';
import { SharedLimits, createLimitMemory } from '../../src/stores/shared-limits.ts';

interface Settings {
  readonly limits?: object;
  readonly trustedProxies?: readonly string[];
  readonly capacity?: number;
  readonly threads?: number;
}

async function start({ limits = {}, trustedProxies = [], capacity = 64, threads = 1 }: Settings) {
  const web = { port: 1, limits, ...(trustedProxies.length > 0 && { trustedProxies }) };
  const text = JSON.stringify({ listeners: { web }, routes: { r: { respond: {} } } });
  const { config } = await parseConfig(text, { registry: builtinPolicies, fileName: 'gateway.json' });
  const clock = { nowMs: 1_000, now: () => clock.nowMs, wallNow: () => clock.nowMs };
  const memory = createLimitMemory(threads, { rates: capacity, windows: 1, logs: 1, permits: capacity });
  const bans = new SharedBans(SharedBans.create(1, { capacity: 64 }), 0, clock);
  const gates = Array.from({ length: threads }, (_, seat) => {
    const connections = new SharedLimits(memory, seat, clock);
    return { connections, gate: new ListenerGate('web', config!.listeners['web'], { connections, bans }) };
  });
  return { clock, bans, gates, ...gates[0] };
}

const address = (n: number): string => `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`;

/** How many of so many connections get in. */
function entering(gate: ListenerGate, count: number, ip: string): number {
  return Array.from({ length: count }, () => gate.enter(ip)).filter((refusal) => refusal === null).length;
}

suite('the gate of a listener', () => {
  test('counts a client over all threads, and no leaving twice', async () => {
    const { gates } = await start({ limits: { connectionsPerAddress: 5 }, threads: 3 });
    const [one, two, three] = gates.map(({ gate }) => gate);
    assert.equal(entering(one, 3, '192.0.2.1') + entering(two, 3, '192.0.2.1') + entering(three, 3, '192.0.2.1'), 5);
    one.leave('192.0.2.1');
    assert.equal(entering(three, 3, '192.0.2.1'), 1);
    assert.equal(gates[2].connections.forget(0), true, 'what the first had that is dead');
    assert.equal(entering(two, 9, '192.0.2.1'), 2);
  });

  test('charges what it refuses to nobody', async () => {
    const limits = { connectionsPerAddress: 2, newConnectionsPerAddress: '4/1h', newConnections: '5/1h' };
    const { gate, connections } = await start({ limits });
    for (let n = 0; n < 10; n++) entering(gate, 1, '192.0.2.1');
    gate.leave('192.0.2.1');
    gate.leave('192.0.2.1');
    assert.equal(entering(gate, 9, '192.0.2.1'), 2, 'four in the hour, of which two were used');
    assert.equal(gate.enter('192.0.2.1')?.code, 'TOO_MANY_CLIENT_CONNECTIONS');
    assert.equal(entering(gate, 9, '192.0.2.2'), 1, 'five in all');
    gate.leave('192.0.2.2');
    // Its own is not used up by what was refused for the sake of all.
    assert.equal(gate.enter('192.0.2.2')?.code, 'TOO_MANY_CONNECTIONS');
    assert.equal(connections.totals.refused, 8 + 8 + 8 + 1);
  });

  test('lets trusted proxies and peers at a Unix socket pass, but for what holds for all together', async () => {
    const limits = { connectionsPerAddress: 1, newConnectionsPerAddress: '1/1h', newConnections: '20/1h' };
    const { gate, bans } = await start({ limits, trustedProxies: ['10.0.0.0/24'] });
    bans.add('10.0.0.1', 60_000, 'ban', '');
    assert.equal(entering(gate, 9, '10.0.0.1'), 9);
    assert.equal(entering(gate, 9, ''), 9);
    assert.equal(entering(gate, 9, '10.0.0.2'), 2);
    for (const ip of ['10.0.0.1', '', '10.0.0.2']) gate.leave(ip);
  });

  test('says to who is banned for how long', async () => {
    const { gate, bans, clock } = await start({});
    bans.add('192.0.2.1', 90_000, 'ban', '');
    clock.nowMs += 500;
    assert.deepEqual(gate.enter('192.0.2.1'), { code: 'BANNED', retrySeconds: 90 });
    assert.equal(gate.enter('192.0.2.2'), null);
    assert.equal(bans.totals.connections, 1);
  });

  test('does not forget who opens too many because a million others open one', async () => {
    const { gate, clock } = await start({ limits: { newConnectionsPerAddress: '10/1m' }, capacity: 1024 });
    assert.equal(entering(gate, 20, '192.0.2.1'), 10);
    for (let n = 0; n < 1_000_000; n++) {
      if (gate.enter(address(n)) !== null) assert.fail(`${address(n)} was refused`);
      if (n % 100_000 === 0) clock.nowMs += 100;
    }
    assert.equal(entering(gate, 20, '192.0.2.1'), 0);
  });

  test('forgets those first who have the fewest connections, should there be too many clients', async () => {
    const { gate, connections } = await start({ limits: { connectionsPerAddress: 10 }, capacity: 64 });
    for (let n = 0; n < 5; n++) assert.equal(entering(gate, 10, `192.0.2.${n}`), 10);
    for (let n = 0; n < 5_000; n++) entering(gate, 1, address(n));
    assert.ok(connections.totals.evicted > 4_000);
    for (let n = 0; n < 5; n++) assert.equal(entering(gate, 10, `192.0.2.${n}`), 0);
    // What was forgotten is given back all the same, once, and nobody else has less for that.
    for (let n = 0; n < 5_000; n++) gate.leave(address(n));
    assert.equal(entering(gate, 20, address(1)), 10);
  });

  test('takes whatever an address may look like', async () => {
    const { gate } = await start({ limits: { connectionsPerAddress: 1 } });
    for (const odd of ['unknown', 'fe80::1%eth0', '\0', '::', '999.1.1.1', 'x'.repeat(10_000)]) {
      assert.equal(entering(gate, 3, odd), 1, odd.slice(0, 20));
      gate.leave(odd);
    }
  });
});
