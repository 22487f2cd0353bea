/** RFC 9421 with its own examples (appendices B.2 and B.4), and what a signature must not survive. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import {
  type SignatureAlgorithm,
  type SignatureKey,
  isSignatureOf,
  signatureOf,
  signingKey,
  verificationKey,
} from '../../src/http/signature-algorithms.ts';
import {
  type SignedRequest,
  coverageOf,
  isCovered,
  normalAuthority,
  parseComponent,
  parseSignatures,
  signatureBase,
} from '../../src/http/signature-base.ts';
import { type InnerList, parseDictionary } from '../../src/http/structured-fields.ts';

const pem = (kind: string, text: string): string => `-----BEGIN ${kind}-----\n${text}\n-----END ${kind}-----\n`;

/** The keys of RFC 9421, appendix B.1. */
const rsaPss = pem(
  'PUBLIC KEY',
  `MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2
+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+
oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq
gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W
Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4
aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI
2wIDAQAB`,
);
const p256 = pem(
  'PUBLIC KEY',
  `MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf
w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==`,
);
const ed25519 = pem('PUBLIC KEY', 'MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=');
const ed25519Private = pem('PRIVATE KEY', 'MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF');
const sharedSecret = 'base64:uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==';

const sha512 = 'sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:';

type Fields = Readonly<Record<string, string | readonly string[]>>;

function requestOf(fields: Fields, more: Partial<SignedRequest> = {}): SignedRequest {
  return {
    method: 'POST',
    scheme: 'https',
    authority: 'example.com',
    path: '/foo',
    query: 'param=Value&Pet=dog',
    fields: (name) => [fields[name] ?? []].flat(),
    ...more,
  };
}

/** The request of RFC 9421, appendix B.2. */
const testRequest = requestOf({
  date: 'Tue, 20 Apr 2021 02:07:55 GMT',
  'content-type': 'application/json',
  'content-digest': sha512,
  'content-length': '18',
});

function inputOf(text: string): InnerList {
  return parseDictionary(`sig=${text}`)!.get('sig') as InnerList;
}

function baseOf(request: SignedRequest, input: string): string {
  const base = signatureBase(request, inputOf(input));
  assert.equal(base.problem, undefined);
  return base.text;
}

function isRefused(request: SignedRequest, input: string): boolean {
  return signatureBase(request, inputOf(input)).text === undefined;
}

const holds = (key: SignatureKey, base: string, signature: string): boolean =>
  isSignatureOf(key, Buffer.from(base, 'latin1'), Buffer.from(signature, 'base64'));

interface Example {
  readonly section: string;
  readonly algorithm: SignatureAlgorithm;
  readonly key: string;
  readonly input: string;
  readonly base: readonly string[];
  readonly signature: string;
}

const examples: readonly Example[] = [
  {
    section: 'B.2.1',
    algorithm: 'rsa-pss-sha512',
    key: rsaPss,
    input: '();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd"',
    base: [],
    signature:
      'd2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==',
  },
  {
    section: 'B.2.2',
    algorithm: 'rsa-pss-sha512',
    key: rsaPss,
    input:
      '("@authority" "content-digest" "@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss";tag="header-example"',
    base: ['"@authority": example.com', `"content-digest": ${sha512}`, '"@query-param";name="Pet": dog'],
    signature:
      'LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==',
  },
  {
    section: 'B.2.3',
    algorithm: 'rsa-pss-sha512',
    key: rsaPss,
    input:
      '("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss"',
    base: [
      '"date": Tue, 20 Apr 2021 02:07:55 GMT',
      '"@method": POST',
      '"@path": /foo',
      '"@query": ?param=Value&Pet=dog',
      '"@authority": example.com',
      '"content-type": application/json',
      `"content-digest": ${sha512}`,
      '"content-length": 18',
    ],
    signature:
      'bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==',
  },
  {
    section: 'B.2.5',
    algorithm: 'hmac-sha256',
    key: sharedSecret,
    input: '("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
    base: ['"date": Tue, 20 Apr 2021 02:07:55 GMT', '"@authority": example.com', '"content-type": application/json'],
    signature: 'pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=',
  },
  {
    section: 'B.2.6',
    algorithm: 'ed25519',
    key: ed25519,
    input:
      '("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"',
    base: [
      '"date": Tue, 20 Apr 2021 02:07:55 GMT',
      '"@method": POST',
      '"@path": /foo',
      '"@authority": example.com',
      '"content-type": application/json',
      '"content-length": 18',
    ],
    signature: 'wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==',
  },
];

suite('the examples of RFC 9421, appendix B.2', () => {
  for (const { section, algorithm, key, input, base: lines, signature } of examples) {
    const base = [...lines, `"@signature-params": ${input}`].join('\n');

    test(`${section}: the signature base`, () => {
      assert.equal(baseOf(testRequest, input), base);
    });

    test(`${section}: the signature holds, and for nothing else`, () => {
      const known = verificationKey(algorithm, key);
      assert.equal(holds(known, base, signature), true);
      fc.assert(
        fc.property(fc.nat(base.length - 1), fc.integer({ min: 1, max: 127 }), (at, bits) => {
          const changed = base.slice(0, at) + String.fromCharCode(base.charCodeAt(at) ^ bits) + base.slice(at + 1);
          assert.equal(holds(known, changed, signature), false);
        }),
      );
      const bytes = Buffer.from(signature, 'base64');
      fc.assert(
        fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, bits) => {
          const changed = Buffer.from(bytes);
          changed[at] ^= bits;
          assert.equal(isSignatureOf(known, Buffer.from(base), changed), false);
        }),
      );
      for (const other of [bytes.subarray(1), Buffer.concat([bytes, Buffer.alloc(1)]), Buffer.alloc(0)]) {
        assert.equal(isSignatureOf(known, Buffer.from(base), other), false);
      }
    });
  }

  test('B.2.4: a response, whose base is given: ecdsa-p256-sha256', () => {
    const base = [
      '"@status": 200',
      '"content-type": application/json',
      '"content-digest": sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:',
      '"content-length": 23',
      '"@signature-params": ("@status" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-ecc-p256"',
    ].join('\n');
    const signature = 'wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==';
    const known = verificationKey('ecdsa-p256-sha256', p256);
    assert.equal(holds(known, base, signature), true);
    assert.equal(holds(known, `${base} `, signature), false);
    assert.equal(isRefused(testRequest, '("@status");created=1618884473'), true);
  });

  test('signatures that are the same each time are the ones of the RFC', () => {
    for (const [section, key] of [
      ['B.2.5', signingKey('hmac-sha256', sharedSecret)],
      ['B.2.6', signingKey('ed25519', ed25519Private)],
    ] as const) {
      const { input, signature } = examples.find((example) => example.section === section)!;
      assert.equal(signatureOf(key, Buffer.from(baseOf(testRequest, input))).toString('base64'), signature);
    }
  });
});

suite('components (RFC 9421, section 2)', () => {
  const line = (request: SignedRequest, component: string): string | null => {
    const base = signatureBase(request, inputOf(`(${component})`));
    return base.text === undefined ? null : base.text.split('\n')[0].slice(`${component}: `.length);
  };

  test('derived components (section 2.2)', () => {
    assert.equal(line(testRequest, '"@target-uri"'), 'https://example.com/foo?param=Value&Pet=dog');
    assert.equal(line(testRequest, '"@request-target"'), '/foo?param=Value&Pet=dog');
    assert.equal(line(testRequest, '"@scheme"'), 'https');
    assert.equal(line(requestOf({}, { query: '' }), '"@query"'), '?');
    assert.equal(line(requestOf({}, { query: '' }), '"@target-uri"'), 'https://example.com/foo');
    assert.equal(normalAuthority('WWW.Example.com:443', 'https'), 'www.example.com');
    assert.equal(normalAuthority('www.example.com:443', 'http'), 'www.example.com:443');
    assert.equal(normalAuthority('[2001:db8::80]', 'http'), '[2001:db8::80]');
  });

  test('parameters of the query (section 2.2.8)', () => {
    const request = requestOf(
      {},
      {
        query:
          'var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something&a=1&a=2&q=(x)!',
      },
    );
    assert.equal(line(request, '"@query-param";name="var"'), 'this%20is%20a%20big%0Amultiline%20value');
    assert.equal(line(request, '"@query-param";name="bar"'), 'with%20plus%20whitespace');
    assert.equal(line(request, '"@query-param";name="fa%C3%A7ade%22%3A%20"'), 'something');
    assert.equal(line(request, '"@query-param";name="q"'), '%28x%29%21');
    assert.equal(line(request, '"@query-param";name="a"'), null, 'one that is repeated is nobody’s to choose');
    assert.equal(line(request, '"@query-param";name="none"'), null);
  });

  test('fields, as they are, strict, by a key and in bytes (section 2.1)', () => {
    const request = requestOf({
      'x-obs': ' one ',
      'cache-control': ['max-age=60', '   must-revalidate'],
      'example-dict': ' a=1,    b=2;x=1;y=2,   c=(a   b   c), d',
      'x-empty': '',
      'x-list': ['a, b', 'c'],
      'x-latin': 'caf\u00e9',
    });
    assert.equal(line(request, '"x-obs"'), 'one');
    assert.equal(line(request, '"cache-control"'), 'max-age=60, must-revalidate');
    assert.equal(line(request, '"cache-control";sf'), 'max-age=60, must-revalidate');
    assert.equal(line(request, '"cache-control";key="max-age"'), '60');
    assert.equal(line(request, '"example-dict"'), 'a=1,    b=2;x=1;y=2,   c=(a   b   c), d');
    assert.equal(line(request, '"example-dict";key="a"'), '1');
    assert.equal(line(request, '"example-dict";key="d"'), '?1');
    assert.equal(line(request, '"example-dict";key="b"'), '2;x=1;y=2');
    assert.equal(line(request, '"example-dict";key="c"'), '(a b c)');
    assert.equal(line(request, '"example-dict";key="z"'), null);
    assert.equal(line(request, '"example-dict";sf'), null, 'whose structure nobody has said');
    assert.equal(line(request, '"x-empty"'), '');
    assert.equal(line(request, '"x-list"'), 'a, b, c');
    assert.equal(line(request, '"x-list";bs'), ':YSwgYg==:, :Yw==:');
    assert.equal(line(request, '"x-latin"'), 'caf\u00e9');
    assert.equal(line(request, '"x-missing"'), null);
  });

  test('what is not supported is refused, not left out', () => {
    const request = requestOf({ 'x-a': 'a', trailer: 't' });
    for (const input of [
      '("@status")',
      '("@signature-params")',
      '("@unknown")',
      '("@method";req)',
      '("x-a";req)',
      '("x-a";tr)',
      '("x-a";bs;sf)',
      '("x-a";bs=?0)',
      '("x-a";key=a)',
      '("x-a";unknown)',
      '("X-A")',
      '("x a")',
      '("")',
      '(x-a)',
      '(:eC1h:)',
      '("@query-param")',
      '("@query-param";name="a";req)',
      '("@query-param";name=a)',
      '("@method" "@method")',
      '("x-a" "x-a")',
    ]) {
      assert.equal(isRefused(request, input), true, input);
    }
  });

  test('configurations write them without the quotes', () => {
    const written = (text: string): string | null => {
      const component = parseComponent(text);
      return component === null ? null : baseOf(requestOf({ 'cache-control': 'max-age=1', 'x-a': 'a' }), '()') && text;
    };
    for (const text of ['@method', 'x-a', 'X-A', 'cache-control;key="max-age"', '@query-param;name="Pet"', 'x-a;bs']) {
      assert.notEqual(written(text), null, text);
    }
    for (const text of ['', '@status', 'x a', 'x-a;tr', '"x-a"', '@query-param', 'a"b', 'x-a;', '(a)']) {
      assert.equal(written(text), null, text);
    }
  });

  test('some components say what others say', () => {
    const covers = (ids: string, name: string): boolean =>
      isCovered(coverageOf(parseComponent(name)!), new Set(ids.split(' ')));
    assert.equal(covers('"@target-uri"', '@path'), true);
    assert.equal(covers('"@request-target"', '@query'), true);
    assert.equal(covers('"@method" "x-a"', 'x-a'), true);
    assert.equal(covers('"@request-target"', '@authority'), false);
    assert.equal(covers('"@target-uri"', '@method'), false);
    assert.equal(covers('"@target-uri"', '@query-param;name="a"'), false);
    assert.equal(covers('"content-digest";key="md5"', 'content-digest'), false);
  });
});

suite('transformations of a message (RFC 9421, appendix B.4)', () => {
  const input = '("@path" "@query" "@authority" "accept")';
  const original = requestOf(
    { accept: ['application/json', '*/*'] },
    { method: 'GET', authority: 'example.org', path: '/demo', query: 'name1=Value1&Name2=value2' },
  );

  test('those that change nothing that is signed', () => {
    const expected = [
      '"@path": /demo',
      '"@query": ?name1=Value1&Name2=value2',
      '"@authority": example.org',
      '"accept": application/json, */*',
      `"@signature-params": ${input}`,
    ].join('\n');
    assert.equal(baseOf(original, input), expected);
    const combined = { ...original, fields: () => ['application/json, */*'] };
    assert.equal(baseOf(combined, input), expected);
    assert.equal(baseOf({ ...original, method: 'POST' }, input), expected);
  });

  test('those that do', () => {
    const before = baseOf(original, input);
    for (const change of [
      { query: 'Name2=value2&name1=Value1' },
      { query: 'name1=Value1&name2=value2' },
      { path: '/Demo' },
      { authority: 'example.com' },
      { fields: () => ['*/*', 'application/json'] },
    ]) {
      assert.notEqual(baseOf({ ...original, ...change }, input), before);
    }
  });
});

suite('the fields Signature-Input and Signature (RFC 9421, section 4)', () => {
  test('one signature for each label', () => {
    const found = parseSignatures('a=("@method");created=1, b=();created=2', 'b=:AA==:, a=:AQ==:')!;
    assert.deepEqual(
      found.map(({ label, signature }) => [label, signature[0]]),
      [
        ['a', 1],
        ['b', 0],
      ],
    );
  });

  test('what does not belong together is refused as a whole', () => {
    for (const [inputs, signatures] of [
      ['', 'a=:AA==:'],
      ['a=()', ''],
      ['a=()', 'b=:AA==:'],
      ['a=(), b=()', 'a=:AA==:'],
      ['a=()', 'a="AA=="'],
      ['a=()', 'a=(:AA==:)'],
      ['a=1', 'a=:AA==:'],
      ['a=(', 'a=:AA==:'],
      [`a=(${'"x" '.repeat(65)})`, 'a=:AA==:'],
      [
        Array.from({ length: 9 }, (_, i) => `s${i}=()`).join(),
        Array.from({ length: 9 }, (_, i) => `s${i}=:AA==:`).join(),
      ],
    ]) {
      assert.equal(parseSignatures(inputs, signatures), null, `${inputs} ${signatures}`);
    }
  });
});
