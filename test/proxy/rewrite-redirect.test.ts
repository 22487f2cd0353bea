import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { type Captures, compileRedirect, redirectLocation } from '../../src/proxy/rewrite.ts';

function location(
  to: string,
  captures: Captures,
  query = '',
  request = { host: 'api.example.com', path: '/any' },
): string | null {
  const compiled = compileRedirect(to, Object.keys(captures));
  assert.ok(!('error' in compiled), JSON.stringify(compiled));
  return redirectLocation(compiled, captures, query, request);
}

function errorOf(to: string, captureNames: readonly string[]): string {
  const compiled = compileRedirect(to, captureNames);
  assert.ok('error' in compiled, `was accepted: ${JSON.stringify(compiled)}`);
  return compiled.error;
}

describe('a redirect', () => {
  const cases: readonly (readonly [to: string, captures: Captures, query: string, expected: string])[] = [
    ['https://new.example.com/{*}', { '*': 'a/b' }, '', 'https://new.example.com/a/b'],
    ['https://new.example.com/{*}', { '*': 'a' }, 'x=1&y', 'https://new.example.com/a?x=1&y'],
    ['https://new.example.com/{*}', { '*': '' }, '', 'https://new.example.com/'],
    ['https://new.example.com', {}, 'x', 'https://new.example.com/?x'],
    ['https://new.example.com/x?own=1', {}, 'x=1', 'https://new.example.com/x?own=1'],
    ['https://new.example.com/x?own=1&{query}', {}, 'x=1', 'https://new.example.com/x?own=1&x=1'],
    ['https://new.example.com/x?', {}, 'x=1', 'https://new.example.com/x'],
    ['/x#part', {}, 'x=1', '/x?x=1#part'],
    ['/find?id={id}', { id: 'a&b=c+d;e%3F' }, 'x=1', '/find?id=a%26b%3Dc%2Bd%3Be%3F'],
    ['/find?q={query}', { query: 'a&b' }, 'x=1', '/find?q=a%26b'],
    ['//example.org:8080/{*}', { '*': 'a' }, '', '//example.org:8080/a'],
    ['https://{host}/{*}', { '*': 'a' }, '', 'https://api.example.com/a'],
    ['https://{host}:8443{path}', {}, 'q', 'https://api.example.com:8443/any?q'],
    ['https://{host}', {}, '', 'https://api.example.com/'],
    ['https://{host}/{host}', { host: 'x' }, '', 'https://api.example.com/x'],
    ['/new{path}', {}, '', '/new/any'],
    ['{path}?moved=1', {}, '', '/any?moved=1'],
    ['/from?host={host}&path={path}', {}, '', '/from?host=api.example.com&path=/any'],
    ['/x', {}, 'filter[a]=1', '/x?filter%5Ba%5D=1'],
    ['/x', {}, 'q={a|b}&p=100%', '/x?q=%7Ba%7Cb%7D&p=100%25'],
    ['https://[::1]:8443/x', {}, '', 'https://[::1]:8443/x'],
  ];
  for (const [to, captures, query, expected] of cases) {
    it(`to ${to} with ${JSON.stringify(captures)} and "${query}" is ${expected}`, () => {
      assert.equal(location(to, captures, query), expected);
    });
  }

  it('puts the brackets of an IPv6 host back', () => {
    assert.equal(location('https://{host}/', {}, '', { host: '::1', path: '/' }), 'https://[::1]/');
  });

  it('is refused when it needs a host and the request has none', () => {
    assert.equal(location('https://{host}/', {}, '', { host: '', path: '/' }), null);
    assert.equal(location('/x', {}, '', { host: '', path: '/' }), '/x');
  });

  it('keeps the slash at the end of the prefix, as the Gateway API does', () => {
    assert.equal(location('/new/{*}', { '*': '' }, '', { host: 'h', path: '/old' }), '/new');
    assert.equal(location('/new/{*}', { '*': '' }, '', { host: 'h', path: '/old/' }), '/new/');
  });

  it('never lets a request choose the host it is sent to', () => {
    // A reference that begins with // names a host.
    const request = { host: 'h', path: '//evil.example/x' };
    assert.equal(location('/{*}', { '*': '/evil.example/x' }, '', request), '/evil.example/x');
    assert.equal(location('{path}', {}, '', request), '/evil.example/x');
    const hostile = [
      'https://new.example.com{*}',
      'https://{*}/',
      'https://{*}.example.com/',
      'https://new.example.com:{*}/',
      'https://{host}.evil.example/',
      'https://x@{host}/',
      'https://new.example.com{path}',
      '{*}',
      '{*}/x',
      '//{*}',
      '{scheme}://h/',
    ];
    for (const to of hostile) {
      assert.ok(errorOf(to, ['*', 'path', 'scheme']) !== '', to);
    }
  });

  it('is refused when a capture makes a dot segment', () => {
    assert.equal(location('https://h/a/{*}', { '*': '../b' }), null);
    assert.equal(location('https://h/a/.{*}', { '*': '.' }), null);
  });

  const invalid: readonly (readonly [to: string, error: RegExp])[] = [
    ['', /leads to/],
    ['new.example.com', /leads to/],
    ['ftp://h/', /leads to/],
    ['javascript:alert(1)', /leads to/],
    ['?x', /begins with \//],
    ['#x', /begins with \//],
    ['https:///x', /host/],
    ['https://a b/', /host/],
    ['https://a,b/', /host/],
    ['https://u@h/', /host/],
    ['https://h:99999/', /host/],
    ['https://h\\x/', /host/],
    ['/a/../b', /canonical/],
    ['/a//b', /canonical/],
    ['/new/{path}', /canonical/],
    ['/a b', /RFC 3986/],
    ['/a\r\nX: y', /control/],
    ['/{id}', /\{id\} stands for nothing/],
    ['/a?x={id}', /\{id\} stands for nothing/],
    ['/{query}', /stands for nothing/],
    ['/a?x y', /percent-encoded/],
    ['/a?x=%', /percent-encoded/],
    ['/a?x[]=1', /percent-encoded/],
    ['/a#x y', /percent-encoded/],
    ['/a#x#y', /percent-encoded/],
    ['/a#{*}', /percent-encoded/],
    ['/a\n', /leads to|control/],
    ['/a#x\n', /leads to|percent-encoded/],
  ];
  for (const [to, error] of invalid) {
    it(`to ${JSON.stringify(to)} is a configuration problem`, () => assert.match(errorOf(to, ['*']), error));
  }

  it('has a Location that is a URI reference, whatever was captured and asked', () => {
    const piece = fc.constantFrom(
      '/',
      '.',
      '%41',
      '%2F',
      '%',
      '?',
      '#',
      '&',
      'a',
      '\r\n',
      '"',
      '[',
      '\u00e9',
      '\ud800',
      ' ',
      '{',
      '\\',
    );
    const captured = fc.array(piece, { maxLength: 8 }).map((parts) => parts.join(''));
    const wireQuery = fc.stringMatching(/^(?:[\w.~!$&'()*+,;=:@/?[\]-]|%[\dA-F]{2}){0,12}$/);
    const texts = ['/n/{*}', 'https://h/{*}?own={*}&{query}', '//h/{*}#f', '/{*}', 'https://{host}/?{query}'];
    fc.assert(
      fc.property(fc.constantFrom(...texts), captured, wireQuery, (text, star, query) => {
        const value = location(text, { '*': star }, query);
        if (value === null) return;
        assert.match(
          value,
          /^(?:https:\/\/(?:h|api\.example\.com)\/|\/\/h\/|\/(?!\/))(?:[\w.~!$&'()*+,;=:@/-]|%[\dA-F]{2})*(?:\?(?:[\w.~!$&'()*+,;=:@/?-]|%[\dA-F]{2})*)?(?:#f)?$/i,
        );
        assert.equal(new URL(value, 'https://h/').host, text.includes('{host}') ? 'api.example.com' : 'h');
      }),
      { numRuns: 3000 },
    );
  });
});
