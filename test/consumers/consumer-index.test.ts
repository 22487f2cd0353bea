import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { type ConsumerChange, ConsumerIndex } from '../../src/consumers/consumer-index.ts';
import type { ConsumerRecord } from '../../src/consumers/consumer-record.ts';
import type { Claims } from '../../src/contract.ts';
import { Pace } from '../../src/util/pace.ts';

function record(name: string, more: Partial<ConsumerRecord> = {}): ConsumerRecord {
  return { name, groups: [], apiKeys: [], basic: null, hmac: [], signing: [], jwt: [], certificates: [], ...more };
}

const signingKey = (keyId: string) => ({ keyId, algorithm: 'ed25519', publicKey: 'PEM', label: '', expiresAt: null });
const never = { label: '', expiresAt: null };
const noCertificate = { subject: '' };

/** From few values, so that what one consumer had another often gets. No two have the same at a time. */
const populations = fc
  .array(
    fc.record({
      name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      groups: fc.subarray(['gold', 'eu']),
      keys: fc.subarray(['k1', 'k2', 'k3', 'k4']),
      user: fc.option(fc.constantFrom('u1', 'u2')),
      ids: fc.subarray(['i1', 'i2', 'i3']),
      publicIds: fc.subarray(['i4', 'i5']),
      claims: fc.subarray([
        { sub: 's1' },
        { sub: 's2' },
        { iss: 'x', level: 1 },
        { iss: 'x', sub: 's1' },
        { iss: 'x' },
      ]),
      certificates: fc.subarray([{ san: 'DNS:a' }, { san: 'DNS:b' }, { fingerprint: 'f1' }]),
    }),
    { maxLength: 6 },
  )
  .map((drawn) => {
    const taken = new Set<string>();
    const free = <T>(values: readonly T[]): T[] =>
      values.filter((value) => {
        const text = JSON.stringify(value);
        return !taken.has(text) && taken.add(text);
      });
    return drawn
      .filter(({ name }) => free([name]).length > 0)
      .map(({ name, groups, keys, user, ids, publicIds, claims, certificates }) =>
        record(name, {
          groups,
          apiKeys: free(keys).map((digest) => ({ digest, label: '', expiresAt: null })),
          basic: user !== null && free([user]).length > 0 ? { user, password: 'hash' } : null,
          hmac: free(ids).map((keyId) => ({ keyId, secret: 'x', label: '', expiresAt: null })),
          signing: free(publicIds).map((keyId) => signingKey(keyId)),
          jwt: free(claims),
          certificates: free(certificates),
        }),
      );
  });

/** All that it answers. */
function answers(index: ConsumerIndex) {
  const claims: Claims[] = [
    { sub: 's1' },
    { sub: 's2' },
    { iss: 'x' },
    { iss: 'x', sub: 's1' },
    { iss: 'x', level: 1, sub: 's2' },
  ];
  const shown = (key: { consumer: object; label: string; expiresAt: number } | undefined): unknown =>
    key && { ...key.consumer, ...Object.fromEntries(Object.entries(key).filter(([name]) => name !== 'uses')) };
  return {
    size: index.size,
    names: ['a', 'b', 'c', 'd', 'e'].map((name) => index.byName(name)),
    keys: ['k1', 'k2', 'k3', 'k4'].map((digest) => shown(index.byApiKey(digest))),
    users: ['u1', 'u2'].map((user) => shown(index.byUser(user))),
    ids: ['i1', 'i2', 'i3', 'i4', 'i5'].map((id) => shown(index.bySigningKey(id))),
    claims: claims.map((some) => index.byClaims(some)),
    certificates: ['DNS:a', 'DNS:b', 'f1'].map((name) =>
      index.byCertificate({ ...noCertificate, fingerprint: name, altNames: [name] }),
    ),
  };
}

function difference(before: readonly ConsumerRecord[], after: readonly ConsumerRecord[]): ConsumerChange {
  const known = new Map(before.map((one) => [one.name, JSON.stringify(one)]));
  const names = new Set(after.map(({ name }) => name));
  return {
    isComplete: false,
    removed: [...known.keys()].filter((name) => !names.has(name)),
    records: after.filter((one) => known.get(one.name) !== JSON.stringify(one)),
  };
}

const pace = (): Pace => new Pace(() => 0);

suite('the index of consumers', () => {
  test('is after any changes what it would be if it were made anew', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(populations, fc.boolean()), { maxLength: 8 }), async (states) => {
        const index = new ConsumerIndex();
        let before: readonly ConsumerRecord[] = [];
        for (const [state, isComplete] of states) {
          const { version } = index;
          const change = isComplete ? { isComplete, removed: [], records: state } : difference(before, state);
          const kept = before.filter((one) => state.some((other) => JSON.stringify(one) === JSON.stringify(other)));
          const known = kept.map(({ name }) => index.byName(name));
          const prepared = await index.prepare(change, pace());
          assert.equal(index.version, version, 'nothing changes before it is committed');
          prepared.commit();
          const fresh = new ConsumerIndex();
          fresh.replace(state);
          assert.deepEqual(answers(index), answers(fresh));
          const isSame = kept.length === before.length && kept.length === state.length;
          assert.equal(index.version !== version, !isSame, 'the version tells of every change');
          for (const [at, { name }] of kept.entries()) assert.equal(index.byName(name), known[at], 'unchanged');
          before = state;
        }
      }),
      { numRuns: 300 },
    );
  });

  test('makes very large changes beside what serves, and keeps who has not changed', async () => {
    const key = (n: number) => ({ digest: `key-${n}`, ...never });
    const records = Array.from({ length: 3_000 }, (_, n) => record(`c${n}`, { apiKeys: [key(n)] }));
    const index = new ConsumerIndex();
    index.replace(records);
    const first = index.byName('c0');
    const changed = records.map((one, n) => (n < 2_000 ? one : record(one.name, { apiKeys: [key(n + 10_000)] })));
    const prepared = await index.prepare(difference(records, changed), pace());
    assert.equal(index.byApiKey('key-2000')?.consumer.name, 'c2000');
    prepared.commit();
    assert.equal(index.byApiKey('key-2000'), undefined);
    assert.equal(index.byApiKey('key-12000')?.consumer.name, 'c2000');
    assert.deepEqual([index.byName('c0'), index.size], [first, 3_000]);
  });

  test('rests while a change is made ready, however large it is', async () => {
    let now = 0;
    let rests = 0;
    const counting = new Pace(() => (now += 0.01));
    const rest = counting.rest.bind(counting);
    counting.rest = () => (rests++, rest());
    const records = Array.from({ length: 20_000 }, (_, n) => record(`c${n}`));
    (await new ConsumerIndex().prepare({ isComplete: true, removed: [], records }, counting)).commit();
    // Twice each: read, and put into the tables. A step is 4 ms.
    assert.ok(rests >= 90, `${rests}`);
  });

  test('tells what was used and when, each once, and of very many a part', () => {
    let now = 1_000;
    const index = new ConsumerIndex(() => now);
    const apiKeys = [{ digest: '0123456789abcdef', ...never }];
    const hmac = [{ keyId: 'h', secret: 'x', ...never }];
    index.replace([record('a', { apiKeys, hmac, basic: { user: 'a', password: 'x' } }), record('b')]);
    assert.deepEqual(index.used.take(10), []);
    index.byApiKey('0123456789abcdef')!.used();
    now = 2_000;
    index.byApiKey('0123456789abcdef')!.used();
    index.byUser('a')!.used();
    index.bySigningKey('h')!.used();
    assert.deepEqual(index.used.take(2), [
      { consumer: 'a', id: '0123456789ab', usedAt: 2_000 },
      { consumer: 'a', id: 'basic', usedAt: 2_000 },
    ]);
    assert.deepEqual(index.used.take(2), [{ consumer: 'a', id: 'keyid:h', usedAt: 2_000 }]);
    assert.deepEqual(index.used.take(2), []);
    now = 3_000;
    index.byUser('a')!.used();
    assert.deepEqual(index.used.take(2), [{ consumer: 'a', id: 'basic', usedAt: 3_000 }]);
  });
});
