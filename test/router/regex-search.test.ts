import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { CanonicalTarget, canonicalizePath } from '../../src/http/path.ts';
import { type LinearRegex, compileLinearRegex } from '../../src/proxy/router/linear-regex.ts';
import { type TextKind, type TextSearch, findText } from '../../src/proxy/router/regex-search.ts';

function compiled(source: string): LinearRegex {
  const regex = compileLinearRegex(source);
  if ('error' in regex) throw new Error(`${source}: ${regex.error}`);
  return regex;
}

function search(matching: readonly string[], others: readonly string[] = [], kind: TextKind = 'path'): TextSearch {
  return findText(matching.map(compiled), others.map(compiled), kind);
}

describe('findText', () => {
  it('finds a shortest path that some expressions match and others do not', () => {
    assert.deepEqual(search([]), { text: '/' });
    assert.deepEqual(search(['^/v[0-9]+/x$']), { text: '/v2/x' });
    assert.deepEqual(search(['^/a', 'b$', '.{5}']), { text: '/aaab' });
    assert.deepEqual(search(['^/[ab]$'], ['a']), { text: '/b' });
    assert.deepEqual(search(['%2F$']), { text: '/%2F' });
  });

  it('says that there is none where the automata show it', () => {
    assert.equal(search(['^/a$', '^/b$']), 'none');
    assert.equal(search(['^/a/b'], ['^/a']), 'none');
    assert.equal(search(['^a']), 'none');
  });

  it('keeps to paths in canonical form', () => {
    const refused = ['//', '/\\./', '/\\.\\.$', ';', '\\?', ' ', '%2f'];
    for (const source of refused) assert.equal(search([source]), 'none', source);
    assert.deepEqual(search(['^/.*\\.\\.\\.$']), { text: '/...' });
    assert.deepEqual(search(['^/a//b$'], [], 'pathWithEmptySegments'), { text: '/a//b' });
  });

  it('does not say that there is none when only the text that it found was not canonical', () => {
    assert.equal(search(['^/%4[0-9]$']), 'unknown');
  });

  it('finds values of fields, which have no white space around them', () => {
    assert.deepEqual(search(['^Mozilla/5 '], [], 'value'), { text: 'Mozilla/5 a' });
    assert.deepEqual(search([''], [], 'value'), { text: '' });
    assert.equal(search(['^ '], [], 'value'), 'none');
    assert.equal(search([' $'], [], 'value'), 'none');
  });

  it('gives up instead of walking without end', () => {
    assert.equal(search(['a[ab]{30}x$', 'b[ab]{25}y$']), 'unknown');
  });

  it('is right about every short path', () => {
    const part = fc.constantFrom('^', '$', 'a', 'b', '/', '[^a]', '(a|b/)*', '.', 'a?', '/+', 'b{2}');
    const source = fc.array(part, { maxLength: 5 }).map((parts) => parts.join(''));
    const valid = source.filter((text) => !('error' in compileLinearRegex(text)));
    const target = new CanonicalTarget();
    const segment = fc.constantFrom('a', 'b', 'aa', 'ab', 'bb', '');
    const path = fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => `/${parts.join('/')}`);
    fc.assert(
      fc.property(valid, valid, valid, fc.array(path, { maxLength: 20 }), (first, second, other, paths) => {
        const isFit = (text: string): boolean =>
          new RegExp(first).test(text) && new RegExp(second).test(text) && !new RegExp(other).test(text);
        const found = search([first, second], [other]);
        if (typeof found === 'object') {
          assert.ok(isFit(found.text), found.text);
          assert.ok(canonicalizePath(found.text, target) && target.unmergedPath === found.text, found.text);
        } else {
          for (const each of paths) assert.ok(found === 'unknown' || each.includes('//') || !isFit(each), each);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
