import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Readable, type Transform } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { suite, test } from 'node:test';
import { createBrotliDecompress, createGunzip, createZstdDecompress } from 'node:zlib';
import * as fc from 'fast-check';
import { CODINGS, type Coding, CompressStream } from '../../src/policies/compress-stream.ts';

const decompressor: Readonly<Record<Coding, () => Transform>> = {
  zstd: createZstdDecompress,
  br: createBrotliDecompress,
  gzip: createGunzip,
};

function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

for (const coding of CODINGS) {
  suite(`a stream that compresses with ${coding}`, { timeout: 20_000 }, () => {
    test('gives back what was written, however it was cut into chunks', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 12 }), async (chunks) => {
          const plain = Readable.from(
            chunks.filter(({ length }) => length > 0),
            { objectMode: false },
          )
            .pipe(new CompressStream(coding))
            .pipe(decompressor[coding]());
          assert.deepEqual(await buffer(plain), Buffer.concat(chunks));
        }),
        { numRuns: 40 },
      );
    });

    test('gives back a body that is much larger than its buffers', async () => {
      const chunks = Array.from({ length: 64 }, () => randomBytes(64 * 1024));
      const plain = Readable.from(chunks).pipe(new CompressStream(coding)).pipe(decompressor[coding]());
      assert.ok((await buffer(plain)).equals(Buffer.concat(chunks)));
    });

    test('lets each chunk of a slow source through at once, before there is another', async () => {
      const stream = new CompressStream(coding);
      const plain = stream.pipe(decompressor[coding]());
      let received = '';
      plain.setEncoding('utf8');
      for (const chunk of ['first', 'second', 'third']) {
        const before = received;
        stream.write(chunk);
        while (received !== before + chunk) {
          const [text] = (await once(plain, 'data')) as [string];
          received += text;
        }
      }
      stream.end();
      await once(plain, 'end');
      assert.equal(received, 'firstsecondthird');
    });

    test('does not flush between the chunks of a fast source', async () => {
      const line = 'the quick brown fox jumps over the lazy dog\n';
      const one = await buffer(Readable.from([Buffer.from(line.repeat(2000))]).pipe(new CompressStream(coding)));
      const many = await buffer(
        Readable.from(Array.from({ length: 2000 }, () => Buffer.from(line))).pipe(new CompressStream(coding)),
      );
      // A flush costs at least three bytes, and ends the block.
      assert.ok(many.length < one.length + 1000, `${many.length} against ${one.length} bytes`);
    });

    test('takes no more than its buffers hold while nobody reads', async () => {
      let taken = 0;
      // Random bytes: what can be compressed to nothing fills no buffer.
      function* source() {
        for (; taken < 400; taken++) yield randomBytes(16 * 1024);
      }
      const stream = Readable.from(source()).pipe(new CompressStream(coding));
      await once(stream, 'readable');
      let idleTurns = 0;
      for (let before = taken; idleTurns < 5000; before = taken) {
        await turnOfTheLoop();
        idleTurns = taken === before ? idleTurns + 1 : 0;
      }
      assert.ok(taken < 128, `${taken} chunks were taken`);
      stream.destroy();
    });

    test('can be destroyed in the middle of its work, without an error', async () => {
      const stream = new CompressStream(coding);
      stream.write(randomBytes(256 * 1024));
      stream.destroy();
      await once(stream, 'close');
      await turnOfTheLoop();
      assert.equal(stream.destroyed, true);
      assert.equal(stream.errored, null);
    });

    test('makes a complete body of nothing', async () => {
      const stream = new CompressStream(coding);
      stream.end();
      assert.equal((await buffer(stream.pipe(decompressor[coding]()))).length, 0);
    });
  });
}
