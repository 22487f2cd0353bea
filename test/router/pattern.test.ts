import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { findMatchProblems } from '../../src/proxy/router/match-problems.ts';
import { type PathPattern, parsePathPattern } from '../../src/proxy/router/pattern.ts';
import { rule } from './requests.ts';

function parsed(source: string, emptySegments?: 'merge' | 'keep'): Pick<PathPattern, 'segments' | 'names' | 'rest'> {
  const pattern = parsePathPattern(source, emptySegments);
  if ('error' in pattern) throw new Error(`${source}: ${pattern.error}`);
  const { segments, names, rest } = pattern;
  return { segments, names, rest };
}

describe('parsePathPattern', () => {
  it('takes the forms of a path apart', () => {
    assert.deepEqual(parsed('/'), { segments: [''], names: [], rest: null });
    assert.deepEqual(parsed('/a/b/'), { segments: ['a', 'b', ''], names: [], rest: null });
    assert.deepEqual(parsed('/users/{id}/x'), { segments: ['users', null, 'x'], names: ['id'], rest: null });
    assert.deepEqual(parsed('/files/*'), { segments: ['files'], names: [], rest: '*' });
    assert.deepEqual(parsed('/files/{_rest2...}'), { segments: ['files'], names: [], rest: '_rest2' });
    assert.deepEqual(parsed('/*'), { segments: [], names: [], rest: '*' });
    assert.deepEqual(parsed('/{all...}'), { segments: [], names: [], rest: 'all' });
    assert.deepEqual(parsed('/{a}/*'), { segments: [null], names: ['a'], rest: '*' });
    assert.deepEqual(parsed('/{a}/{b}'), { segments: [null, null], names: ['a', 'b'], rest: null });
  });

  it('makes them canonical as it makes the paths of requests', () => {
    assert.deepEqual(parsed('/%7e/%41/%2f/%c3%a9').segments, ['~', 'A', '%2F', '%C3%A9']);
    assert.deepEqual(parsed('/caf\u00e9/[x]').segments, ['caf%C3%A9', '%5Bx%5D']);
    assert.deepEqual(parsed('/%7e/{id}/%41').segments, ['~', null, 'A']);
  });

  it('has empty segments only where they are kept', () => {
    assert.deepEqual(parsed('/a//b', 'keep').segments, ['a', '', 'b']);
    assert.deepEqual(parsed('//{x}', 'keep').segments, ['', null]);
    assert.deepEqual(parsed('/a//*', 'keep'), { segments: ['a', ''], names: [], rest: '*' });
  });

  const refused: readonly (readonly [source: string, why: RegExp])[] = [
    ['', /begins with \//],
    ['a/b', /begins with \//],
    ['*', /begins with \//],
    ['/a*', /\/files\/\*/],
    ['/*a', /\/files\/\*/],
    ['/**', /\/files\/\*/],
    ['/*/a', /nothing can follow/],
    ['/{a...}/b', /nothing can follow/],
    ['/x{id}', /segment of its own/],
    ['/{id}x', /segment of its own/],
    ['/{}', /segment of its own/],
    ['/{1a}', /segment of its own/],
    ['/{a-b}', /segment of its own/],
    ['/{a', /segment of its own/],
    ['/a}', /segment of its own/],
    ['/{a..}', /segment of its own/],
    ['/{a}/{a}', /there twice/],
    ['/{a}/{a...}', /there twice/],
    ['/{__proto__}', /__proto__/],
    ['/a//b', /emptySegments: keep/],
    ['//a', /emptySegments: keep/],
    ['/a//*', /emptySegments: keep/],
    ['/a/../b', /dot segments/],
    ['/a/.', /dot segments/],
    ['/..', /dot segments/],
    ['/a/%2e%2E/b', /dot segments/],
    ['/{a}/./*', /dot segments/],
    ['/a;x=1', /path parameters/],
    ['/a%3bx', /path parameters/],
    ['/a?b', /RFC 3986/],
    ['/a#b', /#/],
    ['/a b', /RFC 3986/],
    ['/a\\b', /backslash/],
    ['/a%5cb', /backslash/],
    ['/a%00', /NUL/],
    ['/a\u0000', /control/],
    ['/a%', /percent-encoding/],
    ['/a%zz/{id}', /percent-encoding/],
  ];
  for (const [source, why] of refused) {
    it(`refuses ${JSON.stringify(source)} and says why`, () => {
      const pattern = parsePathPattern(source);
      assert.ok('error' in pattern, 'was accepted');
      assert.match(pattern.error, why);
    });
  }
});

describe('findMatchProblems', () => {
  it('finds everything that is wrong, in the words of the configuration', () => {
    const { match } = rule('r', {
      paths: ['/fine', '/a*', { regex: '(' }, '/a%2Fb'],
      headers: [
        { name: 'x', regex: '\\b' },
        { name: 'y', equals: '(' },
      ],
      query: [{ name: 'q', regex: '[' }],
    });
    const problems = findMatchProblems(match);
    assert.deepEqual(
      problems.map(({ path }) => path.join(' ')),
      ['path 1', 'path 2 regex', 'path 3', 'headers x regex', 'query q regex'],
    );
    assert.match(problems[2].error, /encodedSlash: keep/);
  });

  it('finds what is well-formed and yet can never match', () => {
    const { match } = rule('r', {
      paths: [
        { regex: '^api/' },
        { regex: '^/a//b' },
        { regex: '/\\.\\./' },
        { regex: ';' },
        { regex: '%2f' },
        { regex: '%2F' },
      ],
      headers: [
        { name: 'x', equals: 'a\nb' },
        { name: 'y', equals: ' a' },
        { name: 'z', equals: '' },
      ],
    });
    assert.deepEqual(
      findMatchProblems(match).map(({ path }) => path.join(' ')),
      ['path 0 regex', 'path 1 regex', 'path 2 regex', 'path 3 regex', 'path 4 regex', 'headers x', 'headers y'],
    );
    assert.deepEqual(
      findMatchProblems({ ...match, paths: [{ regex: '^/a//b' }], headers: [], emptySegments: 'keep' }),
      [],
    );
  });

  it('finds nothing in what can be compiled', () => {
    const { match } = rule('r', { paths: ['/a%2fb', '//'], encodedSlash: 'keep', emptySegments: 'keep' });
    assert.deepEqual(findMatchProblems(match), []);
  });
});
