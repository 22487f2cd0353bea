import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { CanonicalTarget, canonicalizeTarget } from '../../src/http/path.ts';
import { type Captures, type Template, compileHost, compileTemplate, rewritePath } from '../../src/proxy/rewrite.ts';

function template(text: string, names: readonly string[] = ['*']): Template {
  const compiled = compileTemplate(text, names);
  assert.ok(!('error' in compiled), JSON.stringify(compiled));
  return compiled;
}

function errorOf(compiled: object | string): string {
  assert.ok(typeof compiled === 'object' && 'error' in compiled, `was accepted: ${JSON.stringify(compiled)}`);
  return String(compiled.error);
}

function targetOf(path: string): CanonicalTarget {
  const out = new CanonicalTarget();
  assert.ok(canonicalizeTarget(path, 'GET', out), path);
  return out;
}

/** The path of a request after the rewrite, or null when it was refused. */
function rewritten(text: string, captures: Captures, path = '/any'): string | null {
  const out = targetOf(path);
  return rewritePath(template(text, Object.keys(captures)), captures, out) ? out.path : null;
}

describe('a rewritten path', () => {
  const cases: readonly (readonly [template: string, captures: Captures, path: string, expected: string])[] = [
    ['/v1/{*}', { '*': 'a/b' }, '/api/a/b', '/v1/a/b'],
    ['/v1/{*}', { '*': 'a/b/' }, '/api/a/b/', '/v1/a/b/'],
    ['/fixed', {}, '/api', '/fixed'],
    ['/u/{id}/p/{post}', { id: '7', post: '9' }, '/7/9', '/u/7/p/9'],
    ['/u-{id}.json', { id: '7' }, '/7', '/u-7.json'],
    ['/{b}/{a}', { a: '1', b: '2' }, '/1/2', '/2/1'],
    ['/v1/{rest}', { rest: 'caf%C3%A9%20x/%3Fy%23;z=1' }, '/x', '/v1/caf%C3%A9%20x/%3Fy%23;z=1'],
    // As with ReplacePrefixMatch of the Gateway API: the prefix itself, and the prefix with a slash behind it.
    ['/one/{*}', { '*': '' }, '/prefix', '/one'],
    ['/one/{*}', { '*': '' }, '/prefix/', '/one/'],
    ['/{*}', { '*': '' }, '/prefix', '/'],
    ['/{*}', { '*': '' }, '/prefix/', '/'],
    ['/a/{*}/b', { '*': '' }, '/prefix', '/a/b'],
    ['/a/{*}/b', { '*': '' }, '/prefix/', '/a/b'],
    ['/a/{*}/{id}', { '*': '', id: '' }, '/prefix', '/a'],
    ['/a/x{*}', { '*': '' }, '/prefix', '/a/x'],
  ];
  for (const [text, captures, path, expected] of cases) {
    it(`is ${expected} for ${path} by ${text}`, () => assert.equal(rewritten(text, captures, path), expected));
  }

  it('can never get a query or a fragment from what was captured (CVE-2024-38474)', () => {
    assert.equal(rewritten('/v1/{*}', { '*': 'a%3Fadmin=1%23x' }), '/v1/a%3Fadmin=1%23x');
    // Even if somebody decoded the capture before.
    assert.equal(rewritten('/v1/{*}', { '*': 'a?admin=1#x' }), '/v1/a%3Fadmin=1%23x');
    assert.equal(rewritten('/v1/{*}', { '*': '100%/\u00e9 "' }), '/v1/100%25/%C3%A9%20%22');
  });

  it('is refused when a capture makes a dot segment or leaves the literal beginning (GHSA-xf64-8mw2-4gr2)', () => {
    const attacks: readonly (readonly [template: string, captured: string])[] = [
      ['/v1/{*}', '..'],
      ['/v1/{*}', '../admin'],
      ['/v1/{*}', 'a/../../admin'],
      ['/v1/{*}', '%2e%2e/admin'],
      ['/v1/{*}', '%2E%2E%2Fadmin'],
      ['/v1/{*}', './admin'],
      ['/v1/{*}', '..;/admin'],
      ['/v1/{*}', '.'],
      ['/v1/.{*}', '.'],
      ['/v1/.{*}', './admin'],
      ['/v1/.{*}', ''],
      ['/v1/{*}.', '.'],
      ['/v1/{*}', '%5C..%5Cadmin'],
      ['/v1/{*}', '..\\admin'],
      ['/v1/{*}', 'a%00'],
      ['/v1/{*}', '%61dmin'],
      ['/v1/{*}', '%c0%af'],
    ];
    for (const [text, captured] of attacks) {
      const out = targetOf('/api/x?q=1');
      const before = Object.assign(new CanonicalTarget(), out);
      assert.equal(
        rewritePath(template(text), { '*': captured }, out),
        false,
        `${text} with ${captured} became ${out.path}`,
      );
      assert.notEqual(out.reason, '');
      out.reason = '';
      assert.deepEqual(out, before, 'a refused rewrite leaves the target alone');
    }
  });

  it('keeps everything but the path of the target', () => {
    const out = targetOf('http://h:1/x/a%2Fb;p?q=1');
    assert.ok(rewritePath(template('/v1/{*}'), { '*': 'a%2Fb;p' }, out));
    assert.deepEqual(
      out,
      Object.assign(new CanonicalTarget(), {
        path: '/v1/a%2Fb;p',
        matchPath: '/v1/a%2Fb',
        unmergedPath: '/v1/a%2Fb;p',
        unmergedMatchPath: '/v1/a%2Fb',
        query: 'q=1',
        authority: 'h:1',
        scheme: 'http',
        hasEncodedSlash: true,
        hasEmptySegments: false,
      }),
    );
  });

  it('says whether there is an encoded slash or a parameter in it, whatever the path had before', () => {
    const out = targetOf('/x/a%2Fb//;p');
    assert.ok(rewritePath(template('/v1/{*}'), { '*': 'c' }, out));
    assert.deepEqual([out.path, out.matchPath, out.unmergedPath, out.unmergedMatchPath], Array(4).fill('/v1/c'));
    assert.deepEqual([out.hasEncodedSlash, out.hasEmptySegments], [false, false]);
  });

  it('keeps captured empty segments for routes that keep them', () => {
    const out = targetOf('/x//a//b');
    assert.ok(rewritePath(template('/v1/{*}'), { '*': '/a//b' }, out));
    assert.deepEqual([out.unmergedPath, out.path], ['/v1//a//b', '/v1/a/b']);
  });

  it('leaves OPTIONS * alone', () => {
    const out = new CanonicalTarget();
    assert.ok(canonicalizeTarget('*', 'OPTIONS', out));
    assert.ok(rewritePath(template('/v1'), {}, out));
    assert.deepEqual([out.path, out.asterisk], ['*', true]);
    const other = targetOf('/x');
    assert.ok(rewritePath(template('/v1'), {}, other, '*'));
    assert.deepEqual([other.path, other.matchPath, other.asterisk], ['*', '*', true]);
    assert.ok(rewritePath(template('/v1'), {}, other, '/x'));
    assert.deepEqual([other.path, other.asterisk], ['/v1', false]);
  });

  it('takes the slash at the end from the request, also when the result goes elsewhere', () => {
    const out = targetOf('/of/another/request/');
    assert.ok(rewritePath(template('/one/{*}'), { '*': '' }, out, '/prefix'));
    assert.equal(out.path, '/one');
    assert.ok(rewritePath(template('/one/{*}'), { '*': '' }, out, '/prefix/'));
    assert.equal(out.path, '/one/');
  });

  it('takes a capture that is not there for empty, and nothing from the prototype', () => {
    const out = targetOf('/x');
    assert.ok(rewritePath(template('/v1/{constructor}/y', ['constructor']), {}, out));
    assert.equal(out.path, '/v1/y');
  });

  it('always stays canonical and below the literal beginning of its template', () => {
    const piece = fc.constantFrom(
      '/',
      '.',
      '..',
      '%2e',
      '%2E',
      ';',
      '%2F',
      '%5C',
      '%',
      '?',
      '#',
      'a',
      'admin',
      '\\',
      '//',
      '%00',
      ' ',
      '\ud800',
    );
    const captured = fc.array(piece, { maxLength: 8 }).map((parts) => parts.join(''));
    const texts = ['/v1/{*}', '/v1/{a}/{*}', '/v1/.{a}', '/v1/{a}.{*}/x', '/v1/x{*}y'];
    fc.assert(
      fc.property(fc.constantFrom(...texts), captured, captured, (text, star, a) => {
        const out = targetOf('/any');
        if (!rewritePath(template(text, ['*', 'a']), { '*': star, a }, out)) return;
        assert.match(out.path, /^\/v1(?:\/|$)/);
        assert.match(out.unmergedPath, /^\/v1(?:\/|$)/);
        assert.doesNotMatch(out.path, /[?#\\]|\/\.\.?(?:[/;]|$)/);
        assert.equal(targetOf(out.unmergedPath).unmergedPath, out.unmergedPath);
        assert.equal(new URL(`http://host${out.path}`).pathname, out.path);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('compileTemplate', () => {
  const invalid: readonly (readonly [template: string, error: RegExp])[] = [
    ['v1/{*}', /begins with \//],
    ['{*}', /begins with \//],
    ['/v1/{id}', /\{id\} stands for nothing here: there is \{\*\}/],
    ['/v1/{host}', /stands for nothing/],
    ['/v1/{}', /stands for nothing/],
    ['/v1/{*', /counterpart/],
    ['/v1/*}', /counterpart/],
    ['/v1/{{*}}', /counterpart/],
    ['/v1?x=1', /query/],
    ['/v1#x', /#/],
    ['/v1/../x', /canonical/],
    ['/v1//x', /canonical/],
    ['/v1/%7Ex', /canonical/],
    ['/v1/%c3%a9', /canonical/],
    ['/v1/%5C', /backslash/],
    ['/v1/%', /malformed/],
    ['/a b', /RFC 3986/],
    ['/\u00e9', /ASCII/],
    ['/../{*}', /above the root/],
  ];
  for (const [text, error] of invalid) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.match(errorOf(compileTemplate(text, ['*'])), error));
  }

  it('says so when nothing is captured', () => {
    assert.match(errorOf(compileTemplate('/v1/{*}', [])), /nothing is captured/);
  });

  it('takes a capture of any name', () => {
    assert.equal(rewritten('/t/{path}/{query}', { path: 'a', query: 'b' }), '/t/a/b');
  });
});

describe('compileHost', () => {
  it('brings a host to its normal form', () => {
    assert.equal(compileHost('Catalog.Internal'), 'catalog.internal');
    assert.equal(compileHost('catalog.internal.:8080'), 'catalog.internal:8080');
    assert.equal(compileHost('[2001:DB8::0:1]:80'), '[2001:db8::1]:80');
  });

  it('refuses what is no host', () => {
    for (const host of ['', 'a b', 'http://a', 'a,b', 'a\r\nX: y', 'u@a', 'a/b']) {
      assert.match(errorOf(compileHost(host)), /is not a host/);
    }
  });
});
