import assert from 'node:assert/strict';
import { createHash, createSecretKey } from 'node:crypto';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { type SignedParts, isSignedDebug, signDebug } from '../../src/http/debug-signature.ts';

const secret = 'correct horse battery staple, and then some';
const parts: SignedParts = { method: 'GET', authority: 'api.example.com:8080', target: '/catalog/7?x=1' };
const nowMs = 1_790_000_000_000;
const seconds = nowMs / 1000;

/** HMAC-SHA256 by its definition (RFC 2104), over parts that are each preceded by four bytes with their length. */
function independentMac(key: string, texts: readonly string[]): string {
  const message = Buffer.concat(
    texts.flatMap((text) => {
      const bytes = Buffer.from(text, 'latin1');
      return [Uint8Array.of(bytes.length >>> 24, bytes.length >>> 16, bytes.length >>> 8, bytes.length), bytes];
    }),
  );
  const sha256 = (...chunks: Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(chunks)).digest();
  const padded = Buffer.alloc(64);
  const bytes = Buffer.from(key, 'utf8');
  (bytes.length > 64 ? sha256(bytes) : bytes).copy(padded);
  const pad = (byte: number): Buffer => Buffer.from(padded.map((each) => each ^ byte));
  return sha256(pad(0x5c), sha256(pad(0x36), message)).toString('hex');
}

function accepts(value: string, request: SignedParts, atMs = nowMs, key = secret): boolean {
  return isSignedDebug(value, request, { secret: createSecretKey(key, 'utf8'), maxAgeMs: 300_000 }, atMs);
}

const byte = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code));
const text = fc.array(byte, { maxLength: 40 }).map((bytes) => bytes.join(''));
const requests = fc.record({ method: fc.constantFrom('GET', 'POST', 'M'), authority: text, target: text });

describe('the signature of a request to be explained', () => {
  it('is an HMAC over label, time, method, Host and target, each with its length', () => {
    for (const key of [secret, 'k'.repeat(32), 'ü'.repeat(40), 'long '.repeat(30)]) {
      for (const { method, authority, target } of [parts, { method: 'OPTIONS', authority: '', target: '*' }]) {
        const mac = independentMac(key, ['gatewright-debug-1', String(seconds), method, authority, target]);
        assert.equal(signDebug(key, { method, authority, target }, seconds), `t=${seconds};sig=${mac}`);
      }
    }
  });

  it('is what it was once: a fixed vector', () => {
    assert.equal(
      signDebug(
        '0123456789abcdef0123456789abcdef',
        { method: 'GET', authority: 'a.example', target: '/x?y=1' },
        1700000000,
      ),
      't=1700000000;sig=89df2ebb642b4ae57e28c2f659da2474e613e972d9534ffaea4ccc3f1bf241da',
    );
  });

  it('holds for the request that was signed, within its time, and no longer', () => {
    const value = signDebug(secret, parts, seconds);
    for (const lag of [0, 1, -1, 300_000, -300_000]) assert.ok(accepts(value, parts, nowMs + lag), `${lag}`);
    for (const lag of [300_001, -300_001, 86_400_000]) assert.ok(!accepts(value, parts, nowMs + lag), `${lag}`);
    assert.ok(!accepts(value, parts, nowMs, `${secret}.`));
  });

  it('has one spelling', () => {
    const value = signDebug(secret, parts, seconds);
    const [time, mac] = value.split(';sig=');
    const others = [
      '',
      time,
      `${time};sig=`,
      `${time};sig=${mac.toUpperCase()}`,
      `${time};sig=${mac}00`,
      `${time};sig=${mac.slice(2)}`,
      `${time}; sig=${mac}`,
      `t=0${seconds};sig=${mac}`,
      `t=${seconds}.0;sig=${mac}`,
      `t=+${seconds};sig=${mac}`,
      `t=1e999;sig=${mac}`,
      `t=-1;sig=${mac}`,
      `sig=${mac};${time}`,
      `${value};`,
      `${value}, ${value}`,
      ` ${value}`,
    ];
    for (const other of others) assert.ok(!accepts(other, parts), other);
  });

  it('is refused when one byte of the request, of the time or of itself is another', () => {
    fc.assert(
      fc.property(
        requests,
        fc.constantFrom('method', 'authority', 'target'),
        fc.nat(),
        byte,
        (signed, part, at, other) => {
          const value = signDebug(secret, signed, seconds);
          assert.ok(accepts(value, signed));
          const before = signed[part];
          const index = before.length === 0 ? 0 : at % before.length;
          const changed = { ...signed, [part]: before.slice(0, index) + other + before.slice(index + 1) };
          fc.pre(changed[part] !== before);
          assert.ok(!accepts(value, changed));
          assert.ok(!accepts(value, { ...signed, [part]: before + other }));
        },
      ),
    );
    fc.assert(
      fc.property(requests, fc.integer({ min: 1, max: 299 }), fc.nat(63), (signed, later, at) => {
        const [, mac] = signDebug(secret, signed, seconds).split(';sig=');
        assert.ok(!accepts(`t=${seconds + later};sig=${mac}`, signed));
        const digit = mac[at] === '0' ? '1' : '0';
        assert.ok(!accepts(`t=${seconds};sig=${mac.slice(0, at)}${digit}${mac.slice(at + 1)}`, signed));
      }),
    );
  });

  it('CVE-2023-35941: is not that of another request whose parts read the same when put together', () => {
    fc.assert(
      fc.property(text, text, fc.nat(80), fc.nat(80), (first, second, one, other) => {
        const all = first + second;
        const split = (at: number): SignedParts => {
          const place = Math.min(at, all.length);
          return { method: 'GET', authority: all.slice(0, place), target: all.slice(place) };
        };
        fc.pre(split(one).target !== split(other).target);
        assert.ok(!accepts(signDebug(secret, split(one), seconds), split(other)));
      }),
    );
    const moved = { ...parts, method: 'G', authority: `ET${parts.authority}` };
    assert.ok(!accepts(signDebug(secret, parts, seconds), moved));
  });
});
