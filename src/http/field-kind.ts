/**
 * What a header field means to a gateway. A message's fields are classified once, when its head is parsed; every later
 * decision (framing, hop-by-hop removal, forwarding) is a comparison of small integers. Fields of kind `ORDINARY` are
 * forwarded as they are; every other kind has a rule of its own.
 */

export const ORDINARY = 0;
export const HOST = 1;
export const CONTENT_LENGTH = 2;
export const TRANSFER_ENCODING = 3;
export const CONNECTION = 4;
export const UPGRADE = 5;
export const EXPECT = 6;
export const TE = 7;
/** Meaningful to one hop only, and of no use to this gateway (RFC 9110, section 7.6.1; RFC 9112, section 9.3). */
export const HOP_BY_HOP = 8;
export const TRAILER = 9;
export const VIA = 10;
export const X_FORWARDED_FOR = 11;
export const X_FORWARDED_PROTO = 12;
export const X_FORWARDED_HOST = 13;
export const X_FORWARDED_PORT = 14;
export const FORWARDED = 15;
/** Says who the client is. Believed from trusted proxies only, otherwise removed (see SECURITY.md, section B). */
const IDENTITY = 16;
/**
 * Says who calls, in the words of a gateway or of what authenticates. Believed like `IDENTITY`, but never beside what a
 * policy has verified (GHSA-7r4p-vjf4-gxv4: a header kept from the client where the gateway had nothing to put in its place).
 */
export const CALLER = 17;
/**
 * Never forwarded: fields that override the request line behind the gateway's back (CVE-2018-14773) or that fold onto
 * an environment variable (`Proxy`, CVE-2016-5385).
 */
const FORBIDDEN = 18;
/** Asks the gateway how it has handled the request, and in a response tells it: of no concern to anybody else. */
export const DEBUG = 19;
/** Advertises another endpoint of the upstream, which clients of the gateway must not go to (RFC 7838). */
export const ALT_SVC = 20;
export const DATE = 21;
/** Named by `Connection`, so meant for this hop only. */
export const NOMINATED = 22;
/** Added by the gateway, which has made its whole line; ordinary in all else. */
export const MADE = 23;
/** A field that was taken away. */
export const GONE = 24;

/** One bit for each kind that the predicate accepts, for `HeaderFields.mayHave`. */
export function kindBits(accepts: (kind: number) => boolean): number {
  let bits = 0;
  for (let kind = ORDINARY; kind <= NOMINATED; kind++) {
    if (accepts(kind)) bits |= 1 << kind;
  }
  return bits;
}

/** Whether a field of this kind frames a message or belongs to one connection. */
export function isFraming(kind: number): boolean {
  return kind >= CONTENT_LENGTH && kind <= TRAILER;
}

/** Whether a field of this kind tells the upstream how the client called. */
export function isForwarding(kind: number): boolean {
  return kind >= X_FORWARDED_FOR && kind <= FORWARDED;
}

/** Whether a field of this kind says something of the client that only a trusted proxy is believed. */
export function isIdentity(kind: number): boolean {
  return kind === IDENTITY || kind === CALLER;
}

/** Whether a field of this kind is a claim about the client or the request line, or a word to the gateway itself. */
export function isClaim(kind: number): boolean {
  return kind >= X_FORWARDED_FOR && kind <= DEBUG;
}

const kinds: readonly (readonly [name: string, kind: number])[] = [
  ['host', HOST],
  ['content-length', CONTENT_LENGTH],
  ['transfer-encoding', TRANSFER_ENCODING],
  ['connection', CONNECTION],
  ['upgrade', UPGRADE],
  ['expect', EXPECT],
  ['te', TE],
  ['trailer', TRAILER],
  ['keep-alive', HOP_BY_HOP],
  ['proxy-connection', HOP_BY_HOP],
  ['http2-settings', HOP_BY_HOP],
  ['via', VIA],
  ['x-forwarded-for', X_FORWARDED_FOR],
  ['x-forwarded-proto', X_FORWARDED_PROTO],
  ['x-forwarded-host', X_FORWARDED_HOST],
  ['x-forwarded-port', X_FORWARDED_PORT],
  ['forwarded', FORWARDED],
  ['x-real-ip', IDENTITY],
  ['x-client-ip', IDENTITY],
  ['x-cluster-client-ip', IDENTITY],
  ['x-originating-ip', IDENTITY],
  ['x-remote-ip', IDENTITY],
  ['x-remote-addr', IDENTITY],
  ['x-remote-user', CALLER],
  ['remote-user', CALLER],
  ['client-ip', IDENTITY],
  ['true-client-ip', IDENTITY],
  ['cf-connecting-ip', IDENTITY],
  ['fastly-client-ip', IDENTITY],
  ['x-userinfo', CALLER],
  ['x-consumer', CALLER],
  ['x-original-url', FORBIDDEN],
  ['x-original-uri', FORBIDDEN],
  ['x-original-host', FORBIDDEN],
  ['x-rewrite-url', FORBIDDEN],
  ['proxy', FORBIDDEN],
  ['gatewright-debug', DEBUG],
  ['alt-svc', ALT_SVC],
  ['date', DATE],
];

/** Whole families of names that gateways and authentication layers set about the client, for those behind them. */
const families: readonly (readonly [prefix: string, kind: number])[] = [
  ['x-forwarded-', IDENTITY],
  ['x-consumer-', CALLER],
  ['x-credential-', CALLER],
  ['x-authenticated-', CALLER],
  // What an Envoy behind us would take for an instruction from inside (CVE-2023-27487).
  ['x-envoy-', IDENTITY],
];

const longestName = Math.max(...kinds.map(([name]) => name.length));
const bytesOf = (name: string): Uint8Array => Uint8Array.from(name, (character) => character.charCodeAt(0));
/** Most names are told apart by their length and their first letter. */
const byLength = Array.from({ length: longestName + 1 }, (_, length) =>
  kinds
    .filter(([name]) => name.length === length)
    .map(([name, kind]) => ({ name: bytesOf(name), initial: name.charCodeAt(0), kind })),
);
const prefixes = families.map(([prefix, kind]) => ({ prefix: bytesOf(prefix), kind }));
const shortestPrefix = Math.min(...families.map(([prefix]) => prefix.length));
const X = 0x78;
const DASH = 0x2d;

/** The kind of the field whose name is `bytes[start, end)`. The name must be a valid token. */
export function fieldKindIn(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  const first = bytes[start] | 0x20;
  if (length <= longestName) {
    const candidates = byLength[length];
    for (let i = 0; i < candidates.length; i++) {
      const { name, initial, kind } = candidates[i];
      if (initial === first && isSpelled(bytes, start, name)) return kind;
    }
  }
  if (first === X && length >= shortestPrefix && bytes[start + 1] === DASH) {
    for (const { prefix, kind } of prefixes) {
      if (length >= prefix.length && isSpelled(bytes, start, prefix)) return kind;
    }
  }
  return ORDINARY;
}

/** The kind of the field of this name, which must be a valid token. */
export function fieldKind(name: string): number {
  return fieldKindIn(bytesOf(name), 0, name.length);
}

/** Whether `bytes` at `start` spell a name that is given in lower case, whatever the case of their letters. */
function isSpelled(bytes: Uint8Array, start: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) {
    const byte = bytes[start + i];
    const due = name[i];
    if (byte !== due && !((byte | 0x20) === due && due >= 0x61 && due <= 0x7a)) return false;
  }
  return true;
}
