import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { type ProxyHeader, decodeProxyHeader } from '../../src/wire/proxy-protocol.ts';
import { parseIp } from '../../src/util/ip-set.ts';

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

function v2(command: number, family: number, payload: Buffer): Buffer {
  const head = Buffer.from([command, family, payload.length >> 8, payload.length & 0xff]);
  return Buffer.concat([signature, head, payload]);
}

function tlv(type: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type, value.length >> 8, value.length & 0xff]), value]);
}

function addressBytes(address: string): Buffer {
  const words = parseIp(address)!.words;
  const bytes = Buffer.alloc(words.length * 4);
  words.forEach((word, index) => bytes.writeUInt32BE(word, index * 4));
  return bytes;
}

function ports(source: number, destination: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16BE(source, 0);
  bytes.writeUInt16BE(destination, 2);
  return bytes;
}

const tcp4Payload = Buffer.concat([addressBytes('203.0.113.9'), addressBytes('198.51.100.1'), ports(56_324, 443)]);
const tcp4 = {
  sourceAddress: '203.0.113.9',
  sourcePort: 56_324,
  destinationAddress: '198.51.100.1',
  destinationPort: 443,
};
const tcp6 = {
  sourceAddress: '2001:db8::9',
  sourcePort: 1,
  destinationAddress: '2001:db8::1',
  destinationPort: 65_535,
};
const tcp6Payload = Buffer.concat([addressBytes('2001:db8::9'), addressBytes('2001:db8::1'), ports(1, 65_535)]);
const text = (line: string): Buffer => Buffer.from(line, 'latin1');

interface Case {
  readonly name: string;
  readonly header: Buffer;
  readonly connection: Extract<ProxyHeader, { kind: 'complete' }>['connection'];
}

const valid: readonly Case[] = [
  { name: 'TCP4', header: text('PROXY TCP4 203.0.113.9 198.51.100.1 56324 443\r\n'), connection: tcp4 },
  { name: 'TCP6', header: text('PROXY TCP6 2001:DB8::9 2001:db8:0:0::1 1 65535\r\n'), connection: tcp6 },
  {
    name: 'TCP6 with a mapped source',
    header: text('PROXY TCP6 ::ffff:203.0.113.9 ::ffff:198.51.100.1 56324 443\r\n'),
    connection: tcp4,
  },
  { name: 'UNKNOWN', header: text('PROXY UNKNOWN\r\n'), connection: null },
  {
    name: 'UNKNOWN of the greatest length',
    header: text(`PROXY UNKNOWN ${'f'.repeat(91)}\r\n`),
    connection: null,
  },
  { name: 'TCP over IPv4, version 2', header: v2(0x21, 0x11, tcp4Payload), connection: tcp4 },
  { name: 'TCP over IPv6, version 2', header: v2(0x21, 0x21, tcp6Payload), connection: tcp6 },
  {
    name: 'mapped IPv6, version 2',
    header: v2(
      0x21,
      0x21,
      Buffer.concat([
        Buffer.from('00000000000000000000ffffcb007109', 'hex'),
        Buffer.from('00000000000000000000ffffc6336401', 'hex'),
        ports(56_324, 443),
      ]),
    ),
    connection: tcp4,
  },
  {
    name: 'a Unix stream, version 2',
    header: v2(0x21, 0x31, Buffer.alloc(216, 0x41)),
    connection: { sourceAddress: '', sourcePort: 0, destinationAddress: '', destinationPort: 0 },
  },
  { name: 'LOCAL', header: v2(0x20, 0x00, Buffer.alloc(0)), connection: null },
  { name: 'LOCAL with addresses', header: v2(0x20, 0x11, tcp4Payload), connection: null },
  { name: 'LOCAL with an unknown family and any payload', header: v2(0x20, 0xff, Buffer.alloc(5)), connection: null },
  { name: 'UNSPEC', header: v2(0x21, 0x00, Buffer.alloc(7)), connection: null },
  {
    name: 'TLVs',
    header: v2(0x21, 0x11, Buffer.concat([tcp4Payload, tlv(0x01, text('h2')), tlv(0x04, Buffer.alloc(0))])),
    connection: tcp4,
  },
  {
    name: 'the greatest length, version 2',
    header: v2(0x21, 0x11, Buffer.concat([tcp4Payload, tlv(0x04, Buffer.alloc(4096 - 12 - 3))])),
    connection: tcp4,
  },
];

describe('decodeProxyHeader', () => {
  for (const { name, header, connection } of valid) {
    it(`reads ${name}`, () => {
      const expected = { kind: 'complete', bytes: header.length, connection };
      assert.deepEqual(decodeProxyHeader(header), expected);
      const behind = Buffer.concat([header, text('GET / HTTP/1.1\r\n\r\n')]);
      assert.deepEqual(decodeProxyHeader(behind), expected, 'what follows the header is not touched');
    });

    it(`waits at every byte of ${name}`, () => {
      for (let length = 0; length < header.length; length++) {
        assert.deepEqual(decodeProxyHeader(header.subarray(0, length)), { kind: 'incomplete' }, `${length} bytes`);
      }
    });
  }

  const refused: readonly (readonly [name: string, bytes: Buffer])[] = [
    ['HTTP', text('GET / HTTP/1.1\r\n')],
    ['the first byte of TLS', Buffer.from([0x16])],
    ['another name', text('PROXX')],
    ['lower case', text('proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n')],
    ['an unknown protocol', text('PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n')],
    ['UNKNOWN run together with something', text('PROXY UNKNOWNX\r\n')],
    ['two spaces', text('PROXY  TCP4 1.2.3.4 1.2.3.4 1 1\r\n')],
    ['a tab', text('PROXY TCP4\t1.2.3.4 1.2.3.4 1 1\r\n')],
    ['a trailing space', text('PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n')],
    ['too few parts', text('PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n')],
    ['no parts', text('PROXY TCP4\r\n')],
    ['an empty line', text('PROXY \r\n')],
    ['IPv6 in TCP4', text('PROXY TCP4 ::1 ::1 1 1\r\n')],
    ['IPv4 in TCP6', text('PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n')],
    ['a leading zero in an address', text('PROXY TCP4 01.2.3.4 1.2.3.4 1 1\r\n')],
    ['a leading zero in a port', text('PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n')],
    ['a port that is too large', text('PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n')],
    ['a signed port', text('PROXY TCP4 1.2.3.4 1.2.3.4 1 +1\r\n')],
    ['a host name', text('PROXY TCP4 localhost 1.2.3.4 1 1\r\n')],
    ['a bare LF', text(`PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n${' '.repeat(107)}`)],
    ['a line of 108 bytes', text(`PROXY UNKNOWN ${'f'.repeat(92)}\r\n`)],
    ['version 1 in binary', v2(0x11, 0x11, tcp4Payload)],
    ['version 3', v2(0x31, 0x11, tcp4Payload)],
    ['an unknown command', v2(0x22, 0x11, tcp4Payload)],
    ['an unknown family', v2(0x21, 0x41, tcp4Payload)],
    ['UDP', v2(0x21, 0x12, tcp4Payload)],
    ['addresses that are cut off', v2(0x21, 0x11, tcp4Payload.subarray(0, 11))],
    ['IPv6 with the length of IPv4', v2(0x21, 0x21, tcp4Payload)],
    ['a payload of 4097 bytes', v2(0x21, 0x11, Buffer.alloc(4097)).subarray(0, 16)],
    ['a TLV that is cut off', v2(0x21, 0x11, Buffer.concat([tcp4Payload, Buffer.from([1, 0])]))],
    ['a TLV that is longer than the header', v2(0x21, 0x11, Buffer.concat([tcp4Payload, Buffer.from([1, 0, 2, 0])]))],
    ['a checksum of the wrong length', v2(0x21, 0x11, Buffer.concat([tcp4Payload, tlv(3, Buffer.alloc(3))]))],
    ['a wrong checksum', v2(0x21, 0x11, Buffer.concat([tcp4Payload, tlv(3, Buffer.alloc(4))]))],
  ];
  for (const [name, bytes] of refused) {
    it(`refuses ${name}`, () => assert.equal(decodeProxyHeader(bytes).kind, 'refused'));
  }

  it('refuses at the first byte that cannot belong to a header', () => {
    assert.equal(decodeProxyHeader(text('P')).kind, 'incomplete');
    assert.equal(decodeProxyHeader(text('PO')).kind, 'refused');
    assert.equal(decodeProxyHeader(Buffer.from('0d0a0d0a00', 'hex')).kind, 'incomplete');
    assert.equal(decodeProxyHeader(Buffer.from('0d0a0d0a01', 'hex')).kind, 'refused');
  });

  it('verifies the checksum over the whole header', () => {
    // An independent implementation gives the checksum; that it is the right one, the next test shows.
    const header = v2(0x21, 0x11, Buffer.concat([tcp4Payload, tlv(3, Buffer.alloc(4))]));
    header.writeUInt32BE(bitwiseCrc32c(header), header.length - 4);
    assert.deepEqual(decodeProxyHeader(header), { kind: 'complete', bytes: header.length, connection: tcp4 });
    const tlvType = 28;
    for (let i = 16; i < header.length; i++) {
      if (i === tlvType) continue;
      const damaged = Buffer.from(header);
      damaged[i] ^= 0x01;
      assert.equal(decodeProxyHeader(damaged).kind, 'refused', `byte ${i}`);
    }
  });

  it('knows the checksum of the standard', () => {
    assert.equal(bitwiseCrc32c(text('123456789')), 0xe306_9283);
  });

  it('gives the same answer however the bytes were split, and never reads behind the header', () => {
    const damaged = fc
      .tuple(fc.constantFrom(...valid), fc.nat(), fc.integer({ min: 0, max: 255 }))
      .map(([{ header }, at, byte]) => {
        const copy = Buffer.from(header);
        copy[at % copy.length] = byte;
        return copy;
      });
    fc.assert(
      fc.property(
        fc.oneof(
          damaged,
          fc.uint8Array().map((bytes) => Buffer.from(bytes)),
        ),
        fc.uint8Array({ maxLength: 9 }),
        (header, rest) => {
          const all = Buffer.concat([header, rest]);
          const final = decodeProxyHeader(all);
          for (let length = 0; length < all.length; length++) {
            const early = decodeProxyHeader(all.subarray(0, length));
            if (early.kind !== 'incomplete') assert.deepEqual(early, final);
            if (final.kind === 'complete') assert.equal(early.kind === 'complete', length >= final.bytes);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

function bitwiseCrc32c(bytes: Buffer): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
  }
  return (crc ^ 0xffff_ffff) >>> 0;
}
