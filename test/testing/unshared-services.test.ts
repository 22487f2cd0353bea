import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testGateway } from '../../src/testing/index.ts';

describe('the stores of a gateway for tests', () => {
  it('are in its memory: nobody is asked, and nothing is counted for others', async (t) => {
    const gateway = await testGateway({
      stores: { shared: { type: 'redis', url: 'redis://127.0.0.1:1' } },
      routes: {
        exact: {
          match: { path: '/exact' },
          policies: [{ rateLimit: { rate: '2/1m', store: 'shared', onStoreFailure: 'closed' } }],
          respond: {},
        },
        leased: {
          match: { path: '/leased' },
          policies: [{ quota: { limit: 2, per: 'day', store: 'shared', mode: 'lease', onStoreFailure: 'closed' } }],
          respond: {},
        },
      },
    });
    t.after(() => gateway.close());
    for (const [path, wait] of [
      ['/exact', '60s'],
      ['/leased', '1d'],
    ]) {
      const statuses = async (): Promise<number[]> => {
        const seen = [];
        for (let i = 0; i < 3; i++) seen.push((await gateway.request('GET', `http://a.example${path}`)).status);
        return seen;
      };
      assert.deepEqual(await statuses(), [200, 200, 429]);
      await gateway.clock.advance(wait);
      assert.deepEqual(await statuses(), [200, 200, 429]);
    }
    assert.deepEqual(gateway.log, []);
  });
});
