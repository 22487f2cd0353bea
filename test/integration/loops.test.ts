/** Gateways whose upstreams lead back to them. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { fieldValue, fieldValues } from '../support/message-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';

const request = (fields = ''): string => `GET /round HTTP/1.1\r\nhost: api.example.com\r\n${fields}\r\n`;

describe('a request that goes in circles', () => {
  it('is answered 508 after a few rounds, on connections that stay usable', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'gatewright-loop-'));
    t.after(() => rm(folder, { recursive: true }));
    const unix = join(folder, 'other.sock');
    const one = await TestGateway.start(t, proxyTo(`unix:${unix}`));
    const other = await TestGateway.start(t, { ...proxyTo(one.url()), listeners: { web: { unix } } });
    const client = await RawClient.connect(t, one.address());
    for (let round = 1; round <= 2; round++) {
      const response = await client.write(request()).response();
      assert.equal(response.status, 508);
      assert.equal((JSON.parse(response.body) as { code: string }).code, 'LOOP_DETECTED');
      assert.match(fieldValues(response.fields, 'proxy-status').join(), /error=proxy_loop_detected/);
      // It passed both in turn, nine times in all, and was refused at the tenth.
      assert.equal(one.observations.length + other.observations.length, 10 * round);
    }
    const refused = [...one.observations, ...other.observations].filter(({ code }) => code === 'LOOP_DETECTED');
    assert.deepEqual(
      refused.map(({ status, path, attempts }) => ({ status, path, attempts })),
      [
        { status: 508, path: '/round', attempts: 0 },
        { status: 508, path: '/round', attempts: 0 },
      ],
    );
  });

  it('is told from one that has passed other proxies, or a few gateways', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const client = await RawClient.connect(t, gateway.address());
    const passages = (count: number): string => Array.from({ length: count }, () => '1.1 gatewright').join(', ');
    for (const via of [
      passages(8),
      '1.1 fred, '.repeat(50) + '1.1 fred',
      '1.1 gatewright.example, '.repeat(9) + '2 x',
    ]) {
      assert.equal((await client.write(request(`via: ${via}\r\n`)).response()).status, 200);
      const { fields } = upstream.requests[upstream.requests.length - 1];
      assert.equal(fieldValue(fields, 'via'), `${via}, 1.1 gatewright`);
    }
    // Each hop may have written a line of its own.
    assert.equal((await client.write(request('via: 1.1 gatewright\r\n'.repeat(9))).response()).status, 508);
    assert.equal(upstream.requests.length, 3);
  });
});
