import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { formatAuthority, parseAuthority, parseForwardedAuthority } from '../../src/http/host.ts';

describe('parseAuthority', () => {
  const valid: readonly (readonly [text: string, host: string, port: number])[] = [
    ['localhost', 'localhost', 0],
    ['LOCALHOST:80', 'localhost', 80],
    ['api.Example.com', 'api.example.com', 0],
    ['localhost.', 'localhost', 0],
    ['api.example.com.:443', 'api.example.com', 443],
    ['my_service-1:65535', 'my_service-1', 65_535],
    ['localhost:0', 'localhost', 0],
    ['localhost:', 'localhost', 0],
    ['192.0.2.1:8080', '192.0.2.1', 8080],
    ['[::1]', '::1', 0],
    ['[2001:DB8:0:0::1]:443', '2001:db8::1', 443],
    ['[::ffff:192.0.2.1]', '192.0.2.1', 0],
    ['0.0.0.0=5000', '0.0.0.0=5000', 0],
    ["a~!$&'()*+;=b", "a~!$&'()*+;=b", 0],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example', 0],
  ];
  for (const [text, host, port] of valid) {
    it(`reads ${text}`, () => assert.deepEqual(parseAuthority(text), { host, port }));
  }

  const invalid: readonly (readonly [text: string, why: string])[] = [
    ['', 'nothing at all'],
    [':80', 'an empty host'],
    ['.', 'the root'],
    ['.example.com', 'an empty label'],
    ['a..example.com', 'an empty label'],
    ['example.com..', 'an empty label'],
    ['localhost/evil', 'a path'],
    ['localhost?x', 'a query'],
    ['localhost#x', 'a fragment'],
    ['u@localhost', 'user information'],
    ['u:p@localhost', 'user information and password'],
    ['local host', 'a space'],
    [' localhost', 'leading white space'],
    ['localhost\t', 'trailing white space'],
    ['localhost, evil', 'a list'],
    ['localhost,evil', 'a list without a space'],
    ['localhost:99999', 'a port that does not exist'],
    ['localhost:65536', 'a port that does not exist'],
    ['localhost:000080', 'a port of six digits'],
    ['localhost:-1', 'a port that is no number'],
    ['localhost:+80', 'a port with a sign'],
    ['localhost:8 0', 'a port with a space'],
    ['localhost:80:80', 'two ports'],
    ['localhost:0x50', 'a hexadecimal port'],
    ['localhost\\evil', 'a backslash'],
    ['http://localhost', 'a URL'],
    ['localhost\0.evil', 'NUL'],
    ['local\rhost', 'CR'],
    ['localhost\n', 'a line break at the end'],
    ['localh\u00f6st', 'a letter outside ASCII'],
    ['localhos\u0174', 'a letter whose low byte is in ASCII'],
    ['\u212aelvin', 'a letter that folds to ASCII'],
    ['[:::]', 'no IPv6 address'],
    ['[fe80::1%25eth0]', 'a zone'],
    ['[fe80::1%eth0]', 'a raw zone'],
    ['[::1', 'an open bracket'],
    ['::1', 'an IPv6 address without brackets'],
    ['[::1]x', 'text behind the bracket'],
    ['[::1]80', 'a port without colon'],
    ['[127.0.0.1]', 'an IPv4 address in brackets'],
    ['[localhost]', 'a name in brackets'],
    ['[v1.x]', 'a future kind of address'],
    ['[]', 'empty brackets'],
    ['"localhost"', 'quotes'],
    ['a|b', 'a pipe'],
    ['a%41', 'an escape'],
    ['a%2eb', 'an escaped dot'],
    [`${'a.'.repeat(127)}a`, 'a name longer than DNS can carry'],
    ['a'.repeat(100_000), 'an endless name'],
  ];
  for (const [text, why] of invalid) {
    it(`refuses ${why}: ${JSON.stringify(text.slice(0, 40))}`, () => assert.equal(parseAuthority(text), null));
  }

  it('reads the longest name that there is', () => {
    const longest = `${'a.'.repeat(126)}a`;
    assert.equal(longest.length, 253);
    assert.deepEqual(parseAuthority(`${longest}.:65535`), { host: longest, port: 65_535 });
  });

  it('remembers spellings without ever confusing them, also when more come than it remembers', () => {
    const host = (i: number): string => `host-${i}.example.com:${i}`;
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 1000; i++) {
        assert.deepEqual(parseAuthority(host(i)), { host: `host-${i}.example.com`, port: i });
      }
    }
    const recent = parseAuthority(host(999));
    assert.equal(parseAuthority(host(999)), recent, 'the same object');
    for (let i = 0; i < 999; i++) parseAuthority(host(i));
    assert.notEqual(parseAuthority(host(999)), recent, 'made again');
  });

  it('never throws, and what it accepts the URL parser reads as the same host', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 30 }),
      fc
        .array(fc.constantFrom('a', 'B', '.', '-', '_', ':', '[', ']', '::', '1', '80', '@', '%', ',', 'x', '0'), {
          maxLength: 8,
        })
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (authority) => {
        const parsed = parseAuthority(authority);
        if (parsed === null) return;
        assert.match(parsed.host, /^[\da-z._:~!$&'()*+;=-]+$/);
        const url = URL.parse(`ws://${authority}/`);
        // To a URL parser a name that ends in a number is an IPv4 address or invalid; DNS has no such rule.
        if (url === null || /^[\d.]+$/.test(url.hostname)) return;
        assert.equal(url.hostname.replace(/\.$/, '').replace(/^\[|\]$/g, ''), parsed.host);
        assert.equal(url.port.replace(/^0$/, ''), parsed.port === 80 || parsed.port === 0 ? '' : String(parsed.port));
      }),
      { numRuns: 5000 },
    );
  });
});

describe('parseForwardedAuthority', () => {
  it('reads what hosts on the web are called, and writes it back', () => {
    for (const [text, host, port] of [
      ['Example.COM', 'example.com', 0],
      ['example.com.', 'example.com', 0],
      ['my_service-1:8080', 'my_service-1', 8080],
      ['[2001:DB8::1]:443', '2001:db8::1', 443],
      ['[::1]', '::1', 0],
      ['10.0.0.1:10', '10.0.0.1', 10],
    ] as const) {
      assert.deepEqual(parseForwardedAuthority(text), { host, port });
      assert.deepEqual(parseForwardedAuthority(formatAuthority(host, port)), { host, port });
    }
  });

  it('refuses whatever parseAuthority refuses', () => {
    for (const text of [
      '',
      ':80',
      'a:b',
      'a b',
      'a,b',
      'a@b',
      'a/b',
      'a%2fb',
      '::1',
      '[::1',
      '[::1]x',
      '[g::]',
      'a..b',
    ]) {
      assert.equal(parseForwardedAuthority(text), null, text);
    }
    for (const text of ['a:99999', 'a\n', '\u00e4', '[127.0.0.1]', '.', 'a'.repeat(400)]) {
      assert.equal(parseForwardedAuthority(text), null, text);
    }
  });

  it('refuses what a Host field may have, but no host on the web is called', () => {
    for (const text of [
      'a:',
      'a:0',
      'a:000',
      '0.0.0.0=5000',
      'a~b',
      'a!b',
      '$a',
      'a&b',
      "a'b",
      'a(b)',
      'a*',
      'a+b',
      'a;b',
    ]) {
      assert.notEqual(parseAuthority(text), null, text);
      assert.equal(parseForwardedAuthority(text), null, text);
    }
  });
});
