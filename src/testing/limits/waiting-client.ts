/**
 * A single client that believes what it is told. It comes until it is refused, waits as long as the refusal says, and comes
 * again; and it takes as many as an answer says are left. While nobody else is counted with it, it must get in each time.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { LoadConnection } from './load-connection.ts';
import { type LoadPlan, keyValue, requestHead, sharedNow } from './load-plan.ts';
import { type ToldLimit, readTold } from './told-limits.ts';

export interface WaitingResult {
  /** Times that it has waited as it was told. */
  readonly waited: number;
  /** How many of those it got in. */
  readonly gotIn: number;
  /** Refusals of requests that were left by what the answer just before had said. */
  readonly refusedThoughLeft: number;
  /** Requests that had been said to be left, and were tried. */
  readonly leftTried: number;
  /** The longest that it was told to wait; null when it was not told. */
  readonly longestToldSeconds: number | null;
  /** Why it was not tried as often as was asked for, or null. */
  readonly stopped: string | null;
}

export interface WaitingPlan {
  readonly waits: number;
  readonly longestWaitMs: number;
  /** More are not sent in the search for a refusal. */
  readonly mostRequests: number;
}

interface OneAnswer {
  readonly status: number;
  readonly told: ToldLimit;
}

interface Pending {
  isSent: boolean;
  answer: OneAnswer | null;
  /** @param reason why there is no answer, if there is none. */
  end(reason: string): void;
}

/** Timers may be early by as much. */
const timerSlackMs = 2;
/** A refusal is not looked for longer than this. */
const longestSearchMs = 10_000;

export class WaitingClient {
  private readonly plan: LoadPlan;
  private readonly waiting: WaitingPlan;
  private connection: LoadConnection | null = null;
  private pending: Pending | null = null;
  private waited = 0;
  private gotIn = 0;
  private refusedThoughLeft = 0;
  private leftTried = 0;
  private longestToldSeconds: number | null = null;

  constructor(plan: LoadPlan, waiting: WaitingPlan) {
    this.plan = plan;
    this.waiting = waiting;
  }

  async run(): Promise<WaitingResult> {
    const stopped = await this.tryAll().catch((error: unknown) => (error as Error).message);
    this.connection?.destroy('the end');
    const { waited, gotIn, refusedThoughLeft, leftTried, longestToldSeconds } = this;
    return { waited, gotIn, refusedThoughLeft, leftTried, longestToldSeconds, stopped };
  }

  private async tryAll(): Promise<string | null> {
    while (this.waited < this.waiting.waits) {
      const refusal = await this.untilRefused();
      if (refusal === null) return 'it was not refused';
      const seconds = refusal.told.retryAfterSeconds ?? refusal.told.resetSeconds;
      if (seconds === null) return 'refusals do not say how long to wait';
      this.longestToldSeconds = Math.max(this.longestToldSeconds ?? 0, seconds);
      if (seconds * 1000 > this.waiting.longestWaitMs) return `it was told to wait ${seconds} s, which was not tried`;
      await sleep(seconds * 1000 + timerSlackMs);
      this.waited++;
      if (!this.isRefused(await this.ask())) this.gotIn++;
    }
    return null;
  }

  private async untilRefused(): Promise<OneAnswer | null> {
    const endMs = sharedNow() + longestSearchMs;
    let left = 0;
    for (let sent = 0; sent < this.waiting.mostRequests && sharedNow() < endMs; sent++) {
      const answer = await this.ask();
      if (left > 0) this.leftTried++;
      if (this.isRefused(answer)) {
        if (left > 0) this.refusedThoughLeft++;
        return answer;
      }
      left = answer.told.left ?? 0;
    }
    return null;
  }

  private isRefused({ status }: OneAnswer): boolean {
    if (this.plan.refusedStatuses.includes(status)) return true;
    if (status >= 400) throw new Error(`it was answered with ${status}`);
    return false;
  }

  private ask(): Promise<OneAnswer> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.connection?.destroy('no answer in time'), this.plan.timeoutMs);
      this.pending = {
        isSent: false,
        answer: null,
        end: (reason) => {
          clearTimeout(timer);
          const answer = this.pending?.answer ?? null;
          this.pending = null;
          if (answer === null) reject(new Error(`it was not answered: ${reason}`));
          else resolve(answer);
        },
      };
      if (this.connection === null) this.connection = this.connect();
      else this.ready(this.connection);
    });
  }

  private connect(): LoadConnection {
    const { targets, isInsecure } = this.plan;
    return new LoadConnection(targets[0], isInsecure, {
      onReady: (connection) => this.ready(connection),
      onAnswer: (_, { head: { status, headers } }) => {
        if (this.pending !== null) this.pending.answer = { status, told: readTold(headers, Date.now()) };
      },
      onClosed: (connection, reason) => {
        this.connection = null;
        this.pending?.end(reason ?? connection.reason);
      },
    });
  }

  /** The connection is free: for the request that waits for it, or because the answer is through. */
  private ready(connection: LoadConnection): void {
    if (this.pending === null) return;
    if (this.pending.isSent) return this.pending.end('');
    this.pending.isSent = true;
    const { plan } = this;
    // A key that nobody else uses.
    const key = plan.keys === null ? null : keyValue(plan.keys, plan.keys.count);
    connection.send(requestHead(plan, plan.targets[0], key), plan.method === 'HEAD');
  }
}
