import {
  type AdaptiveLimit,
  type Exchange,
  type LimitCounter,
  type MaybePromise,
  type Outcome,
  type PermitPool,
  type Policy,
  type PolicyEnv,
  type Reply,
  definePolicy,
} from '../contract.ts';
import { errors } from '../errors.ts';
import { z } from '../util/schema.ts';
import { duration } from '../util/units.ts';
import { undoCharges } from './limits/charge.ts';
import { unenforcedNotice } from './limits/counted-limit.ts';
import { exempt, exemption } from './limits/limit-exemptions.ts';
import { type LimitCounters, limitCounters } from './limits/limit-counters.ts';
import { nameOption } from './limits/limit-fields.ts';
import { limitIdentity, limitName } from './limits/limit-identity.ts';
import { LimitKey, by } from './limits/limit-key.ts';
import { unenforcedOption } from './limits/limit-options.ts';
import { WaitingRoom } from './limits/waiting-room.ts';

/** Of `queueTimeout`. */
const usualWaitMs = 1_000;

/** Of `min` and `max`. */
const [usualMin, usualMax] = [4, 1_000];
const bound = z.int().min(1).max(1_000_000);

const options = z
  .strictObject({
    limit: z
      .union([bound, z.literal('adaptive')], { error: 'write a whole number from 1 to 1000000, or adaptive' })
      .describe(
        'How many may be on their way at once; `adaptive` to have it found from how long the upstream takes to answer.',
      ),
    min: bound.optional().describe('What an adaptive limit is never below, by default 4.'),
    max: bound.optional().describe('What an adaptive limit is never above, by default 1000.'),
    by: by
      .unwrap()
      .optional()
      .meta({ default: 'consumer' })
      .describe(
        `${by.description} An adaptive limit is for all who call: \`route\`, which is then the default, or \`global\`.`,
      ),
    queue: z.int().min(0).max(100_000).default(0).describe('How many more may wait, over all threads.'),
    queueTimeout: duration({ min: 1, max: 300_000 })
      .optional()
      .describe('How long one waits before it is refused, by default `1s`. With `queue` only.'),
    exempt,
    enforce: unenforcedOption,
    name: nameOption,
  })
  .refine(({ queue, queueTimeout }) => queue > 0 || queueTimeout === undefined, {
    error: 'nobody waits without a `queue`: say how many may',
    path: ['queueTimeout'],
  })
  .refine(({ limit, min }) => limit === 'adaptive' || min === undefined, {
    error: 'a limit that is a number has no bounds: write `limit: adaptive`',
    path: ['min'],
  })
  .refine(({ limit, max }) => limit === 'adaptive' || max === undefined, {
    error: 'a limit that is a number has no bounds: write `limit: adaptive`',
    path: ['max'],
  })
  .refine(({ min = usualMin, max = usualMax }) => min <= max, {
    error: `is less than \`min\`, which is ${usualMin} where it is not given`,
    path: ['max'],
  })
  .refine(({ limit, by: given = 'route' }) => limit !== 'adaptive' || given === 'route' || given === 'global', {
    error: 'what an upstream bears has nothing to do with who calls: write `route` or `global`',
    path: ['by'],
  });

export type ConcurrencyOptions = z.infer<typeof options>;

/** What the options come to, and what they make the same limit by. */
export function concurrencyShape({ limit, min = usualMin, max = usualMax, by: who }: ConcurrencyOptions) {
  return limit === 'adaptive'
    ? { by: who ?? 'route', fixed: null, bounds: { min, max }, numbers: [limit, min, max] }
    : { by: who ?? 'consumer', fixed: limit, bounds: null, numbers: [limit] };
}

/** What a request holds on its way. */
interface Held {
  readonly pool: PermitPool;
  readonly key: string;
  /** How many there were when it began, itself included. */
  readonly inFlight: number;
}

/** Lets so many requests be on their way at once, exactly, whichever thread they came to. */
export const concurrency = definePolicy({
  name: 'concurrency',
  summary: 'Limits how many requests may be on their way at once; more can wait for a while.',
  options,
  create: (given, env) => new Concurrency(given, env),
});

class Concurrency implements Policy {
  private readonly key: LimitKey;
  private readonly pool: PermitPool;
  private readonly poolByAddress: PermitPool;
  private readonly isExempt: ((exchange: Exchange) => boolean) | null;
  private readonly enforce: boolean;
  private readonly room: WaitingRoom;
  private readonly limits: PolicyEnv['limits'];
  private readonly counters: LimitCounters;
  private readonly counter: LimitCounter;
  private readonly onUnenforced: () => void;
  private readonly reply: Reply;
  /** What each exchange holds, so that it is given back once, whatever has become of the consumer meanwhile. */
  private readonly held = new Map<Exchange, Held>();
  private readonly adaptive: AdaptiveLimit | null;

  constructor(given: ConcurrencyOptions, env: PolicyEnv) {
    const name = limitName({ kind: 'concurrency', name: given.name }, env);
    const { by: who, fixed, bounds, numbers } = concurrencyShape(given);
    const identity = limitIdentity({ kind: 'concurrency', name: given.name, by: who }, numbers, env);
    this.adaptive = bounds === null ? null : env.limits.adaptive(identity, bounds);
    const limit = this.adaptive ?? fixed!;
    this.key = new LimitKey(who, env);
    this.pool = env.limits.permits(identity, limit, given.queue);
    this.poolByAddress = env.limits.permits(`${identity} by address`, limit, given.queue);
    this.isExempt = exemption(given.exempt);
    this.enforce = given.enforce;
    this.room = new WaitingRoom(given.queue === 0 ? 0 : (given.queueTimeout ?? usualWaitMs), env);
    this.limits = env.limits;
    this.counters = limitCounters(given.name, env);
    this.counter = env.limits.counter(identity);
    this.onUnenforced = unenforcedNotice(name, env);
    this.reply = {
      status: errors.TOO_MANY_CONCURRENT.status,
      code: 'TOO_MANY_CONCURRENT',
      reason: `limit ${name}`,
      detail: `The limit "${name}" is reached.`,
      headers: [['retry-after', '1']],
    };
  }

  onRequest(exchange: Exchange): MaybePromise<Reply | undefined> {
    if (this.isExempt !== null && this.isExempt(exchange)) {
      this.counters.exempt.add();
      return undefined;
    }
    const key = this.key.read(exchange);
    const pool = this.key.isByAddress ? this.poolByAddress : this.pool;
    // Whoever waits goes first.
    if (!this.room.hasWaiting(pool, key) && pool.tryAcquire(key)) {
      this.counter.admitted();
      this.hold(exchange, pool, key);
      return undefined;
    }
    if (!this.enforce) return this.refuse(exchange);
    const waiting = this.room.enter(exchange, pool, key, () => this.hold(exchange, pool, key));
    if (waiting === null) return this.refuse(exchange);
    return waiting.then((isHeld) => (isHeld ? this.admit() : this.refuse(exchange)));
  }

  private admit(): undefined {
    this.counter.admitted();
  }

  private hold(exchange: Exchange, pool: PermitPool, key: string): void {
    this.held.set(exchange, { pool, key, inFlight: pool.inFlight });
    this.counters.allowed.add();
  }

  onFinish(exchange: Exchange, outcome: Outcome): void {
    this.room.leave(exchange);
    const held = this.held.get(exchange);
    if (held === undefined) return;
    this.held.delete(exchange);
    if (this.adaptive !== null && isSample(outcome)) this.adaptive.note(outcome.upstreamMs, held.inFlight);
    held.pool.release(held.key);
    this.room.callNext(held.pool, held.key);
  }

  private refuse(exchange: Exchange): MaybePromise<Reply | undefined> {
    this.limits.noteRefusal(this.enforce);
    (this.enforce ? this.counters.refused : this.counters.wouldRefuse).add();
    this.counter.refused(this.enforce, exchange);
    if (!this.enforce) {
      this.onUnenforced();
      return undefined;
    }
    return undoCharges(exchange)?.then(() => this.reply) ?? this.reply;
  }
}

/**
 * Whether it says how long the upstream takes. A failure that comes quickly says nothing of how much more it bears, nor does a
 * client that did not wait; an answer that did not come in time says that it takes at least so long.
 */
function isSample({ upstreamMs, status, code }: Outcome): boolean {
  return upstreamMs >= 0 && ((code === null && status < 500) || code === 'UPSTREAM_TIMEOUT');
}
