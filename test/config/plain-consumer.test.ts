import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { readPlainConsumer } from '../../src/config/plain-consumer.ts';
import { consumerSchema } from '../../src/config/schema/consumer.ts';

const hash = `sha256:${'0a'.repeat(32)}`;
const texts = fc.oneof(
  fc.constantFrom('', 'gold', '-x', 'a b', 'é', hash, hash.toUpperCase(), `${hash}0`, 'sha256:<hex>', '2027-12-31'),
  fc.constantFrom('2027-02-31', '2027-2-3', '0000-00-00', 'laptop\n', '\u007f', 'x'.repeat(129), '9999-12-31'),
  fc.string({ maxLength: 4 }),
);
const anything = fc.oneof(texts, fc.integer(), fc.constant(null), fc.constant({}), fc.array(texts, { maxLength: 2 }));
const mostly = (value: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 8, arbitrary: value }, { weight: 1, arbitrary: anything });
const keys = fc.record(
  {
    hash: mostly(fc.constant(hash)),
    label: mostly(texts),
    expires: mostly(fc.constantFrom('2027-12-31', '2027-02-31')),
    extra: anything,
  },
  { requiredKeys: [], noNullPrototype: true },
);
const consumers = fc.record(
  {
    groups: mostly(fc.array(texts, { maxLength: 3 })),
    apiKeys: mostly(fc.array(keys, { maxLength: 2 })),
    hmac: anything,
    jwt: anything,
  },
  { requiredKeys: [], noNullPrototype: true },
);

suite('a plain consumer', () => {
  test('is what the schema would have read; whatever else is left to it', () => {
    let plain = 0;
    fc.assert(
      fc.property(fc.oneof(consumers, anything), (written) => {
        const read = readPlainConsumer(written);
        if (read === null) return;
        plain++;
        assert.deepEqual(read, consumerSchema.parse(written));
      }),
      { numRuns: 20_000 },
    );
    assert.ok(plain > 50, `${plain}`);
  });

  test('is what most consumers are', () => {
    for (const written of [
      {},
      { groups: ['gold'], apiKeys: [{ hash, label: 'laptop', expires: '2027-12-31' }, { hash }] },
    ]) {
      assert.deepEqual(readPlainConsumer(written), consumerSchema.parse(written));
    }
  });
});
