import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { fieldKind, GONE, HOST, ORDINARY } from '../../src/http/field-kind.ts';
import { HeaderFields } from '../../src/http/header-fields.ts';

type Pair = readonly [name: string, value: string];

/** Fields as a parser leaves them: marks in the text of a head. */
function parsed(pairs: readonly Pair[]): HeaderFields {
  const headers = new HeaderFields();
  let text = 'GET / HTTP/1.1\r\n';
  for (const [name, value] of pairs) {
    const nameStart = text.length;
    const valueStart = nameStart + name.length + 2;
    text += `${name}: ${value}\r\n`;
    headers.mark(nameStart, nameStart + name.length, valueStart, valueStart + value.length, fieldKind(name));
  }
  headers.complete(text);
  return headers;
}

/** The same in the most obvious way: a list of pairs. */
class ListOfPairs {
  pairs: Pair[];

  constructor(pairs: readonly Pair[]) {
    this.pairs = [...pairs];
  }

  set(name: string, value: string): void {
    const index = this.pairs.findIndex(([other]) => same(other, name));
    if (index === -1) this.pairs.push([name, value]);
    else {
      this.pairs[index] = [this.pairs[index][0], value];
      this.pairs = this.pairs.filter(([other], i) => i <= index || !same(other, name));
    }
  }

  add(name: string, value: string): void {
    this.pairs.push([name, value]);
  }

  remove(name: string): void {
    this.pairs = this.pairs.filter(([other]) => !same(other, name));
  }
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

const names = fc.constantFrom('Host', 'X-A', 'x-a', 'X-B', 'Date', 'Via', 'x-consumer', 'Accept');
const values = fc.stringMatching(/^[a-z0-9]{0,5}$/);
const pairs = fc.array(fc.tuple(names, values), { maxLength: 8 });
const step = fc.oneof(
  fc.tuple(fc.constant('set' as const), names, values),
  fc.tuple(fc.constant('add' as const), names, values),
  fc.tuple(fc.constant('remove' as const), names, fc.constant('')),
  fc.tuple(fc.constant('make' as const), fc.constantFrom('X-A', 'x-b', 'Accept'), values),
);

suite('HeaderFields', () => {
  test('is a list of pairs, whether they were parsed or added, and whatever is done to them', () => {
    fc.assert(
      fc.property(pairs, fc.array(step, { maxLength: 12 }), fc.boolean(), (first, steps, wasParsed) => {
        const headers = wasParsed ? parsed(first) : HeaderFields.from(first);
        const list = new ListOfPairs(first);
        for (const [kind, name, value] of steps) {
          if (kind === 'remove') {
            headers.remove(name);
            list.remove(name);
          } else if (kind === 'make') {
            headers.addMade(name, `${name}: ${value}\r\n`);
            list.add(name, value);
          } else {
            headers[kind](name, value);
            list[kind](name, value);
          }
          assert.deepEqual([...headers], list.pairs);
          const copy = headers.clone();
          assert.deepEqual([...copy], list.pairs);
          assert.equal(copy.ordinaryLines(), headers.ordinaryLines());
          copy.set('X-A', 'of the copy');
          copy.remove('Accept');
          copy.add('X-B', 'of the copy');
          assert.deepEqual([...headers], list.pairs, 'what is done to the copy is done to it alone');
          for (const asked of ['host', 'X-A', 'date', 'X-Consumer', 'accept']) {
            const expected = list.pairs.filter(([other]) => same(other, asked)).map(([, found]) => found);
            assert.deepEqual(headers.getAll(asked), expected);
            assert.equal(headers.get(asked), expected[0]);
            assert.equal(headers.has(asked), expected.length > 0);
          }
          assert.deepEqual(
            headers.ordinaryLines().split('\r\n').slice(0, -1),
            list.pairs.filter(([other]) => /^(?:x-[ab]|date|accept)$/i.test(other)).map((pair) => pair.join(': ')),
          );
          assert.equal(headers.getKind(HOST), list.pairs.find(([other]) => same(other, 'host'))?.[1]);
        }
      }),
    );
  });

  test('knows nothing any longer of a field that was removed', () => {
    const headers = parsed([
      ['X-Key', 'secret'],
      ['Accept', '*/*'],
      ['x-key', 'other'],
    ]);
    headers.remove('X-KEY');
    assert.deepEqual([...headers], [['Accept', '*/*']]);
    assert.equal(
      headers.linesOf(() => true),
      'Accept: */*\r\n',
    );
    assert.equal(headers.ordinaryLines(), 'Accept: */*\r\n');
    assert.deepEqual(headers.kinds, [GONE, ORDINARY, GONE]);
    headers.removeWhere(() => true);
    assert.deepEqual([...headers], []);
    headers.set('X-Key', 'new');
    assert.deepEqual([...headers], [['X-Key', 'new']]);
  });

  test('takes neither a name nor a value that would be more than one field', () => {
    for (const headers of [new HeaderFields(), parsed([['x-a', '1']])]) {
      assert.throws(() => headers.set('x-a', 'b\r\nc: d'), TypeError);
      assert.throws(() => headers.add('x-a\r\n', 'b'), TypeError);
      assert.throws(() => headers.add('', 'b'), TypeError);
    }
  });
});
