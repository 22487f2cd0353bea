import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { ChunkedDecoder } from '../../src/wire/chunked.ts';
import type { HeadLimits } from '../../src/wire/message-head.ts';

const limits: HeadLimits = { headBytes: 4096, targetBytes: 1024, headers: 20, keepUnderscores: false };

interface Decoded {
  readonly body: string;
  /** Bytes behind the body; -1 when it is malformed, undefined when it is not complete. */
  readonly rest: number | undefined;
  readonly trailers: readonly (readonly [string, string])[];
  readonly reason: string;
}

/** Decodes pieces, each in memory of its own that is overwritten afterwards, as a socket would. */
function decode(pieces: readonly string[]): Decoded {
  const decoder = new ChunkedDecoder(limits);
  const memory = Buffer.alloc(65_536 * 4);
  let body = '';
  const sink = { data: (bytes: Uint8Array) => void (body += Buffer.from(bytes).toString('latin1')) };
  let rest: number | undefined;
  for (const piece of pieces) {
    const length = memory.write(piece, 7, 'latin1');
    const at = decoder.decode(memory, 7, 7 + length, sink);
    memory.fill(0xee, 7, 7 + length);
    if (at === -1) rest = -1;
    else if (decoder.done) rest = 7 + length - at;
    if (rest !== undefined) break;
    assert.equal(at, 7 + length, 'everything is consumed before the end');
  }
  return { body, rest, trailers: decoder.trailers === null ? [] : [...decoder.trailers], reason: decoder.reason };
}

describe('a chunked body', () => {
  it('is decoded up to its end and no further', () => {
    assert.deepEqual(decode(['5\r\nhello\r\n0\r\n\r\nGET']), { body: 'hello', rest: 3, trailers: [], reason: '' });
    assert.deepEqual(decode(['0\r\n\r\n']), { body: '', rest: 0, trailers: [], reason: '' });
  });

  it('has sizes in hexadecimal of either case, with leading zeros', () => {
    assert.equal(
      decode([`A\r\n${'x'.repeat(10)}\r\n0b\r\n${'y'.repeat(11)}\r\n000\r\n\r\n`]).body,
      'x'.repeat(10) + 'y'.repeat(11),
    );
  });

  it('has extensions, which are checked and dropped', () => {
    for (const extension of [
      ';a',
      ';a=b',
      '; a = b ;c',
      ';a="b;\\"\r c"'.replace('\r', ''),
      ';a="\t\x80\xff"',
      ' ;a',
      ';a=""',
    ]) {
      assert.deepEqual(decode([`1${extension}\r\nx\r\n0${extension}\r\n\r\n`]).body, 'x', extension);
    }
  });

  it('has trailers', () => {
    assert.deepEqual(decode(['0\r\nX: y\r\nZ:\r\n\r\nrest']), {
      body: '',
      rest: 4,
      trailers: [
        ['X', 'y'],
        ['Z', ''],
      ],
      reason: '',
    });
  });

  const malformed: readonly string[] = [
    '\r\n',
    'x\r\n',
    ' 1\r\nx\r\n',
    '-1\r\nx\r\n',
    '+1\r\nx\r\n',
    '0x1\r\nx\r\n',
    '1 \r\nx\r\n',
    '1\t\r\nx\r\n',
    '1 1\r\nx\r\n',
    '1,1\r\nx\r\n',
    '1_0\r\nx\r\n',
    '1\nx\r\n',
    '1\r\rx\r\n',
    '1\rx',
    '1\r\nx\n',
    '1\r\nxy',
    '1\r\nx\r\r',
    '1\r\n\r\n\r\n0',
    '\n0\r\n\r\n',
    ';a\r\n',
    '1;\r\nx\r\n',
    '1;=b\r\nx\r\n',
    '1;a=\r\nx\r\n',
    '1;a b\r\nx\r\n',
    '1;a="b\r\nx\r\n',
    '1;a="b"c\r\nx\r\n',
    '1;a\nb\r\nx\r\n',
    '1;a\rb\r\nx\r\n',
    '1;a\0\r\nx\r\n',
    '1;a="\n"\r\nx\r\n',
    '1;a="\\\n"\r\nx\r\n',
    '1;;a\r\nx\r\n',
    '0\r\nX : y\r\n\r\n',
    '0\r\n X: y\r\n\r\n',
    '0\r\nX: y\n\r\n',
    '0\r\n\n',
    '0\r\nX: \0\r\n\r\n',
    '0\n\r\n',
    '0\r\nContent-Length: 1\r\n\r\n',
    '0\r\nTransfer-Encoding: chunked\r\n\r\n',
    '0\r\nX: y\r\nHost: a\r\n\r\n',
    '20000000000000\r\n',
    'fffffffffffffffff\r\n',
    '8000000000000000\r\n',
    '\u00b2\r\nxx\r\n',
    '\x80\r\n',
  ];
  for (const text of malformed) {
    it(`is refused: ${JSON.stringify(text)}, wherever it is split`, () => {
      const whole = decode([text]);
      assert.equal(whole.rest, -1);
      assert.notEqual(whole.reason, '');
      assert.equal(decode(Array.from(text)).rest, -1, 'byte by byte');
    });
  }

  it('may be as large as an exact number can say', () => {
    const decoder = new ChunkedDecoder(limits);
    const bytes = Buffer.from('fffffffffffff\r\nx');
    assert.equal(decoder.decode(bytes, 0, bytes.length, { data() {} }), bytes.length);
  });

  it('is bounded in leading zeros, extensions and trailers', () => {
    assert.equal(decode([`${'0'.repeat(19)}1\r\nx\r\n0\r\n\r\n`]).body, 'x');
    assert.equal(decode([`${'0'.repeat(20)}1\r\n`]).rest, -1);
    assert.equal(decode([`1;${'a'.repeat(4095)}\r\nx\r\n0\r\n\r\n`]).body, 'x');
    assert.equal(decode([`1;${'a'.repeat(4096)}`]).rest, -1);
    assert.equal(
      decode(Array.from({ length: 17 }, () => `1;${'a'.repeat(4000)}\r\nx\r\n`)).rest,
      -1,
      'all of them together',
    );
    assert.equal(decode(['0\r\n', 'X: y\r\n'.repeat(21)]).rest, -1);
    assert.equal(decode(['0\r\n', `X: ${'y'.repeat(5000)}`]).rest, -1);
  });

  const chunk = fc.tuple(
    fc.string({ unit: fc.constantFrom('a', '\r', '\n', '0', '\xff', ';'), minLength: 1, maxLength: 40 }),
    fc.constantFrom('', ';a', ';a="b"'),
  );
  const message = fc.record({
    chunks: fc.array(chunk, { maxLength: 6 }),
    trailers: fc.array(fc.constantFrom('X: y', 'Z: 1', 'W:'), { maxLength: 3 }),
    rest: fc.constantFrom('', 'GET / HTTP/1.1\r\n', '\r\n'),
    cuts: fc.array(fc.nat(400), { maxLength: 8 }),
  });

  it('is the same wherever it is split', () => {
    fc.assert(
      fc.property(message, ({ chunks, trailers, rest, cuts }) => {
        const lines = chunks
          .map(([data, extension]) => `${data.length.toString(16)}${extension}\r\n${data}\r\n`)
          .join('');
        const text = `${lines}0\r\n${trailers.map((line) => `${line}\r\n`).join('')}\r\n`;
        const body = chunks.map(([data]) => data).join('');
        const whole = decode([text + rest]);
        assert.deepEqual([whole.body, whole.rest, whole.trailers.length], [body, rest.length, trailers.length]);
        const marks = [...cuts.map((cut) => cut % text.length), 0, text.length].toSorted((a, b) => a - b);
        const pieces = marks
          .slice(1)
          .map((mark, i) => text.slice(marks[i], mark))
          .filter((piece) => piece !== '');
        assert.deepEqual(decode(pieces), { ...whole, rest: 0 });
      }),
    );
  });

  it('never reads past its memory, nor invents bytes, whatever comes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: fc.constantFrom(...'0159aF;= "\\\r\n\tx:'), maxLength: 30 }), { maxLength: 8 }),
        (pieces) => {
          const text = pieces.join('');
          const split = decode(pieces.filter((piece) => piece !== ''));
          const whole = text === '' ? split : decode([text]);
          assert.ok(split.body.length <= text.length && !split.body.includes('\xee'));
          // The rest is counted from the piece that the body ended in.
          assert.deepEqual(
            [split.body, split.rest === undefined, split.rest === -1],
            [whole.body, whole.rest === undefined, whole.rest === -1],
          );
        },
      ),
    );
  });
});
