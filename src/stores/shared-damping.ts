/** Which clients have failed to authenticate lately, and as whom: `AttemptDamping` in memory that all threads share. */
import type { AttemptDamping, Damping } from '../contract.ts';
import { clientNetwork } from '../util/client-network.ts';
import { SharedTable, type TableDecision } from '../util/shared-table.ts';

/** What all threads have in common. */
export interface DampingMemory {
  /** How many failures are remembered: of each client, each account, and each client as an account. */
  readonly failures: SharedArrayBuffer;
  /** Which client has succeeded as which account. */
  readonly successes: SharedArrayBuffer;
  readonly totals: SharedArrayBuffer;
}

/** Attempts since the gateway has started. */
export interface AttemptTotals {
  /** Credentials that did not hold. */
  readonly failed: number;
  /** Attempts that were to wait; where too many wait already, one more is answered at once. */
  readonly slowed: number;
  /** Attempts that were refused whatever they presented. */
  readonly refused: number;
}

/** How many failures are borne. */
interface Patience {
  /** After so many, attempts are slowed down. */
  readonly free: number;
  /** With so many, they are refused. */
  readonly most: number;
}

/** One of them is forgotten after this time, then the next. */
const forgetMs = 30_000;
/** Of a client, whatever it presents: an office behind one address has a few people who mistype. */
const ofClient: Patience = { free: 5, most: 20 };
/** Of one client at one account. */
const ofPair: Patience = { free: 3, most: 10 };
/** At one account, from wherever: its owner may be among them, so it is never refused. */
const ofAccount: Patience = { free: 10, most: Infinity };

/** For how long a client is refused. */
const refuseMs = 300_000;
const firstDelayMs = 100;
const longestDelayMs = 2_000;
/** For how long a client that has succeeded has nothing to do with what others do at its account. */
const trustMs = 86_400_000;
/** Entries that live at a time; then those with the least to forget make room, so that a flood displaces its own kind. */
const capacity = 65_536;

const none: Damping = Object.freeze({ delayMs: 0, refuseMs: 0 });
const [failedTotal, slowedTotal, refusedTotal] = [0, 1, 2];

export class SharedDamping implements AttemptDamping {
  private readonly failures: SharedTable;
  private readonly successes: SharedTable;
  private readonly totalCells: BigInt64Array<SharedArrayBuffer>;
  private readonly now: () => number;
  private readonly more = new OneMore();
  private readonly debt = new Debt();

  /** @param threads how many may live at a time. */
  static create(threads: number, shape: { readonly capacity: number } = { capacity }): DampingMemory {
    return {
      failures: SharedTable.create({ capacity: shape.capacity, words: 1, threads }),
      successes: SharedTable.create({ capacity: shape.capacity, words: 1, threads }),
      totals: new SharedArrayBuffer(3 * 8),
    };
  }

  /** What was counted by all threads. */
  static totalsIn({ totals }: DampingMemory): AttemptTotals {
    const cells = new BigInt64Array(totals);
    const total = (index: number): number => Number(Atomics.load(cells, index));
    return { failed: total(failedTotal), slowed: total(slowedTotal), refused: total(refusedTotal) };
  }

  /** Failures and successes that were forgotten before their time. */
  static evictedIn({ failures, successes }: DampingMemory): number {
    return SharedTable.evictedIn(failures) + SharedTable.evictedIn(successes);
  }

  /**
   * @param seat a number that no other living thread has.
   * @param now monotonic milliseconds, the same for all threads.
   */
  constructor(memory: DampingMemory, seat: number, now: () => number) {
    this.failures = SharedTable.attach(memory.failures, seat);
    this.successes = SharedTable.attach(memory.successes, seat);
    this.totalCells = new BigInt64Array(memory.totals);
    this.now = now;
  }

  look(clientIp: string, account: string): Damping {
    const client = clientNetwork(clientIp);
    const hasSucceeded = account !== '' && this.hasSucceeded(client, account);
    let delayMs = 0;
    let refusedMs = 0;
    const add = (key: string, patience: Patience): void => {
      const debtMs = this.debtOf(key);
      delayMs = Math.max(delayMs, delayFor(debtMs, patience));
      refusedMs = Math.max(refusedMs, debtMs - patience.most * forgetMs);
    };
    // Whom a Unix socket brings nobody can tell apart, so that nobody is held responsible for the others.
    if (client !== '') {
      if (!hasSucceeded) add(clientKey(client), ofClient);
      if (account !== '') add(pairKey(client, account), ofPair);
    }
    if (account !== '' && !hasSucceeded) add(accountKey(account), ofAccount);
    if (refusedMs > 0) {
      this.count(refusedTotal);
      return { delayMs: 0, refuseMs: refusedMs };
    }
    if (delayMs === 0) return none;
    this.count(slowedTotal);
    return { delayMs, refuseMs: 0 };
  }

  failed(clientIp: string, account: string): void {
    this.count(failedTotal);
    const client = clientNetwork(clientIp);
    if (client !== '') {
      this.add(clientKey(client), ofClient);
      if (account !== '') this.add(pairKey(client, account), ofPair);
    }
    if (account !== '') this.add(accountKey(account), ofAccount);
  }

  succeeded(clientIp: string, account: string): void {
    const client = clientNetwork(clientIp);
    if (account === '' || client === '') return;
    // What it mistyped itself is over. What the client has tried as others is not: a guesser may have an account, too.
    this.failures.update(pairKey(client, account), this.now(), forget);
    this.successes.update(pairKey(client, account), this.now(), trust);
  }

  private add(key: string, { most }: Patience): void {
    this.more.mostMs = most * forgetMs;
    this.failures.update(key, this.now(), this.more);
  }

  /** How long it takes until all failures are forgotten. */
  private debtOf(key: string): number {
    const { debt } = this;
    // Who cannot be looked up, because others keep changing what stands beside, waits and is not refused.
    return this.failures.update(key, this.now(), debt) ? debt.debtMs : ofClient.most * forgetMs;
  }

  private hasSucceeded(client: string, account: string): boolean {
    const { debt } = this;
    return this.successes.update(pairKey(client, account), this.now(), debt) && debt.isThere;
  }

  private count(total: number): void {
    Atomics.add(this.totalCells, total, 1n);
  }
}

/** The length in front: no client and account are together those of others (CVE-2023-35941). */
function pairKey(client: string, account: string): string {
  return `pair ${client.length}:${client}${account}`;
}

function clientKey(client: string): string {
  return `client ${client}`;
}

function accountKey(account: string): string {
  return `account ${account}`;
}

/** Twice as long with each failure. */
function delayFor(debtMs: number, { free }: Patience): number {
  const excess = Math.ceil(debtMs / forgetMs - free);
  return excess <= 0 ? 0 : Math.min(longestDelayMs, firstDelayMs * 2 ** (excess - 1));
}

/** One more failure. With the last one that is borne, it takes as much longer as attempts are refused. */
class OneMore implements TableDecision {
  mostMs = 0;

  decide(words: Float64Array, isNew: boolean, nowMs: number): number {
    const debtMs = (isNew ? 0 : Math.max(0, words[0] - nowMs)) + forgetMs;
    const { mostMs } = this;
    words[0] = nowMs + (debtMs > mostMs - forgetMs ? mostMs + refuseMs : Math.min(debtMs, longestDebtMs));
    return words[0];
  }
}

/** Of an account, which is never refused: what came long ago makes nobody wait. */
const longestDebtMs = 20 * forgetMs;

class Debt implements TableDecision {
  debtMs = 0;
  isThere = false;

  decide(words: Float64Array, isNew: boolean, nowMs: number): number {
    this.isThere = !isNew;
    this.debtMs = isNew ? 0 : Math.max(0, words[0] - nowMs);
    return NaN;
  }
}

const forget: TableDecision = { decide: (_words, isNew, nowMs) => (isNew ? NaN : nowMs) };

const trust: TableDecision = {
  decide(words, _isNew, nowMs) {
    words[0] = nowMs + trustMs;
    return words[0];
  },
};
