import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { OriginSet, isOrigin, isPreflight } from '../../src/http/cors.ts';
import { HeaderFields } from '../../src/http/header-fields.ts';

suite('a set of origins', () => {
  const cases: readonly (readonly [pattern: string, listed: readonly string[], unlisted: readonly string[]])[] = [
    [
      'https://shop.example.com',
      ['https://shop.example.com'],
      [
        'http://shop.example.com',
        'https://shop.example.com:8443',
        'https://shop.example.com.evil.example',
        'https://evil.example/https://shop.example.com',
        'https://shop.example.com/',
        'https://shop.example.com ',
        'https://SHOP.example.com',
        'https://x.shop.example.com',
        'null',
        '',
      ],
    ],
    [
      'https://*.bar.com',
      ['https://www.bar.com', 'https://xpto.www.bar.com', 'https://a_b-c.bar.com'],
      [
        'https://bar.com',
        'https://.bar.com',
        'https://foobar.com',
        'https://a..bar.com',
        'https://a..b.bar.com',
        'https://.a.bar.com',
        'https://a.bar.com.evil.example',
        'https://a.bar.com:8443',
        'http://www.bar.com',
        'https://evil.example/.bar.com',
        'https://evil.example#.bar.com',
        'https://evil.example?.bar.com',
        'https://evil.example\\.bar.com',
        'https://evil.example:80.bar.com',
        'https://user@evil.bar.com',
        'https://%65vil.bar.com',
        'https://evil bar.bar.com',
        'https://*.bar.com',
      ],
    ],
    ['https://*.bar.com:8443', ['https://www.bar.com:8443'], ['https://www.bar.com', 'https://www.bar.com:84433']],
    ['null', ['null'], ['', 'NULL', 'https://null']],
    ['*', [], ['null', 'https://a.example']],
  ];
  for (const [pattern, listed, unlisted] of cases) {
    test(`"${pattern}" lists what it says and nothing that merely looks like it`, () => {
      const origins = new OriginSet([pattern]);
      for (const origin of listed) assert.ok(origins.lists(origin), origin);
      for (const origin of unlisted) assert.ok(!origins.lists(origin), origin);
      assert.equal(origins.any, pattern === '*');
    });
  }

  const spellings: readonly (readonly [written: string, sent: string])[] = [
    ['HTTPS://Shop.Example.COM', 'https://shop.example.com'],
    ['https://shop.example.com:443', 'https://shop.example.com'],
    ['http://localhost:80', 'http://localhost'],
    ['http://localhost:3000', 'http://localhost:3000'],
    ['https://bücher.example', 'https://xn--bcher-kva.example'],
    ['http://[2001:DB8:0::1]:8080', 'http://[2001:db8::1]:8080'],
    ['Capacitor://localhost', 'capacitor://localhost'],
    ['https://*.BAR.com:443', 'https://a.bar.com'],
  ];
  for (const [written, sent] of spellings) {
    test(`"${written}" is what browsers send as "${sent}"`, () => {
      assert.ok(new OriginSet([written]).lists(sent));
    });
  }

  const mistakes = [
    '',
    'shop.example.com',
    'https://',
    'https://shop.example.com/',
    'https://shop.example.com/path',
    'https://shop.example.com?x',
    'https://user@shop.example.com',
    'https://shop.example.com:99999',
    'https://*',
    'https://shop.*.com',
    'https://*shop.example.com',
    '*.example.com',
    'https://a b.example',
    'app://x:y',
    'https://a.example, https://b.example',
  ];
  for (const pattern of mistakes) {
    test(`"${pattern}" is refused with a sentence that quotes it`, () => {
      assert.throws(() => new OriginSet([pattern]), { name: 'TypeError', message: /^"[^]*" is not an origin: / });
    });
  }

  test('lists, for a wildcard, exactly the hosts that the URL parser puts below its domain', () => {
    const origins = new OriginSet(['https://*.bar.com']);
    const piece = fc.constantFrom(
      'a',
      'www',
      '.',
      '..',
      '/',
      '@',
      '#',
      '?',
      ':',
      '8',
      '\\',
      '%2e',
      'bar.com',
      '.bar.com',
      '*',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
        const origin = `https://${pieces.join('')}`;
        if (!origins.lists(origin)) return;
        const url = new URL(origin);
        assert.equal(url.origin, origin);
        assert.ok(url.hostname.endsWith('.bar.com'));
      }),
    );
  });
});

suite('a text from outside has the form of an origin', () => {
  const origins = [
    'https://a.example',
    'http://localhost:3000',
    'http://[::1]:80',
    'chrome-extension://abcdef',
    'a+b.c://d',
  ];
  for (const text of origins) test(`when it is ${text}`, () => assert.ok(isOrigin(text)));

  const others = [
    '',
    'null',
    '*',
    'https://',
    '://a',
    'https//a',
    'https://a/b',
    'https://a b',
    'https://a,https://b',
    'https://A',
    'https://a"',
    'https://a\t',
    'a://b\u00e9',
  ];
  for (const text of others) test(`but not when it is ${JSON.stringify(text)}`, () => assert.ok(!isOrigin(text)));
});

suite('a preflight', () => {
  const headers = HeaderFields.from([
    ['Origin', 'https://a.example'],
    ['Access-Control-Request-Method', 'PUT'],
  ]);

  test('is an OPTIONS request with an origin and the method it asks for', () => {
    assert.ok(isPreflight('OPTIONS', headers));
  });
  test('is nothing else', () => {
    assert.ok(!isPreflight('GET', headers));
    assert.ok(!isPreflight('OPTIONS', HeaderFields.from([['origin', 'https://a.example']])));
    assert.ok(!isPreflight('OPTIONS', HeaderFields.from([['access-control-request-method', 'PUT']])));
  });
});
