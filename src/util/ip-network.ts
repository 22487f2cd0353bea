/** Networks of IP addresses: how they are written, and which one counts as one client. */
import { type IpAddress, formatIp, parseIp } from './ip-set.ts';

export interface IpNetwork {
  readonly family: 4 | 6;
  /** How many of its bits count: up to 32, or 128. */
  readonly prefix: number;
  /** As of an address; the bits that do not count are 0. */
  readonly words: readonly number[];
}

const bitsOf = (family: 4 | 6): number => (family === 4 ? 32 : 128);

/** The network of this many bits that an address is in. */
export function networkOf({ family, words }: IpAddress, prefix: number): IpNetwork {
  const kept = words.map((word, index) => {
    const bits = Math.min(32, Math.max(0, prefix - 32 * index));
    return word - (word % 2 ** (32 - bits));
  });
  return { family, prefix, words: kept };
}

/** What counts as one client: an address, and of IPv6 the /64, all of which whoever has one address of it has (RFC 6177). */
export function networkOfClient(address: IpAddress): IpNetwork {
  return networkOf(address, address.family === 4 ? 32 : 64);
}

/** What `10.0.0.0/8` spells; an address alone is the client that has it. Null for anything else. */
export function parseNetwork(text: string): IpNetwork | null {
  const slash = text.indexOf('/');
  const address = parseIp(slash === -1 ? text : text.substring(0, slash));
  if (address === null) return null;
  if (slash === -1) return networkOfClient(address);
  // The prefix of IPv4-mapped addresses counts the 96 bits in front of them.
  const isMapped = address.family === 4 && text.includes(':');
  const digits = text.substring(slash + 1);
  const prefix = /^(?:0|[1-9]\d{0,2})$/.test(digits) ? Number(digits) - (isMapped ? 96 : 0) : -1;
  return prefix >= 0 && prefix <= bitsOf(address.family) ? networkOf(address, prefix) : null;
}

/** As it is written: `192.0.2.1`, `10.0.0.0/8`, `2001:db8::/64`. */
export function formatNetwork({ family, prefix, words }: IpNetwork): string {
  const address = formatIp({ family, words });
  return prefix === bitsOf(family) ? address : `${address}/${prefix}`;
}

/** The client that has an address, as it is written; a text that is no address as it is. */
export function nameOfClient(address: string): string {
  const ip = parseIp(address);
  return ip === null ? address : formatNetwork(networkOfClient(ip));
}

/** The same text for the same network, and never for two; made quickly. */
export function keyOfNetwork({ family, prefix, words }: IpNetwork): string {
  return family === 4 ? `4/${prefix}:${words[0]}` : `6/${prefix}:${words.join(':')}`;
}
