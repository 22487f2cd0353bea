/** A hundred thousand consumers, from their file to every thread. The bounds are wide, for slow machines. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ConsumerIndex } from '../../src/consumers/consumer-index.ts';
import type { ConsumerRecord } from '../../src/consumers/consumer-record.ts';
import { loadDocument } from '../../src/workers/load-document.ts';
import { ThreadedGateway } from '../../src/workers/threaded-gateway.ts';
import { folderWith } from '../support/command.ts';
import { ask } from '../support/threaded.ts';

const count = 100_000;
const maxMs = 30_000;
const digestOf = (n: number): string => createHash('sha256').update(`key-${n}`).digest('hex');
const digests = Array.from({ length: count }, (_, n) => digestOf(n));

const entry = (n: number): string =>
  `consumer-${n}:\n  groups: [gold]\n  apiKeys: [{hash: "sha256:${digests[n]}", label: laptop, expires: 2099-12-31}]\n`;

function record(n: number): ConsumerRecord {
  const apiKeys = [{ digest: digests[n], label: '', expiresAt: null }];
  return { name: `c${n}`, groups: [], apiKeys, basic: null, hmac: [], signing: [], jwt: [], certificates: [] };
}

const config = JSON.stringify({
  telemetry: { accessLog: false },
  threads: 2,
  listeners: { web: { host: '127.0.0.1', port: 0 } },
  consumerSources: { files: './consumers.yaml' },
  routes: { all: { policies: [{ apiKey: {} }], respond: { body: 'hello' } } },
});

const quiet = { info() {}, warn() {}, error() {} };

describe('a hundred thousand consumers', () => {
  it('are served in a moment, and one of them changes without the others', async (t) => {
    const folder = await folderWith(t, { 'gateway.json': config });
    await writeFile(join(folder, 'consumers.yaml'), digests.map((_, n) => entry(n)).join(''));
    const begun = performance.now();
    const loaded = await loadDocument({ file: join(folder, 'gateway.json'), env: {} });
    assert.deepEqual([loaded.problems, loaded.config?.consumers.length], [[], count]);
    const { secrets, codeDigest } = loaded;
    const gateway = new ThreadedGateway({ revision: 1, config: loaded.config!, secrets, codeDigest }, { log: quiet });
    t.after(() => gateway.stop(0));
    const [{ url }] = await gateway.start();
    const { hostname: host, port } = new URL(url);
    const statusOf = async (n: number | string): Promise<number> =>
      (await ask({ host, port: Number(port) }, `x-api-key: key-${n}\r\n`)).status;
    assert.deepEqual([await statusOf(0), await statusOf(count - 1), await statusOf('x')], [200, 200, 401]);
    const servedMs = performance.now() - begun;
    assert.ok(servedMs < maxMs, `it took ${servedMs} ms`);
    const changing = performance.now();
    await gateway.changeConsumers({ removed: ['consumer-1'], records: [] });
    const changedMs = performance.now() - changing;
    assert.deepEqual([await statusOf(1), await statusOf(2)], [401, 200]);
    assert.ok(changedMs < servedMs / 5, `one change took ${changedMs} ms, all of it ${servedMs} ms`);
    t.diagnostic(`served in ${Math.round(servedMs)} ms, one change in ${Math.round(changedMs)} ms`);
  });

  it('are found as fast as a few', () => {
    const lookUpMs = (size: number): number => {
      const index = new ConsumerIndex();
      index.replace(Array.from({ length: size }, (_, n) => record(n)));
      const wanted = digests.slice(0, 100);
      let best = Infinity;
      for (let round = 0; round < 12; round++) {
        const begun = performance.now();
        for (let n = 0; n < 2_000; n++) for (const digest of wanted) index.byApiKey(digest)!.used();
        best = Math.min(best, performance.now() - begun);
      }
      return best;
    };
    const few = lookUpMs(100);
    const many = lookUpMs(count);
    // A map that fits into no cache is a little slower; what grows with the number would be a thousand times.
    assert.ok(many < 5 * few, `${few} ms with a hundred, ${many} ms with ${count}`);
  });
});
