/** CVE-2024-21536: whatever comes in, nothing ends the process. 100,000 inputs on demand, fewer in continuous integration. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { it } from 'node:test';
import { proxyTo } from '../support/gateway.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { mutate } from '../support/mutations.ts';
import { type Address, request } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const inputs = Number(process.env['GATEWRIGHT_FLOOD_INPUTS'] ?? 10_000);
const seed = Number(process.env['GATEWRIGHT_FUZZ_SEED'] ?? 1);
const clients = 64;

const requests = readFileSync(new URL('../corpora/http1-requests.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => Buffer.from((JSON.parse(line) as { raw: string }).raw, 'base64').toString('latin1'))
  .filter((raw) => raw.length < 2000);
const responses = (
  JSON.parse(readFileSync(new URL('../corpora/http1-responses.json', import.meta.url), 'utf8')) as {
    cases: { raw: string }[];
  }
).cases.map(({ raw }) => Buffer.from(raw, 'base64').toString('latin1').slice(0, 2000));

/** Sends the bytes and resolves when the connection is gone. */
function throwAt({ host, port }: { host: string; port: number }, bytes: string, reset: boolean): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    socket.resume();
    if (reset) socket.write(bytes, 'latin1', () => socket.resetAndDestroy());
    else socket.end(bytes, 'latin1');
  });
}

it(`nothing of ${inputs} malformed requests and responses ends the gateway (seed ${seed})`, async (t) => {
  const random = new SeededRandom(seed);
  const upstream = await RawUpstream.start(t, {
    onConnection: ({ socket }) =>
      socket.once('data', () => {
        if (random.oneIn(3)) socket.write(ok());
        else if (random.oneIn(8)) socket.resetAndDestroy();
        else socket.end(mutate(random.pick(responses), responses, random), 'latin1');
      }),
  });
  const timeouts = { head: '200ms', bodyIdle: '200ms', keepAlive: '200ms' };
  const gateway = await GatewayProcess.start(
    t,
    proxyTo(upstream.url, { listener: { timeouts }, route: { timeouts: { firstByte: '200ms', idle: '200ms' } } }),
  );
  const address = gateway.address as Address & { host: string; port: number };

  let left = inputs;
  const client = async (): Promise<void> => {
    while (left-- > 0) await throwAt(address, mutate(random.pick(requests), requests, random), random.oneIn(20));
  };
  await Promise.all(Array.from({ length: clients }, client));

  assert.equal(gateway.complaints, '');
  assert.ok(gateway.isRunning);
  const endings = await gateway.endings();
  for (const code of ['INTERNAL', 'POLICY_FAILED']) assert.equal(endings[code], undefined, JSON.stringify(endings));
  for (const code of ['BAD_REQUEST', 'UPSTREAM_BAD_RESPONSE', '200']) {
    assert.ok(endings[code] > inputs / 1000, JSON.stringify(endings));
  }
  // The script above would answer as it likes; a request that never leaves the gateway tells that it serves.
  assert.equal((await request(t, address, 'GET /%00 HTTP/1.1\r\nhost: localhost\r\n\r\n')).status, 400);
});
