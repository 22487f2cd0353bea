/**
 * The PROXY protocol, versions 1 and 2, as the receiver (HAProxy, "The PROXY protocol", 2020): what a load balancer puts
 * in front of a connection to say whose it is.
 *
 * The protocol can be told from HTTP and TLS, but the specification forbids to guess (section 2): a listener that is
 * configured for it refuses connections without it, otherwise any client could say where it comes from. Strict and
 * bounded; no result is given before the whole header has arrived, and nothing behind the header is looked at.
 */
import { formatIp, parseIp } from '../util/ip-set.ts';

/** The connection between the client and the first proxy. */
export interface ProxiedConnection {
  /** Canonical text; empty for a Unix socket. */
  readonly sourceAddress: string;
  readonly sourcePort: number;
  readonly destinationAddress: string;
  readonly destinationPort: number;
}

export type ProxyHeader =
  /** All bytes so far can be the beginning of a header. */
  | { readonly kind: 'incomplete' }
  /** Not a header: close the connection without an answer. The reason is a constant, for the log. */
  | { readonly kind: 'refused'; readonly reason: string }
  | {
      readonly kind: 'complete';
      /** The length of the header; what is behind it belongs to the connection. */
      readonly bytes: number;
      /** Null when the proxy speaks for itself (LOCAL) or does not know (UNKNOWN, UNSPEC): the real peer counts. */
      readonly connection: ProxiedConnection | null;
    };

/** CRLF included (section 2.1: the worst case, so no receiver needs more). */
const longestV1 = 107;
/** Behind the 16 fixed bytes. Addresses take 216 at most; the rest is left for TLVs such as the client's certificate. */
const longestV2Payload = 4096;

const v2Signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const v1Signature = Buffer.from('PROXY ', 'latin1');

const incomplete: ProxyHeader = { kind: 'incomplete' };
const refuse = (reason: string): ProxyHeader => ({ kind: 'refused', reason });

/**
 * Decodes the header at the beginning of a connection.
 * @param received everything received so far; call again with more when the answer is `incomplete`.
 */
export function decodeProxyHeader(received: Buffer): ProxyHeader {
  if (startsLike(received, v2Signature)) return received.length < 16 ? incomplete : decodeV2(received);
  if (startsLike(received, v1Signature)) return decodeV1(received);
  return refuse('no PROXY protocol header');
}

/** Whether one is the beginning of the other. */
function startsLike(received: Buffer, signature: Buffer): boolean {
  const length = Math.min(received.length, signature.length);
  return received.compare(signature, 0, length, 0, length) === 0;
}

/** `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 CRLF` (section 2.1): single spaces, no leading zeros. */
function decodeV1(received: Buffer): ProxyHeader {
  const window = received.subarray(0, longestV1);
  const end = window.indexOf('\r\n', 0, 'latin1');
  if (end === -1) return window.length === longestV1 ? refuse('PROXY v1 header too long') : incomplete;
  const line = window.toString('latin1', 0, end);
  const bytes = end + 2;

  // Whatever a proxy adds behind UNKNOWN must be ignored.
  if (/^PROXY UNKNOWN(?: |$)/.test(line)) return { kind: 'complete', bytes, connection: null };
  const [, protocol, source, destination, sourcePort, destinationPort, ...rest] = line.split(' ');
  if (protocol !== 'TCP4' && protocol !== 'TCP6') return refuse('unknown protocol in a PROXY v1 header');
  if (source === undefined || destination === undefined || destinationPort === undefined || rest.length > 0) {
    return refuse('malformed PROXY v1 header');
  }
  const connection = {
    sourceAddress: parseAddress(source, protocol),
    sourcePort: parsePort(sourcePort),
    destinationAddress: parseAddress(destination, protocol),
    destinationPort: parsePort(destinationPort),
  };
  const { sourceAddress, destinationAddress } = connection;
  if (sourceAddress === null || destinationAddress === null) return refuse('bad address in a PROXY v1 header');
  if (connection.sourcePort === -1 || connection.destinationPort === -1) return refuse('bad port in a PROXY v1 header');
  return { kind: 'complete', bytes, connection: { ...connection, sourceAddress, destinationAddress } };
}

function parseAddress(text: string, protocol: 'TCP4' | 'TCP6'): string | null {
  const address = text.includes(':') === (protocol === 'TCP6') ? parseIp(text) : null;
  return address && formatIp(address);
}

function parsePort(text: string): number {
  const port = /^(?:0|[1-9]\d{0,4})$/.test(text) ? Number(text) : -1;
  return port <= 65_535 ? port : -1;
}

const LOCAL = 0x20;
const PROXY = 0x21;
const UNSPEC = 0x00;

/** The families that can carry HTTP: byte 14, and the length of an address (section 2.2). */
const streams = new Map([
  [0x11, { addressBytes: 4, portBytes: 2 }],
  [0x21, { addressBytes: 16, portBytes: 2 }],
  [0x31, { addressBytes: 108, portBytes: 0 }],
]);

/** Signature, version and command, family and protocol, length; then addresses and TLVs (section 2.2). */
function decodeV2(received: Buffer): ProxyHeader {
  const command = received[12];
  if (command !== LOCAL && command !== PROXY) return refuse('unknown version or command in a PROXY v2 header');
  const payloadBytes = received.readUInt16BE(14);
  if (payloadBytes > longestV2Payload) return refuse('PROXY v2 header too long');
  const bytes = 16 + payloadBytes;
  const family = received[13];
  const stream = streams.get(family);
  // LOCAL is accepted whatever family it names; the receiver must ignore what follows.
  if (command === PROXY && stream === undefined && family !== UNSPEC) {
    return refuse('unknown protocol in a PROXY v2 header');
  }
  if (received.length < bytes) return incomplete;
  if (command === LOCAL || stream === undefined) return { kind: 'complete', bytes, connection: null };

  const payload = received.subarray(16, bytes);
  const { addressBytes, portBytes } = stream;
  const addressesEnd = 2 * (addressBytes + portBytes);
  if (payload.length < addressesEnd) return refuse('PROXY v2 header too short for its addresses');
  const refusal = checkTlvs(received.subarray(0, bytes), 16 + addressesEnd);
  if (refusal !== null) return refuse(refusal);
  return {
    kind: 'complete',
    bytes,
    connection: {
      sourceAddress: formatAddress(payload, 0, addressBytes),
      sourcePort: portBytes === 0 ? 0 : payload.readUInt16BE(2 * addressBytes),
      destinationAddress: formatAddress(payload, addressBytes, addressBytes),
      destinationPort: portBytes === 0 ? 0 : payload.readUInt16BE(2 * addressBytes + 2),
    },
  };
}

/** Unix peers have no address in this gateway, whatever path their socket has. */
function formatAddress(payload: Buffer, start: number, length: number): string {
  if (length === 4) return formatIp({ family: 4, words: [payload.readUInt32BE(start)] });
  if (length !== 16) return '';
  const words = [0, 4, 8, 12].map((offset) => payload.readUInt32BE(start + offset));
  const isMapped = words[0] === 0 && words[1] === 0 && words[2] === 0xffff;
  return isMapped ? formatIp({ family: 4, words: [words[3]] }) : formatIp({ family: 6, words });
}

const CRC32C_TYPE = 0x03;

/** TLVs must fill the rest exactly, and a checksum must be right (section 2.2.3); their values are not used. */
function checkTlvs(header: Buffer, start: number): string | null {
  for (let at = start; at < header.length;) {
    if (at + 3 > header.length) return 'malformed TLV in a PROXY v2 header';
    const length = header.readUInt16BE(at + 1);
    const value = at + 3;
    if (value + length > header.length) return 'malformed TLV in a PROXY v2 header';
    if (header[at] === CRC32C_TYPE && !hasChecksum(header, value, length)) {
      return 'wrong checksum in a PROXY v2 header';
    }
    at = value + length;
  }
  return null;
}

/** The checksum is taken over the whole header with its own four bytes as zeros. */
function hasChecksum(header: Buffer, at: number, length: number): boolean {
  if (length !== 4) return false;
  let crc = 0xffff_ffff;
  for (let i = 0; i < header.length; i++) {
    const byte = i >= at && i < at + 4 ? 0 : header[i];
    crc = (crc >>> 8) ^ crc32cTable[(crc ^ byte) & 0xff];
  }
  return (crc ^ 0xffff_ffff) >>> 0 === header.readUInt32BE(at);
}

/** CRC-32C (RFC 3720, appendix B.4): the Castagnoli polynomial, reflected. */
const crc32cTable = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f6_3b78 : value >>> 1;
  return value;
});
