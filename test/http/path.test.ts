import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CanonicalTarget, canonicalizePath, canonicalizeTarget } from '../../src/http/path.ts';

function canonical(target: string, method = 'GET'): CanonicalTarget {
  const out = new CanonicalTarget();
  assert.ok(canonicalizeTarget(target, method, out), `${target}: ${out.reason}`);
  return out;
}

function refusal(target: string, method = 'GET'): string {
  const out = new CanonicalTarget();
  assert.equal(canonicalizeTarget(target, method, out), false, `${target} was accepted as ${out.path}`);
  return out.reason;
}

describe('canonicalizeTarget', () => {
  it('returns a canonical path as it is, in all four readings', () => {
    for (const path of [
      '/',
      '/a',
      '/a/',
      '/a/b.c/~d-e_f',
      "/a!$&'()*+,=:@b",
      '/.well-known/x',
      '/...',
      '/..a/.b',
      '/caf%C3%A9',
      '/%25',
    ]) {
      const out = canonical(path);
      assert.deepEqual([out.path, out.matchPath, out.unmergedPath, out.unmergedMatchPath], [path, path, path, path]);
      assert.deepEqual([out.query, out.authority, out.scheme], ['', '', '']);
      assert.deepEqual([out.asterisk, out.hasEncodedSlash, out.hasEmptySegments], [false, false, false]);
    }
  });

  const normalForms: readonly (readonly [target: string, path: string])[] = [
    ['/%41%62%7E%2d%5f', '/Ab~-_'],
    ['/caf%c3%a9', '/caf%C3%A9'],
    ['/a/./b', '/a/b'],
    ['/a/b/.', '/a/b/'],
    ['/a/b/..', '/a/'],
    ['/a/..', '/'],
    ['/a/b/../../c', '/c'],
    ['/a/%2e%2E/b', '/b'],
    ['/a/.%2e/b', '/b'],
    ['/%2e', '/'],
    ['//a///b//', '/a/b/'],
    ['/%2561', '/%2561'],
    ['/%252e%252e/a', '/%252e%252e/a'],
    ['/a%20b%23%3f', '/a%20b%23%3F'],
    ['/a[1]', '/a%5B1%5D'],
    ['/path-%0D-uri', '/path-%0D-uri'],
    ['/caf%e9', '/caf%E9'],
    ['/%e0%a0%80%f0%90%80%80%f4%8f%bf%bf', '/%E0%A0%80%F0%90%80%80%F4%8F%BF%BF'],
    ['/static../admin', '/static../admin'],
  ];
  for (const [target, path] of normalForms) {
    it(`makes ${target} ${path}`, () => assert.equal(canonical(target).path, path));
  }

  const refused: readonly (readonly [target: string, reason: RegExp])[] = [
    ['/a#b', /#/],
    ['/a?b#c', /#/],
    ['/a\\b', /backslash/],
    ['/a?b\\c', /backslash/],
    ['/a%5cb', /encoded backslash/],
    ['/a%5C', /encoded backslash/],
    ['/a\0', /control/],
    ['/a\tb', /control/],
    ['/a\x7f', /control/],
    ['/a?b\n', /control/],
    ['/a%00b', /encoded NUL/],
    ['/admin%0a', /encoded control/],
    ['/%0dadmin/x', /encoded control/],
    ['/admin%7f;x/y', /encoded control/],
    ['/a%', /malformed/],
    ['/a%2', /malformed/],
    ['/a%2g', /malformed/],
    ['/%u0061', /malformed/],
    ['/..', /above the root/],
    ['/a/../..', /above the root/],
    ['/%2e%2e/a', /above the root/],
    ['/a/..;/b', /hidden dot segment/],
    ['/a/..;x=1', /hidden dot segment/],
    ['/a/.;x', /hidden dot segment/],
    ['/a/..%3b/b', /hidden dot segment/],
    ['/a/%2e%2e%3Bx/b', /hidden dot segment/],
    ['/a/..%2fb', /hidden dot segment/],
    ['/a/b%2F..', /hidden dot segment/],
    ['/a/b%2F.;x%2Fc', /hidden dot segment/],
    ['/a//../b', /behind an empty segment/],
    ['/a/;x/../b', /behind an empty segment/],
    ['/a%c0%afb', /UTF-8/],
    ['/a%C1%9cb', /UTF-8/],
    ['/%e0%80%af', /overlong/],
    ['/%E0%9F%BF', /overlong/],
    ['/%F0%8F%BF%BF', /overlong/],
    ['/%F5%80%80%80', /UTF-8/],
    ['/%f0%80%80%af', /overlong/],
    ['/%f8%80%80%80%af', /UTF-8/],
    ['/%ff', /UTF-8/],
    ['/caf\u00e9', /outside ASCII/],
    ['/\u0100', /outside ASCII/],
    ['/a?\u00e9', /outside ASCII/],
    ['/a b', /RFC 3986/],
    ...Array.from('"<>^`{|}', (character) => [`/a${character}b`, /RFC 3986/] as const),
    ...Array.from('"<> ', (character) => [`/a?b${character}`, /RFC 3986/] as const),
  ];
  for (const [target, reason] of refused) {
    it(`refuses ${JSON.stringify(target)}`, () => assert.match(refusal(target), reason));
  }

  it('keeps the query as it is on the wire', () => {
    for (const query of [
      'a=1&b=%2f%00%0a',
      'p=/../admin',
      "a=b&c=%20;,/?:@!$'()*",
      'filter[name]=x',
      '?',
      'a//b/./',
      'q={a|b}^`',
      '100%',
    ]) {
      const out = canonical(`/x?${query}`);
      assert.deepEqual([out.path, out.query], ['/x', query]);
      assert.deepEqual([canonical(`/x/../y?${query}`).path, canonical(`/x/../y?${query}`).query], ['/y', query]);
    }
    assert.equal(canonical('/x?').query, '');
  });

  it('sets path parameters aside for matching and sends them on', () => {
    const parameters: readonly (readonly [target: string, path: string, matchPath: string])[] = [
      ['/a;x=1/b', '/a;x=1/b', '/a/b'],
      ['/a;x=1;y=2', '/a;x=1;y=2', '/a'],
      ['/a%3bx/b;', '/a%3Bx/b;', '/a/b'],
      ['/app/;jsessionid=1', '/app/;jsessionid=1', '/app/'],
      ['/a;x=..', '/a;x=..', '/a'],
      ['/a;x%2Fb;y', '/a;x%2Fb;y', '/a%2Fb'],
    ];
    for (const [target, path, matchPath] of parameters) {
      const out = canonical(target);
      assert.deepEqual([out.path, out.matchPath], [path, matchPath]);
      assert.equal(out.hasEmptySegments, false);
    }
  });

  it('sends a segment of nothing but parameters no further than it matches it (CVE-2021-26085)', () => {
    const out = canonical('/;x=1/admin//;/x');
    assert.deepEqual([out.path, out.matchPath], ['/admin/x', '/admin/x']);
    assert.deepEqual([out.unmergedPath, out.unmergedMatchPath], ['/;x=1/admin//;/x', '//admin///x']);
    assert.equal(out.hasEmptySegments, true);
  });

  it('keeps the form with empty segments for routes that want it', () => {
    const out = canonical('//a//b;x//?q');
    assert.deepEqual([out.path, out.matchPath], ['/a/b;x/', '/a/b/']);
    assert.deepEqual([out.unmergedPath, out.unmergedMatchPath], ['//a//b;x//', '//a//b//']);
    assert.equal(out.query, 'q');
  });

  it('records an encoded slash and leaves the decision to the route (CVE-2025-66490)', () => {
    const out = canonical('/group%2fproject/x');
    assert.deepEqual(
      [out.path, out.matchPath, out.hasEncodedSlash],
      ['/group%2Fproject/x', '/group%2Fproject/x', true],
    );
    // Even when the segment that had it is gone.
    assert.deepEqual([canonical('/a%2Fb/../c').path, canonical('/a%2Fb/../c').hasEncodedSlash], ['/c', true]);
  });

  it('takes an absolute target apart (RFC 9112, section 3.2.2)', () => {
    const absolute: readonly (readonly [
      target: string,
      scheme: string,
      authority: string,
      path: string,
      query: string,
    ])[] = [
      ['http://api.example.com/a/../b?q', 'http', 'api.example.com', '/b', 'q'],
      ['HTTPS://API.example.com:8443', 'https', 'API.example.com:8443', '/', ''],
      ['http://hypnotoad.org?hail=all', 'http', 'hypnotoad.org', '/', 'hail=all'],
      ['http://[::1]:80//x', 'http', '[::1]:80', '/x', ''],
      ['http://h?/../x', 'http', 'h', '/', '/../x'],
    ];
    for (const [target, scheme, authority, path, query] of absolute) {
      const out = canonical(target);
      assert.deepEqual([out.scheme, out.authority, out.path, out.query], [scheme, authority, path, query]);
    }
  });

  it('refuses absolute targets whose authority is not plainly a host (RFC 9110, section 4.2)', () => {
    for (const authority of [
      '',
      'u@h',
      'u:p@h',
      'h:99999',
      'h:x',
      'a,b',
      'h\\x',
      '[::1',
      '[fe80::1%25eth0]',
      'h%41',
      ':80',
    ]) {
      assert.match(refusal(`http://${authority}/a`), /authority/);
    }
    assert.match(refusal('http://h#x'), /#/);
  });

  it('accepts no other form', () => {
    const strange = [
      '',
      'a',
      'localhost:80',
      '@h/',
      './a',
      '%2fa',
      'ftp://h/',
      'http:/h/',
      'http:h',
      '?a',
      '#',
      ' /a',
      '**',
      '*/a',
      'javascript://h/',
    ];
    for (const target of strange) {
      assert.match(refusal(target), /forms/);
    }
  });

  it('takes * as the server itself, for OPTIONS only (RFC 9112, section 3.2.4)', () => {
    assert.match(refusal('*', 'GET'), /OPTIONS/);
    const out = canonical('*', 'OPTIONS');
    assert.deepEqual([out.asterisk, out.path, out.matchPath, out.query], [true, '*', '*', '']);
    const viaProxy = canonical('http://api.example.com', 'OPTIONS');
    assert.deepEqual([viaProxy.asterisk, viaProxy.path, viaProxy.authority], [true, '*', 'api.example.com']);
    assert.equal(canonical('http://api.example.com/', 'OPTIONS').asterisk, false);
    assert.equal(canonical('http://api.example.com?', 'OPTIONS').asterisk, false);
  });

  it('leaves nothing of the target before, accepted or refused', () => {
    const out = new CanonicalTarget();
    assert.ok(canonicalizeTarget('https://h//a%2Fb?secret=1', 'GET', out));
    assert.equal(canonicalizeTarget('/x#', 'GET', out), false);
    assert.deepEqual(out, Object.assign(new CanonicalTarget(), { reason: 'a # in the target' }));
    assert.ok(canonicalizeTarget('*', 'OPTIONS', out));
    assert.ok(canonicalizeTarget('/a', 'GET', out));
    const path = { path: '/a', matchPath: '/a', unmergedPath: '/a', unmergedMatchPath: '/a' };
    assert.deepEqual(out, Object.assign(new CanonicalTarget(), path));
    assert.equal(canonicalizeTarget('/a?secret=1#', 'GET', out), false);
    assert.deepEqual([out.path, out.query], ['', '']);
  });
});

describe('canonicalizePath', () => {
  it('replaces what is known of the path and nothing else', () => {
    const out = canonical('http://h:1/a%2Fb?q');
    assert.ok(canonicalizePath('/c/./d', out));
    assert.deepEqual(
      [out.path, out.hasEncodedSlash, out.query, out.authority, out.scheme],
      ['/c/d', false, 'q', 'h:1', 'http'],
    );
  });

  it('refuses what is no path, a query included', () => {
    const out = new CanonicalTarget();
    for (const path of ['', 'a', '*', '/a?b', '/a#b', 'http://h/', '?']) {
      assert.equal(canonicalizePath(path, out), false, path);
      assert.deepEqual([out.path, out.reason !== ''], ['', true]);
    }
  });
});
