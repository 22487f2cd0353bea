/** The forms of bans in the admin API. */
import { parseIp } from '../util/ip-set.ts';
import { type IpNetwork, parseNetwork } from '../util/ip-network.ts';
import { z } from '../util/schema.ts';
import { duration } from '../util/units.ts';
import { searchQuery } from './paging.ts';

/** Shorter prefixes are slips: they are a part of the Internet, and not of those who misbehave in it. */
const shortestPrefix = { 4: 8, 6: 16 } as const;
const longestReason = 100;

const address = z.string().refine((text) => parseIp(text) !== null, { error: 'write an IP address' });

const network = z.string().refine((text) => isBannable(parseNetwork(text)), {
  error: `write an address or a CIDR block of /${shortestPrefix[4]} or longer, of IPv6 /${shortestPrefix[6]}`,
});

function isBannable(parsed: IpNetwork | null): boolean {
  return parsed !== null && parsed.prefix >= shortestPrefix[parsed.family];
}

export const banBody = z
  .strictObject({
    address: address.optional().describe('Of a client. Of IPv6 its /64 is banned.'),
    network: network.optional().describe('Instead of it, a CIDR block.'),
    for: duration({ min: 1_000 }).describe('For how long, such as `1h` or `30d`.'),
    reason: z
      .string()
      .max(longestReason)
      .regex(/^\P{Cc}*$/u, { error: 'write one line' })
      .default('')
      .describe('For those who read the list.'),
  })
  .refine((body) => (body.address === undefined) !== (body.network === undefined), {
    error: 'name an `address` or a `network`',
  });

export type BanBody = z.output<typeof banBody>;

export const bansQuery = searchQuery('whose network, reason or maker has this text in it').extend({
  address: address.optional().describe('Only those that hold for this address.'),
});

export type BansQuery = z.output<typeof bansQuery>;

const wallTime = z.int().describe('Milliseconds since the epoch.');

const shownBan = z
  .strictObject({
    network: z.string().describe('An address, or a CIDR block.'),
    since: wallTime,
    until: wallTime,
    by: z.string().describe('Which policy has made it, or `admin API`.'),
    reason: z.string(),
  })
  .describe('A network whose requests are refused.');

export type ShownBan = z.output<typeof shownBan>;

export const banAnswer = z.strictObject({ ban: shownBan });

export const bansAnswer = z.strictObject({
  total: z.int().min(0).describe('How many there are, or match.'),
  offset: z.int().min(0),
  limit: z.int().min(0),
  bans: z.array(shownBan),
});
