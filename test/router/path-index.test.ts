/**
 * The flat memory that routes are found in, with texts that were chosen to be mistaken for one another. Whatever an index
 * takes for equal must be equal, or an access rule is lost (CVE-2026-27587, CVE-2026-27588).
 */
import { atOnce } from '../../src/util/pace.ts';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { PathIndexWriter, type TextHash, mixedHash } from '../../src/proxy/router/path-index.ts';
import { Router, type RouteRule } from '../../src/proxy/router/router.ts';
import { linearMatch } from './linear-reference.ts';
import { outcome, request, rule } from './requests.ts';

/** Hashes under which texts collide: all, those of one length, those of one first letter, and as good as none. */
const hashes: readonly (readonly [name: string, hash: TextHash])[] = [
  ['one value for all', () => 7],
  ['the largest value for all', () => 0x7f_ff_ff_ff],
  ['the length', (_seed, _parent, _text, start, end) => end - start],
  ['the first letter', (_seed, _parent, text, start, end) => (start < end ? text.charCodeAt(start) : 0)],
  ['the usual one', mixedHash],
];

const long = 'x'.repeat(300);
/** Prefixes of each other, around the sizes of words and slots, escapes that look alike, and what separates keys elsewhere. */
const texts = [
  'a',
  'ab',
  'abc',
  'abcd',
  'abcde',
  'abcdefgh',
  'b',
  'A',
  'a%2Fb',
  'a%2F',
  'caf%C3%A9',
  'caf%C3%A8',
  '~',
  'constructor',
  '__proto__',
  'toString',
  'a:b',
  'a,b',
  '0',
  '00',
  '-1',
  ...[19, 20, 21, 24, 25, 40, 41, 300].map((length) => long.slice(0, length)),
  ...[20, 24, 40, 300].map((length) => `${long.slice(1, length)}y`),
];

const text = fc.constantFrom(...texts);
const pattern = fc
  .tuple(
    fc.array(fc.oneof({ weight: 4, arbitrary: text }, fc.constant('{}')), { minLength: 1, maxLength: 3 }),
    fc.constantFrom('', '', '/*', '/'),
  )
  .map(([segments, end]) => `${segments.map((each, i) => (each === '{}' ? `/{p${i}}` : `/${each}`)).join('')}${end}`);
const host = fc.constantFrom('a', 'a.b', 'aa.b', '*.b', '*.a.b', `${'h'.repeat(60)}.b`, `${'h'.repeat(59)}.b`);

const rules: fc.Arbitrary<RouteRule<string>[]> = fc
  .array(
    fc.record({ paths: fc.array(pattern, { minLength: 1, maxLength: 3 }), hosts: fc.array(host, { maxLength: 2 }) }),
    {
      minLength: 1,
      maxLength: 40,
    },
  )
  .map((all) => all.map((match, i) => rule(`r${i}`, match)));

const urls = fc
  .tuple(
    fc.oneof(
      host.map((each) => each.replace('*', 'w')),
      fc.constant(''),
    ),
    fc.array(text, { minLength: 1, maxLength: 4 }),
    fc.constantFrom('', '/'),
  )
  .map(([named, segments, end]) => `${named}/${segments.join('/')}${end}`);

describe('a router with adversarial texts', () => {
  for (const [name, hash] of hashes) {
    it(`agrees with the linear reference when the hash is ${name}`, () => {
      fc.assert(
        fc.property(rules, fc.array(urls, { minLength: 10, maxLength: 20 }), (all, asked) => {
          const router = Router.compile(all, hash);
          for (const url of asked) {
            const expected = linearMatch(all, request(url));
            const actual = router.match(request(url));
            assert.equal(outcome(actual), outcome(expected), url);
            if (expected?.kind === 'route' && actual?.kind === 'route') {
              assert.deepEqual(actual.params, expected.params);
            }
          }
        }),
        { numRuns: 150 },
      );
    });
  }

  it('finds each of thousands of siblings and nothing beside them, also where all collide', () => {
    for (const [count, hash] of [
      [20_000, mixedHash],
      [300, () => 1],
    ] as const) {
      const router = Router.compile(
        Array.from({ length: count }, (_, i) => rule(`r${i}`, { paths: [`/n${i}/*`, `/n${i}.x`] })),
        hash,
      );
      for (let i = 0; i < count; i++) {
        assert.equal(outcome(router.match(request(`h/n${i}/x`))), `r${i}`);
        assert.equal(outcome(router.match(request(`h/n${i}.x`))), `r${i}`);
      }
      for (const path of ['/n', `/n${count}`, '/n1x', '/n01', '/N1', '/n1.X']) {
        assert.equal(outcome(router.match(request(`h${path}`))), '404', path);
      }
    }
  });
});

function addEntry(writer: PathIndexWriter, parent: number, key: string, content: readonly number[]): void {
  for (const word of content) writer.write(word);
  writer.endEntry(parent, key);
}

describe('PathIndex', () => {
  const random = fc.nat({ max: 0x7f_ff_ff_ff });
  const entries = fc.uniqueArray(
    fc.tuple(
      fc.integer({ min: 1, max: 3 }),
      fc.oneof(text, fc.string({ unit: 'binary-ascii', maxLength: 50 })),
      fc.array(fc.integer(), { minLength: 1, maxLength: 20 }),
    ),
    {
      maxLength: 60,
      selector: ([parent, key]) => `${parent} ${key}`,
    },
  );

  for (const [name, hash] of hashes) {
    it(`gives the content of what was added and of nothing else when the hash is ${name}`, () => {
      fc.assert(
        fc.property(entries, random, fc.array(fc.tuple(fc.integer({ min: 1, max: 3 }), text)), (all, seed, others) => {
          const writer = new PathIndexWriter();
          for (const entry of all) addEntry(writer, ...entry);
          const index = atOnce(writer.finish(hash, () => seed));
          const known = new Map(all.map(([parent, key, content]) => [`${parent} ${key}`, content]));
          for (const [parent, key] of [...all, ...others]) {
            // The text is a part of a longer one, as a segment is one of a path.
            const place = index.find(parent, `/${key}/${key}`, 1, 1 + key.length);
            const content = known.get(`${parent} ${key}`);
            assert.equal(place !== 0, content !== undefined);
            assert.deepEqual(content && [...index.words.subarray(place, place + content.length)], content);
          }
        }),
        { numRuns: 300 },
      );
    });
  }

  it('tries other seeds where one makes long chains, and takes what it gets in the end', () => {
    const filled = (isBad: (seed: number) => boolean): number[] => {
      const writer = new PathIndexWriter();
      for (let i = 0; i < 200; i++) addEntry(writer, 1, `n${i}`, [i]);
      const seeds: number[] = [];
      const hash: TextHash = (seed, ...others) => (isBad(seed) ? 5 : mixedHash(seed, ...others));
      const index = atOnce(writer.finish(hash, () => seeds.push(seeds.length)));
      for (let i = 0; i < 200; i++) assert.equal(index.words[index.find(1, `n${i}`, 0, `n${i}`.length)], i);
      return seeds;
    };
    assert.equal(filled(() => false).length, 1);
    assert.equal(filled((seed) => seed < 3).length, 3);
    assert.equal(filled(() => true).length, 4);
  });

  it('takes no text that could be mistaken for another one when it is cut to bytes', () => {
    assert.throws(() => addEntry(new PathIndexWriter(), 1, 'a\u0141', [1]), TypeError);
    assert.equal(outcome(Router.compile([rule('r', { paths: ['/\u0141'] })]).match(request('h/%C5%81'))), 'r');
    const writer = new PathIndexWriter();
    addEntry(writer, 1, 'A', [1]);
    const one = (): number => 1;
    assert.equal(atOnce(writer.finish(one, one)).find(1, '\u0141', 0, 1), 0);
  });

  it('hashes otherwise with another seed', () => {
    const places = (seed: number): number[] => texts.map((each) => mixedHash(seed, 1, each, 0, each.length) & 0xff_ff);
    assert.notDeepEqual(places(1), places(2));
    assert.ok(new Set(places(1)).size > texts.length * 0.9);
  });
});
