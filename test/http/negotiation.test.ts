import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { HeaderFields } from '../../src/http/header-fields.ts';
import { listHas, negotiateEncoding, varyOn } from '../../src/http/negotiation.ts';

const OFFERED = ['zstd', 'br', 'gzip'] as const;

suite('the content coding that Accept-Encoding asks for', () => {
  const cases: readonly (readonly [accept: string, coding: string | null, because: string])[] = [
    ['', null, 'nothing is asked for'],
    ['gzip', 'gzip', 'it is the only one'],
    ['GZip', 'gzip', 'codings are case-insensitive (RFC 9110, section 8.4.1)'],
    ['x-gzip', 'gzip', 'x-gzip is gzip (RFC 9110, section 8.4.1.3)'],
    ['gzip, deflate, br, zstd', 'zstd', 'of equals the first that is offered'],
    ['gzip, deflate, br', 'br', 'of equals the first that is offered'],
    ['deflate', null, 'it is not offered'],
    ['*', 'zstd', '* is any of them'],
    ['zstd;q=0, *', 'br', '* is any of those that are not mentioned'],
    ['*;q=0', null, 'none is acceptable'],
    ['*;q=0, gzip', 'gzip', 'a mention goes before *'],
    ['br;q=0.5, gzip;q=0.8', 'gzip', 'the higher weight wins'],
    ['br;q=0.001, gzip;q=0.002', 'gzip', 'weights have three digits'],
    ['br;q=1.000, gzip;q=0.999', 'br', 'weights have three digits'],
    ['gzip;q=0', null, 'weight 0 is a refusal'],
    ['gzip;q=0.000', null, 'weight 0 is a refusal'],
    ['identity', null, 'only identity is asked for'],
    ['identity, gzip', 'gzip', 'identity is no better than gzip'],
    ['identity;q=1, gzip;q=0.5', null, 'identity is preferred'],
    ['identity;q=0.5, gzip;q=0.5', 'gzip', 'identity is no better than gzip'],
    ['identity;q=0', null, 'nothing acceptable is offered, so the body stays plain'],
    ['identity;q=0, gzip', 'gzip', 'identity is refused'],
    ['identity;q=0, *', 'zstd', 'identity is refused, all others are welcome'],
    ['gzip ; q=0.5 , br ;Q=0.4', 'gzip', 'blanks and the case of q do not count'],
    ['\tgzip\t', 'gzip', 'a tab is a blank'],
    [',,gzip,,', 'gzip', 'empty members are ignored (RFC 9110, section 5.6.1)'],
    ['gzip;q=1.5', null, 'a weight above 1 is malformed'],
    ['gzip;q=-1', null, 'a negative weight is malformed'],
    ['gzip;q=', null, 'a missing weight is malformed'],
    ['gzip;q=0.1234', null, 'four digits are malformed'],
    ['gzip;q=1.001', null, 'a weight above 1 is malformed'],
    ['gzip;level=9', null, 'there is no such parameter'],
    ['gzip;q=0.5;q=1', null, 'there is one weight'],
    ['gzip;q=zero, br', 'br', 'a malformed member does not spoil the others'],
    ['gzipped, xgzip, gzi', null, 'names are compared as wholes'],
    ['g zip', null, 'that is no token'],
  ];
  for (const [accept, coding, because] of cases) {
    test(`"${accept}" gives ${coding ?? 'identity'}: ${because}`, () => {
      assert.equal(negotiateEncoding(accept, OFFERED), coding);
    });
  }

  test('is never one that was refused, and always one of those that are offered', () => {
    const member = fc.tuple(
      fc.constantFrom('zstd', 'br', 'gzip', 'identity', '*', 'deflate'),
      fc.constantFrom('', ';q=0', ';q=1', ';q=0.5', '; q=0.0', ';q=x'),
    );
    fc.assert(
      fc.property(fc.array(member), (members) => {
        const coding = negotiateEncoding(members.map(([name, weight]) => name + weight).join(','), OFFERED);
        if (coding === null) return;
        assert.ok(OFFERED.includes(coding));
        const first = members.find(([name, weight]) => [coding, '*'].includes(name as never) && weight !== ';q=x');
        assert.ok(first !== undefined, 'nobody asked for it');
        const own = members.find(([name, weight]) => name === coding && weight !== ';q=x');
        assert.ok(own === undefined || !['; q=0.0', ';q=0'].includes(own[1]), 'it was refused');
      }),
    );
  });

  test('is found in any text without throwing, in time that grows with its length only', () => {
    fc.assert(fc.property(fc.string({ maxLength: 200 }), (accept) => void negotiateEncoding(accept, OFFERED)));
    assert.equal(negotiateEncoding(`${'gzip;q=x,'.repeat(20_000)}br`, OFFERED), 'br');
  });
});

suite('the members of a list', () => {
  const cases: readonly (readonly [list: string, name: string, has: boolean])[] = [
    ['no-transform', 'no-transform', true],
    ['public, No-Transform, max-age=1', 'no-transform', true],
    ['max-age=60', 'max-age', true],
    ['max-age =60', 'max-age', true],
    ['no-transformation', 'no-transform', false],
    ['x-no-transform', 'no-transform', false],
    ['private="a, no-transform, b"', 'no-transform', false],
    ['private="a\\", no-transform, b"', 'no-transform', false],
    ['private="a", no-transform', 'no-transform', true],
    ['', 'no-transform', false],
    [', ,', 'no-transform', false],
    ['*', '*', true],
  ];
  for (const [list, name, has] of cases) {
    test(`${JSON.stringify(list)} ${has ? 'has' : 'has not'} ${name}`, () => assert.equal(listHas(list, name), has));
  }
});

suite('Vary', () => {
  function varyAfter(...before: string[]): string[] {
    const headers = HeaderFields.from(before.map((value) => ['Vary', value] as const));
    varyOn(headers, 'Origin');
    return headers.getAll('vary');
  }

  test('is added when there is none', () => assert.deepEqual(varyAfter(), ['Origin']));
  test('keeps what it says already', () => assert.deepEqual(varyAfter('Accept'), ['Accept, Origin']));
  test('becomes one field of several', () =>
    assert.deepEqual(varyAfter('Accept', 'Cookie'), ['Accept, Cookie, Origin']));
  test('names a field once, whatever its case', () =>
    assert.deepEqual(varyAfter('accept, ORIGIN'), ['accept, ORIGIN']));
  test('is not made more precise than *', () => assert.deepEqual(varyAfter('*'), ['*']));
});
