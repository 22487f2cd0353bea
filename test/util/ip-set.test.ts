import assert from 'node:assert/strict';
import { BlockList, SocketAddress, isIP } from 'node:net';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { IpSet, canonicalIp, formatIp, parseIp } from '../../src/util/ip-set.ts';

const word = fc.integer({ min: 0, max: 0xffff_ffff });
const ipv4 = word.map((value) => formatIp({ family: 4, words: [value] }));
/** Words with many zeros, so that runs to shorten are common; IPv4-mapped ones have a test of their own. */
const sparseWord = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }), word);
const ipv6 = fc
  .tuple(sparseWord, sparseWord, sparseWord, sparseWord)
  .filter(([a, b, c]) => a !== 0 || b !== 0 || c !== 0xffff)
  .map((words) => formatIp({ family: 6, words }));

describe('parseIp and canonicalIp', () => {
  const canonical: readonly (readonly [text: string, expected: string | null])[] = [
    ['1.2.3.4', '1.2.3.4'],
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:DB8::0:1', '2001:db8::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::FFFF:0a00:0001', '10.0.0.1'],
    ['0:0:0:0:0:ffff:10.0.0.1', '10.0.0.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['::1.2.3.4', '::102:304'],
    ['fe80::1%eth0', 'fe80::1'],
    ['1.2.3.4%eth0', null],
    ['', null],
    ['01.2.3.4', null],
    ['1.2.3', null],
    ['1.2.3.4.5', null],
    ['1.2.3.256', null],
    ['1.2.3.', null],
    ['.1.2.3', null],
    ['0x1.2.3.4', null],
    ['1.2.3.4 ', null],
    ['1.2.3.4:80', null],
    ['[::1]', null],
    [':', null],
    [':::', null],
    ['1:::2', null],
    ['1::2::3', null],
    ['1:2:3:4:5:6:7', null],
    ['1:2:3:4:5:6:7:8:9', null],
    ['1:2:3:4:5:6:7:8::', null],
    ['::1:2:3:4:5:6:7:8', null],
    ['1:2:3:4:5:6:7:1.2.3.4', null],
    ['12345::', null],
    ['g::', null],
    ['1:2:3:4:5:6:7:', null],
    [':1:2:3:4:5:6:7', null],
    ['::1.2.3', null],
    ['::01.2.3.4', null],
    ['::1.2.3.4:5', null],
    ['9'.repeat(200), null],
  ];
  for (const [text, expected] of canonical) {
    it(`reads ${JSON.stringify(text.slice(0, 40))} as ${expected}`, () => assert.equal(canonicalIp(text), expected));
  }

  it('gives the words of an address, most significant first', () => {
    assert.deepEqual(parseIp('1.2.3.4'), { family: 4, words: [0x01020304] });
    assert.deepEqual(parseIp('2001:db8::1'), { family: 6, words: [0x20010db8, 0, 0, 1] });
    assert.equal(parseIp('fe80::1%eth0'), null);
  });

  it('accepts exactly what node:net takes for an address', () => {
    const piece = fc.constantFrom(
      '0',
      '1',
      '9',
      '255',
      '256',
      'a',
      'fF',
      'ffff',
      '::',
      ':',
      '.',
      '00',
      '%',
      '/',
      ' ',
      '-',
    );
    const junk = fc.array(piece, { maxLength: 17 }).map((pieces) => pieces.join(''));
    const mutated = fc
      .tuple(fc.oneof(ipv4, ipv6), fc.nat({ max: 40 }), piece)
      .map(([address, at, insert]) => address.slice(0, at) + insert + address.slice(at + 1));
    fc.assert(
      fc.property(fc.oneof(junk, mutated, ipv4, ipv6), (text) => {
        fc.pre(!text.includes('%'));
        assert.equal(parseIp(text) !== null, isIP(text) !== 0, text);
      }),
      { numRuns: 5000 },
    );
  });

  it('writes IPv6 as node:net does, and reads its own writing back', () => {
    fc.assert(
      fc.property(ipv6, (text) => {
        const words = parseIp(text)!.words;
        const long = words.map((value) => `${(value >>> 16).toString(16)}:${(value & 0xffff).toString(16)}`).join(':');
        assert.equal(canonicalIp(long), text);
        // The address that the platform writes for IPv4-compatible ones ends in dotted decimal; RFC 5952 leaves it open.
        const platform = new SocketAddress({ address: long, family: 'ipv6' }).address;
        assert.equal(canonicalIp(platform), text);
        if (!platform.includes('.')) assert.equal(text, platform);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('IpSet', () => {
  it('holds what node:net BlockList holds', () => {
    // Few bits differ, so that hits and misses are both common.
    const nearV4 = fc.tuple(fc.constantFrom(10, 192), fc.nat({ max: 3 }), fc.nat({ max: 3 }), fc.nat({ max: 255 }));
    const v4 = fc.oneof(
      ipv4,
      nearV4.map((octets) => octets.join('.')),
    );
    const v6 = fc.oneof(
      ipv6,
      fc.tuple(fc.nat({ max: 3 }), fc.nat({ max: 3 })).map(([a, b]) => canonicalIp(`2001:db8:${a}::${b}`)!),
    );
    const block = fc.oneof(
      fc.record({ address: v4, prefix: fc.nat({ max: 32 }), family: fc.constant('ipv4' as const) }),
      fc.record({ address: v6, prefix: fc.nat({ max: 128 }), family: fc.constant('ipv6' as const) }),
    );
    fc.assert(
      fc.property(fc.array(block, { maxLength: 12 }), fc.array(v4), fc.array(v6), (blocks, v4s, v6s) => {
        const set = IpSet.parse(blocks.map(({ address, prefix }) => `${address}/${prefix}`));
        const oracles = { ipv4: new BlockList(), ipv6: new BlockList() };
        for (const { address, prefix, family } of blocks) oracles[family].addSubnet(address, prefix, family);
        const edges = blocks.map(({ address }) => address);
        for (const address of [...v4s, ...v6s, ...edges]) {
          const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
          assert.equal(set.has(address), oracles[family].check(address, family), address);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('takes IPv4-mapped IPv6 for the IPv4 address it maps, in entries and in questions', () => {
    const set = IpSet.parse(['10.0.0.0/8', '::ffff:192.168.0.0/112']);
    assert.equal(set.has('::ffff:10.1.2.3'), true);
    assert.equal(set.has('::ffff:a01:203'), true);
    assert.equal(set.has('192.168.255.255'), true);
    assert.equal(set.has('192.169.0.0'), false);
    assert.equal(IpSet.parse(['::/0']).has('10.1.2.3'), false);
    assert.equal(IpSet.parse(['0.0.0.0/0']).has('::ffff:10.1.2.3'), true);
    assert.equal(IpSet.parse(['0.0.0.0/0']).has('::1'), false);
  });

  it('holds no text that is not an address', () => {
    const everything = IpSet.parse(['0.0.0.0/0', '::/0']);
    for (const text of ['', 'localhost', '1.2.3.4/8', '[::1]', '1.2.3.4\n', 'fe80::1%eth0']) {
      assert.equal(everything.has(text), false, text);
    }
  });

  it('knows the peers of a Unix socket, whose address is empty, only when asked to', () => {
    assert.equal(IpSet.parse(['unix:']).has(''), true);
    assert.equal(IpSet.parse(['unix:']).has('127.0.0.1'), false);
    assert.equal(IpSet.parse(['127.0.0.1']).has(''), false);
  });

  it('is empty only when nothing is in it', () => {
    assert.equal(IpSet.parse([]).isEmpty, true);
    assert.equal(IpSet.parse(['unix:']).isEmpty, false);
    assert.equal(IpSet.parse(['::1']).isEmpty, false);
  });

  it('ignores the bits behind the prefix', () => {
    assert.equal(IpSet.parse(['127.0.0.1/8']).has('127.255.0.9'), true);
  });

  for (const bad of [
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '10.0.0/8',
    'example.com',
    '',
    ' ::1',
    '::ffff:10.0.0.0/95',
    'fe80::1%eth0',
    '10.0.0.0/8/8',
    'unix:/run/x.sock',
    '10.0.0.0/1e1',
  ]) {
    it(`refuses the entry ${JSON.stringify(bad)} and names it`, () => {
      assert.throws(
        () => IpSet.parse(['10.0.0.0/8', bad]),
        (error: unknown) => error instanceof TypeError && error.message.includes(JSON.stringify(bad)),
      );
    });
  }
});
