/**
 * The clients of one thread: so many requests a second, over connections that stay open. A request is sent when it is due,
 * whether those before it are answered or not, as long as a connection is free: a gateway that is slow is not asked less.
 */
import { ExchangeLog } from './exchange-log.ts';
import { LoadConnection } from './load-connection.ts';
import { type ThreadPlan, type ThreadResult, keyValue, requestHead, sharedNow } from './load-plan.ts';
import { type HeaderSummary, joined, nothingTold, summaryOf } from './told-limits.ts';

/** Between two looks at what is due. */
const tickMs = 1;
/** What is due for longer is not sent any more: a client that has stood still must not come back with all of it at once. */
const mostBehindMs = 1000;
/** Admissions and refusals whose headers are looked at, of each so many per thread. */
const mostLookedAt = 1000;
/** Attempts to have a connection again that nothing else has come between. */
const mostReconnects = 20;

export class LoadClients {
  private readonly plan: ThreadPlan;
  private readonly heads: readonly string[];
  private readonly isRefused: ReadonlySet<number>;
  private readonly log = new ExchangeLog();
  private readonly idle: LoadConnection[] = [];
  private readonly open = new Set<LoadConnection>();
  private headers: HeaderSummary = nothingTold;
  private trouble: string | null = null;
  private startMs = Infinity;
  private lastTickMs = NaN;
  private pauseMs = 0;
  private sent = 0;
  private notSent = 0;
  private reconnects = 0;
  private isEnding = false;
  private onChange: () => void = () => {};

  constructor(plan: ThreadPlan) {
    this.plan = plan;
    this.isRefused = new Set(plan.refusedStatuses);
    // With keys, each request has a head of its own.
    this.heads = plan.keys === null ? plan.targets.map((target) => requestHead(plan, target, null)) : [];
  }

  /** Opens all connections. @throws when one of them cannot be opened. */
  async connect(): Promise<void> {
    for (let i = 0; i < this.plan.connections; i++) this.connectOne(i + this.plan.thread);
    await this.until(() => this.idle.length === this.plan.connections || this.trouble !== null);
    if (this.idle.length === this.plan.connections) return;
    this.end();
    throw new Error(this.trouble ?? 'closed');
  }

  /** Sends what is due from `atMs` on, for as long as was planned, and waits for what has not been answered then. */
  async run(atMs: number): Promise<ThreadResult> {
    this.startMs = atMs;
    const endMs = atMs + this.plan.durationMs;
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        const nowMs = sharedNow();
        if (nowMs < atMs) return;
        this.noteTick(nowMs);
        this.endOverdue(nowMs);
        this.sendDue(Math.min(nowMs, endMs));
        if (nowMs < endMs) return;
        this.isEnding = true;
        if (this.isAwaiting()) return;
        clearInterval(timer);
        resolve();
      }, tickMs);
    });
    this.end();
    const { headers, pauseMs, notSent, trouble } = this;
    return { exchanges: this.log.all(), headers, pauseMs, notSent, trouble };
  }

  private sendDue(nowMs: number): void {
    const { perSecond, maxRequests } = this.plan;
    if (!(nowMs >= this.startMs)) return;
    const due = Math.floor(((nowMs - this.startMs) * perSecond) / 1000) - this.sent - this.notSent;
    const most = Math.min(due, maxRequests - this.sent);
    // Each in its turn, so that all connections are used, and all threads that serve them.
    for (let i = 0; i < most && this.idle.length > 0; i++) this.sendOn(this.idle.shift()!);
    const behind = Math.floor(((nowMs - this.startMs) * perSecond) / 1000) - this.sent - this.notSent;
    this.notSent += Math.max(0, behind - Math.ceil((mostBehindMs * perSecond) / 1000));
  }

  private sendOn(connection: LoadConnection): void {
    const { keys, thread, threads, targets, method } = this.plan;
    const number = this.sent++;
    // Every thread goes through all keys, and begins elsewhere.
    connection.key = keys === null ? 0 : (number + Math.floor((thread * keys.count) / threads)) % keys.count;
    const head =
      keys === null
        ? this.heads[targets.indexOf(connection.target)]
        : requestHead(this.plan, connection.target, keyValue(keys, connection.key));
    connection.send(head, method === 'HEAD');
  }

  private connectOne(index: number): void {
    const { targets, isInsecure } = this.plan;
    const target = targets[index % targets.length];
    this.open.add(
      new LoadConnection(target, isInsecure, {
        onReady: (connection) => {
          this.idle.push(connection);
          this.onChange();
          // What was due while none was free need not wait for the next look at the clock.
          if (!this.isEnding && this.startMs !== Infinity) this.sendDue(sharedNow());
        },
        onAnswer: ({ key }, { sentMs, answeredMs, head: { status, headers } }) => {
          this.reconnects = 0;
          this.log.add(sentMs, answeredMs, status, key);
          const isRefusal = this.isRefused.has(status);
          if (!isRefusal && (status < 200 || status >= 400)) return;
          if ((isRefusal ? this.headers.refused : this.headers.admitted) >= mostLookedAt) return;
          this.headers = joined(this.headers, summaryOf(headers, isRefusal, Date.now()));
        },
        onClosed: (connection, reason) => this.closed(connection, index, reason),
      }),
    );
  }

  private closed(connection: LoadConnection, index: number, reason: string | null): void {
    this.open.delete(connection);
    const at = this.idle.indexOf(connection);
    if (at !== -1) this.idle.splice(at, 1);
    if (reason !== null) this.log.add(connection.sentMs, sharedNow(), 0, connection.key);
    if (reason !== null) this.trouble ??= reason;
    else if (this.startMs === Infinity) this.trouble ??= `${connection.target.authority}: ${connection.reason}`;
    // A gateway may close a connection after so many requests; one that never lets us in again is left alone.
    const isWanted = !this.isEnding && this.startMs !== Infinity;
    if (isWanted && this.reconnects++ < mostReconnects + this.plan.connections) this.connectOne(index);
    this.onChange();
  }

  private noteTick(nowMs: number): void {
    this.pauseMs = Math.max(this.pauseMs, nowMs - (Number.isNaN(this.lastTickMs) ? nowMs : this.lastTickMs));
    this.lastTickMs = nowMs;
  }

  private endOverdue(nowMs: number): void {
    const { timeoutMs } = this.plan;
    for (const connection of this.open) {
      if (nowMs - connection.sentMs > timeoutMs) connection.destroy(`no answer within ${timeoutMs} ms`);
    }
  }

  private isAwaiting(): boolean {
    for (const connection of this.open) if (!Number.isNaN(connection.sentMs)) return true;
    return false;
  }

  private end(): void {
    this.isEnding = true;
    for (const connection of this.open) connection.destroy('the end');
  }

  private until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const { timeoutMs, connections } = this.plan;
      const finish = (): void => {
        clearTimeout(timer);
        this.onChange = () => {};
        resolve();
      };
      const timer = setTimeout(() => {
        this.trouble ??= `${connections - this.idle.length} connections were not open within ${timeoutMs} ms`;
        finish();
      }, timeoutMs);
      this.onChange = () => condition() && finish();
      this.onChange();
    });
  }
}
