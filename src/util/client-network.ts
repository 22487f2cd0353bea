import { parseIp } from './ip-set.ts';

/** What counts as one client: an address, and of IPv6 the /64, all of which whoever has one address of it has (RFC 6177). */
export function clientNetwork(address: string): string {
  const ip = parseIp(address);
  if (ip === null) return address;
  return ip.family === 4 ? `4:${ip.words[0]}` : `6:${ip.words[0]}:${ip.words[1]}`;
}
