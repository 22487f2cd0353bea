import {
  type BanList,
  type Exchange,
  type MemoryLimiter,
  type Policy,
  type PolicyEnv,
  definePolicy,
} from '../contract.ts';
import { nameOfClient } from '../util/ip-network.ts';
import { IpSet } from '../util/ip-set.ts';
import { z } from '../util/schema.ts';
import { duration, formatDuration } from '../util/units.ts';
import { addressOf } from './limits/key-part.ts';
import { readableBy } from './readable-text.ts';

const dayMs = 86_400_000;
/** Of lines in the log: a flood of clients must not become a flood of lines. */
const tellEveryMs = 1_000;

const options = z.strictObject({
  after: z.int().min(1).max(1_000_000).describe('With so many of these responses a client is banned.'),
  within: duration({ min: 1_000, max: dayMs })
    .prefault('1m')
    .describe('The time in which they come. What is counted drains away evenly, all of it in this time.'),
  for: duration({ min: 1_000 }).prefault('10m').describe('For how long.'),
  statuses: z
    .array(z.int().min(400).max(599))
    .min(1)
    .default([401, 403])
    .describe('The statuses that are counted, whoever has answered: policies behind this one, or the upstream.'),
  exempt: z
    .strictObject({
      addresses: z
        .array(readableBy((cidr) => IpSet.parse([cidr])))
        .min(1)
        .describe('Addresses and CIDR blocks of clients. Trusted proxies are exempt without being named.'),
    })
    .optional()
    .describe('Who is not counted, and so never banned by this policy.'),
  enforce: z
    .boolean()
    .default(true)
    .describe('`false` to try it: nobody is banned, and the log tells who would have been.'),
});

type Options = z.infer<typeof options>;

/** Counts what clients come to, by their addresses, and has those turned away who come to too much of it. */
export const ban = definePolicy({
  name: 'ban',
  summary: 'Turns clients away from the whole gateway for a while after too many bad responses, such as 401.',
  options,
  create: (given, env) => new Ban(given, env),
});

class Ban implements Policy {
  private readonly statuses: ReadonlySet<number>;
  private readonly exempt: IpSet;
  private readonly tally: MemoryLimiter;
  private readonly bans: BanList;
  private readonly isTrustedProxy: PolicyEnv['isTrustedProxy'];
  private readonly forMs: number;
  private readonly enforce: boolean;
  private readonly by: string;
  private readonly reason: string;
  private readonly notice: (clientIp: string) => void;

  constructor({ after, within: windowMs, for: forMs, statuses, exempt, enforce }: Options, env: PolicyEnv) {
    const counted = [...new Set(statuses)].toSorted((a, b) => a - b);
    this.statuses = new Set(counted);
    this.exempt = IpSet.parse(exempt?.addresses ?? []);
    // What is counted alike is counted together, whichever route it comes to: who tries each of them once is no other.
    const identity = JSON.stringify(['ban', after, windowMs, counted]);
    this.tally = env.limits.limiter(identity, { algorithm: 'gcra', limit: after, windowMs, capacity: after - 1 });
    this.bans = env.bans;
    this.isTrustedProxy = (address) => env.isTrustedProxy(address);
    this.forMs = forMs;
    this.enforce = enforce;
    this.by = env.label === 'ban' || env.label === '' ? `a ban on route ${env.route}` : `ban ${env.label}`;
    this.reason = `${after} times ${counted.join(', ')} within ${formatDuration(windowMs)}`;
    const what = `${enforce ? 'is' : 'would be'} banned for ${formatDuration(forMs)}: ${this.reason}`;
    this.notice = seldom(env, (clientIp) => `${nameOfClient(clientIp)} ${what}`);
  }

  onResponse(exchange: Exchange): void {
    if (!this.statuses.has(exchange.status)) return;
    const { clientIp } = exchange;
    // The clients of a proxy that names none of them, or of a Unix socket, cannot be told apart.
    if (clientIp === '' || this.exempt.has(clientIp) || this.isTrustedProxy(clientIp)) return;
    if (!this.isTooMuch(addressOf(exchange))) return;
    if (!this.enforce || this.bans.add(clientIp, this.forMs, this.by, this.reason)) this.notice(clientIp);
  }

  /** Asked twice, because one answer alone may mean no more than that other threads kept coming first. */
  private isTooMuch(client: string): boolean {
    return !this.tally.charge(client, 1).isAllowed && !this.tally.charge(client, 1).isAllowed;
  }
}

/** Tells of one now and then, and how many more there were. */
function seldom(env: Pick<PolicyEnv, 'now' | 'warn'>, say: (clientIp: string) => string): (clientIp: string) => void {
  let [untold, toldAtMs] = [0, -Infinity];
  return (clientIp) => {
    const nowMs = env.now();
    if (nowMs - toldAtMs < tellEveryMs) {
      untold++;
      return;
    }
    env.warn(untold === 0 ? say(clientIp) : `${say(clientIp)}; and ${untold} more before`);
    [untold, toldAtMs] = [0, nowMs];
  };
}
