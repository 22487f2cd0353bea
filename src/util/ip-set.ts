/**
 * IP addresses and sets of them (RFC 4291, RFC 4632), strict: what `inet_pton` would not read is no address. An
 * IPv4-mapped IPv6 address is the IPv4 address that it maps, everywhere, so that no rule can be walked around by
 * spelling a client as `::ffff:10.0.0.1`.
 */

/** An address as numbers: one 32-bit word for IPv4, four for IPv6, most significant first. */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly words: readonly number[];
}

/** The longest text that can be an address: `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255`. */
const longestAddress = 45;

/** Where `readAddress` leaves the words of an address, so that looking one up allocates nothing. */
const words = new Uint32Array(4);
const groups = new Uint16Array(8);

/** The address that the text spells, or null. No port, no brackets, no zone, no white space. */
export function parseIp(text: string): IpAddress | null {
  const family = readAddress(text);
  if (family === 0) return null;
  return { family, words: family === 4 ? [words[0]] : Array.from(words) };
}

/** Canonical text: dotted decimal, or lower-case IPv6 with the longest run of zeros shortened (RFC 5952). */
export function formatIp(address: IpAddress): string {
  return address.family === 4 ? formatIpv4(address.words[0]) : formatIpv6(address.words);
}

/**
 * The canonical text of an address as the kernel reports it, or null. The zone of a link-local address (`fe80::1%eth0`)
 * is dropped: it names an interface of this machine, not the peer.
 */
export function canonicalIp(text: string): string | null {
  const zone = text.indexOf('%');
  const family = readAddress(zone === -1 ? text : text.substring(0, zone));
  if (family === 0 || (zone !== -1 && family === 4)) return null;
  return family === 4 ? formatIpv4(words[0]) : formatIpv6(words);
}

/** A set of addresses, given as addresses and CIDR blocks. Immutable; looking an address up is a binary search. */
export class IpSet {
  readonly isEmpty: boolean;
  /** First and last address of each block, disjoint and ascending: two words for one block of IPv4, eight for IPv6. */
  private readonly ipv4: Uint32Array;
  private readonly ipv6: Uint32Array;
  private readonly holdsUnixPeers: boolean;

  /** To be made by `IpSetBuilder`, or `parse`. */
  constructor(ipv4: Uint32Array, ipv6: Uint32Array, holdsUnixPeers: boolean) {
    this.ipv4 = ipv4;
    this.ipv6 = ipv6;
    this.holdsUnixPeers = holdsUnixPeers;
    this.isEmpty = ipv4.length + ipv6.length === 0 && !holdsUnixPeers;
  }

  /**
   * Entries are those of `IpSetBuilder`, and `unix:`, which stands for the peers of a Unix socket.
   * @throws {TypeError} naming the first entry that is none of these.
   */
  static parse(cidrs: readonly string[]): IpSet {
    const builder = new IpSetBuilder();
    for (const cidr of cidrs) {
      if (cidr === 'unix:') builder.holdsUnixPeers = true;
      else builder.add(cidr);
    }
    return builder.build();
  }

  /** Whether the address is in the set. A text that is no address is in no set; the empty one is a Unix peer's. */
  has(address: string): boolean {
    if (this.isEmpty) return false;
    if (address === '') return this.holdsUnixPeers;
    const family = readAddress(address);
    if (family === 4) return isInIpv4(this.ipv4, words[0]);
    return family === 6 && isInIpv6(this.ipv6, words);
  }
}

/** Collects what is to be in a set, a hundred thousand blocks if need be. */
export class IpSetBuilder {
  holdsUnixPeers = false;
  /** For each block its first address times 64, and its prefix: so that in order, a block stands before those in it. */
  private readonly ipv4: number[] = [];
  private readonly ipv6: Block[] = [];

  /**
   * Adds an address (`10.0.0.1`, `2001:db8::1`) or a CIDR block (`10.0.0.0/8`; bits behind the prefix do not count). Blocks
   * of IPv6 hold no IPv4 address: `::/0` is every IPv6 address, and `0.0.0.0/0` every IPv4 address, IPv4-mapped ones included.
   * @throws {TypeError} when it is neither.
   */
  add(cidr: string): void {
    const slash = cidr.indexOf('/');
    const family = readAddress(slash === -1 ? cidr : cidr.substring(0, slash));
    if (family === 0) throw new TypeError(`not an IP address or CIDR block: ${JSON.stringify(cidr)}`);

    const bits = family === 4 ? 32 : 128;
    let prefix = bits;
    if (slash !== -1) {
      // The prefix of a block of IPv4-mapped addresses counts the 96 bits in front of them.
      const isMapped = family === 4 && cidr.includes(':');
      prefix = parsePrefix(cidr.substring(slash + 1)) - (isMapped ? 96 : 0);
      if (!(prefix >= 0 && prefix <= bits)) throw new TypeError(`not a CIDR prefix length: ${JSON.stringify(cidr)}`);
    }
    if (family === 4) this.ipv4.push((words[0] - (words[0] % 2 ** (32 - prefix))) * 64 + prefix);
    else this.ipv6.push(blockOf(words, prefix));
  }

  build(): IpSet {
    const ipv6 = merge(this.ipv6).flatMap(({ first, last }) => split(first).concat(split(last)));
    return new IpSet(mergeIpv4(Float64Array.from(this.ipv4).toSorted()), Uint32Array.from(ipv6), this.holdsUnixPeers);
  }
}

/** Of IPv6. */
interface Block {
  readonly first: bigint;
  readonly last: bigint;
}

function blockOf(address: Uint32Array, prefix: number): Block {
  const span = (1n << BigInt(128 - prefix)) - 1n;
  const value = address.reduce((sum, word) => (sum << 32n) | BigInt(word), 0n);
  const first = value - (value & span);
  return { first, last: first + span };
}

/** One to three digits without a leading zero; NaN for anything else. */
function parsePrefix(text: string): number {
  return /^(?:0|[1-9]\d{0,2})$/.test(text) ? Number(text) : Number.NaN;
}

const split = (value: bigint): number[] => [96n, 64n, 32n, 0n].map((shift) => Number((value >> shift) & 0xffff_ffffn));

/** First and last addresses of sorted blocks, those joined that touch or overlap. */
function mergeIpv4(blocks: Float64Array): Uint32Array {
  const merged = new Uint32Array(blocks.length * 2);
  let count = 0;
  for (const block of blocks) {
    const prefix = block % 64;
    const first = (block - prefix) / 64;
    const last = first + 2 ** (32 - prefix) - 1;
    if (count === 0 || first > merged[count * 2 - 1] + 1) {
      merged[count * 2] = first;
      merged[count * 2 + 1] = last;
      count++;
    } else if (last > merged[count * 2 - 1]) merged[count * 2 - 1] = last;
  }
  return merged.slice(0, count * 2);
}

/** Sorts blocks and joins those that touch or overlap. */
function merge(blocks: readonly Block[]): Block[] {
  const merged: Block[] = [];
  for (const block of blocks.toSorted((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0))) {
    const previous = merged.at(-1);
    if (previous === undefined || block.first > previous.last + 1n) merged.push(block);
    else if (block.last > previous.last) merged[merged.length - 1] = { ...previous, last: block.last };
  }
  return merged;
}

function isInIpv4(blocks: Uint32Array, word: number): boolean {
  let low = 0;
  let high = blocks.length >> 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (word < blocks[middle * 2]) high = middle;
    else if (word > blocks[middle * 2 + 1]) low = middle + 1;
    else return true;
  }
  return false;
}

function isInIpv6(blocks: Uint32Array, address: Uint32Array): boolean {
  let low = 0;
  let high = blocks.length >> 3;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareAt(blocks, middle * 8, address) > 0) high = middle;
    else if (compareAt(blocks, middle * 8 + 4, address) < 0) low = middle + 1;
    else return true;
  }
  return false;
}

/** Compares the four words at an index with an address: negative when they are less, positive when they are more. */
function compareAt(blocks: Uint32Array, index: number, address: Uint32Array): number {
  for (let i = 0; i < 4; i++) {
    const difference = blocks[index + i] - address[i];
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Reads an address into `words`; the family, or 0 when the text is none. */
function readAddress(text: string): 0 | 4 | 6 {
  if (text.length > longestAddress) return 0;
  if (!text.includes(':')) {
    const word = readIpv4(text, 0);
    if (word === -1) return 0;
    words[0] = word;
    return 4;
  }
  if (!readIpv6(text)) return 0;
  for (let i = 0; i < 4; i++) words[i] = groups[i * 2] * 0x1_0000 + groups[i * 2 + 1];
  // RFC 4291, section 2.5.5.2: ::ffff:0:0/96.
  if (words[0] === 0 && words[1] === 0 && words[2] === 0xffff) {
    words[0] = words[3]!;
    return 4;
  }
  return 6;
}

/**
 * Four decimal octets from `start` to the end of the text; -1 for anything else. Leading zeros are refused: some
 * readers take them for octal (CVE-2021-29922).
 */
function readIpv4(text: string, start: number): number {
  let word = 0;
  let octets = 0;
  let octet = -1;
  for (let i = start; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x2e) {
      if (octet === -1 || ++octets > 3) return -1;
      word = word * 256 + octet;
      octet = -1;
      continue;
    }
    const digit = code - 0x30;
    if (digit < 0 || digit > 9 || octet === 0) return -1;
    octet = octet === -1 ? digit : octet * 10 + digit;
    if (octet > 255) return -1;
  }
  return octets === 3 && octet !== -1 ? word * 256 + octet : -1;
}

/** RFC 4291, section 2.2: up to eight groups of hexadecimal digits, one `::`, perhaps IPv4 at the end; into `groups`. */
function readIpv6(text: string): boolean {
  const { length } = text;
  let count = 0;
  let gap = -1;
  let i = 0;
  if (text.startsWith('::')) {
    gap = 0;
    i = 2;
  }
  while (i < length) {
    if (count === 8) return false;
    const start = i;
    let group = 0;
    for (let digit = 0; i < length && (digit = hexDigit(text.charCodeAt(i))) !== -1; i++) group = group * 16 + digit;
    if (i < length && text.charCodeAt(i) === 0x2e) {
      if (!readTrailingIpv4(text, start, count)) return false;
      count += 2;
      i = length;
      break;
    }
    if (i === start || i - start > 4) return false;
    groups[count++] = group;
    if (i === length) break;
    // A single colon must be followed by a group; a double one may end the address.
    if (text.charCodeAt(i++) !== 0x3a || i === length) return false;
    if (text.charCodeAt(i) === 0x3a) {
      if (gap !== -1) return false;
      gap = count;
      i++;
    }
  }
  return gap === -1 ? count === 8 : openGap(gap, count);
}

function readTrailingIpv4(text: string, start: number, count: number): boolean {
  const word = count <= 6 ? readIpv4(text, start) : -1;
  if (word === -1) return false;
  groups[count] = Math.floor(word / 0x1_0000);
  groups[count + 1] = word % 0x1_0000;
  return true;
}

/** Moves the groups behind `::` to the end and fills with zeros; `::` stands for at least one group. */
function openGap(gap: number, count: number): boolean {
  if (count > 7) return false;
  groups.copyWithin(8 - (count - gap), gap, count);
  groups.fill(0, gap, 8 - (count - gap));
  return true;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const folded = code | 0x20;
  return folded >= 0x61 && folded <= 0x66 ? folded - 0x57 : -1;
}

function formatIpv4(word: number): string {
  return `${word >>> 24}.${(word >>> 16) & 0xff}.${(word >>> 8) & 0xff}.${word & 0xff}`;
}

/** RFC 5952, section 4: the first of the longest runs of two or more zero groups becomes `::`. */
function formatIpv6(parts: ArrayLike<number>): string {
  const hex: string[] = [];
  let bestStart = 0;
  let bestLength = 1;
  let runStart = 0;
  for (let i = 0; i < 8; i++) {
    const word = parts[i >> 1];
    const group = i % 2 === 0 ? word >>> 16 : word & 0xffff;
    hex.push(group.toString(16));
    if (group !== 0) runStart = i + 1;
    else if (i + 1 - runStart > bestLength) {
      bestStart = runStart;
      bestLength = i + 1 - runStart;
    }
  }
  if (bestLength === 1) return hex.join(':');
  return `${hex.slice(0, bestStart).join(':')}::${hex.slice(bestStart + bestLength).join(':')}`;
}
