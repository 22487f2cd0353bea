/**
 * Decisions of limits on their way to Redis or Valkey and back. What is asked for in one turn of the event loop, and while the last
 * command is on its way, goes out as one command, or as one for each key where keys live on several nodes: most of what
 * a command costs is its way through the kernel. Nobody waits for longer than the time-out, nothing queues up while the store is
 * sick, and an answer that comes too late is nobody's any more.
 */
import { hash } from 'node:crypto';
import { type LimitOperation, probeOperation, type ScriptAnswer } from './limit-operations.ts';
import { limitScript } from './limit-script.ts';
import { type RedisConnection, StoreUnavailable } from './redis-connection.ts';
import { StoreBreaker } from './store-breaker.ts';

/** Whoever waits for a decision. One of both is called, once. */
export interface Decided {
  onAnswer(answer: ScriptAnswer): void;
  /** It is not known whether it was charged. */
  onFailure(): void;
}

export interface DecisionEnv {
  readonly connection: Pick<RedisConnection, 'evaluate' | 'report' | 'timeoutMs' | 'isReady' | 'spreads' | 'onReady'>;
  readonly prefix: string;
  now(): number;
  /** So many decisions were asked for. */
  onAsked(count: number): void;
  /** Instead of the server's time; for tests. */
  readonly script?: string;
}

/** One script keeps the server from everybody else, so it is a short one: 256 decisions take it half a millisecond. */
const mostKeys = 256;
/** Each has a character of ASCII. */
const mostOperations = 90;
/** With so many commands without an answer, what comes next is collected until one of them has its answer. */
const mostOnTheWay = 1;
/** Commands without an answer yet. With more of them one would not be answered in time anyway. */
const mostPending = 128;
const firstCode = 33;

export class DecisionBatches {
  readonly breaker: StoreBreaker;
  private readonly env: DecisionEnv;
  private readonly script: string;
  private readonly digest: string;
  private readonly answer: { numbers: readonly number[]; at: number; nowUs: number } = { numbers: [], at: 0, nowUs: 0 };
  private open: Batch | null = null;
  private pending = 0;
  private readonly settling: (() => void)[] = [];
  private readonly flush = (): void => {
    if (this.pending < mostOnTheWay) this.sendOpen();
  };

  constructor(env: DecisionEnv) {
    const { connection } = env;
    this.env = env;
    this.script = env.script ?? limitScript;
    this.digest = hash('sha1', this.script);
    this.breaker = new StoreBreaker({
      now: () => env.now(),
      probe: () => this.probe(),
      tell: (isDown, message) => connection.report(isDown, message),
    });
    connection.onReady(() => this.breaker.look());
    if (!connection.isReady) this.breaker.trip('the store cannot be reached');
  }

  /** Whether it makes sense to ask. If not, it costs nothing to know. */
  get isWell(): boolean {
    const { breaker } = this;
    if (!breaker.isWell) return false;
    if (this.env.connection.isReady) return this.pending < mostPending;
    breaker.trip('the store cannot be reached');
    return false;
  }

  /** Only where it makes sense to ask. Decisions about the same key are made in their order. */
  ask(key: string, operation: LimitOperation, decided: Decided): void {
    let batch = this.open;
    if (batch === null) {
      this.open = batch = this.begin();
      setImmediate(this.flush);
    }
    batch.add(key, operation, decided);
    const most = this.env.connection.spreads ? 1 : mostKeys;
    if (batch.size >= most || batch.operations.size >= mostOperations) this.sendOpen();
  }

  /**
   * Sends what was asked for, and resolves when all of it was answered or has failed, and so was what those who were answered
   * have asked for then: each takes no longer than the time-out.
   */
  async settle(): Promise<void> {
    for (let i = 0; i < 2; i++) {
      this.sendOpen();
      if (this.pending === 0) return;
      await new Promise<void>((resolve) => this.settling.push(resolve));
    }
  }

  close(): void {
    this.breaker.close();
    const { open } = this;
    this.open = null;
    open?.fail();
  }

  /** The time-out begins when the first of them is asked for, not when it is sent. */
  private begin(): Batch {
    const { timeoutMs } = this.env.connection;
    const batch = new Batch();
    batch.timer = setTimeout(() => {
      this.breaker.trip(`the store has not answered within ${timeoutMs} ms`);
      batch.fail();
      if (this.open === batch) this.open = null;
    }, timeoutMs);
    return batch;
  }

  private sendOpen(): void {
    const { open } = this;
    this.open = null;
    if (open !== null) void this.send(open);
  }

  private async send(batch: Batch): Promise<void> {
    // Of several that were asked for in the same turn, an earlier one may have failed.
    if (!this.isWell) {
      batch.fail();
      return;
    }
    this.env.onAsked(batch.size);
    this.pending++;
    // One that has timed out counts no longer: whether the library will ever say anything of it is its affair.
    batch.onEnd = () => this.ended();
    try {
      batch.tell(await this.evaluate(batch), this.answer);
    } catch (error) {
      if (!batch.isOver) this.breaker.trip(`the store has refused a command: ${reasonOf(error)}`);
      batch.fail();
    }
  }

  private ended(): void {
    this.pending--;
    // What those ask for who are just being answered goes with it.
    if (this.open !== null) setImmediate(this.flush);
    if (this.pending === 0) for (const resolve of this.settling.splice(0)) resolve();
  }

  private async evaluate(batch: Batch): Promise<unknown> {
    const { connection } = this.env;
    const { keys, codes } = batch;
    const args = [codes];
    for (const operation of batch.operations.keys()) for (const arg of operation.args) args.push(arg);
    try {
      return await connection.evaluate('EVALSHA', this.digest, keys, args);
    } catch (error) {
      // Nothing was done: the server has forgotten the script, or has never seen it.
      if (batch.isOver || !reasonOf(error).startsWith('NOSCRIPT')) throw error;
      return await connection.evaluate('EVAL', this.script, keys, args);
    }
  }

  private async probe(): Promise<void> {
    const { connection, prefix } = this.env;
    if (!connection.isReady) throw new StoreUnavailable('the store cannot be reached');
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const batch = new Batch();
    batch.timer = setTimeout(() => batch.fail(), connection.timeoutMs);
    batch.add(`${prefix}{probe}`, probeOperation, { onAnswer: () => resolve(), onFailure: () => reject(new Error()) });
    this.evaluate(batch)
      .then((answer) => batch.tell(answer, this.answer))
      .catch(() => batch.fail());
    await promise;
  }
}

/** Decisions that are asked for with one command. */
class Batch {
  readonly keys: string[] = [];
  readonly operations = new Map<LimitOperation, string>();
  codes = '';
  isOver = false;
  timer: NodeJS.Timeout | null = null;
  onEnd: () => void = () => {};
  private readonly waiting: Decided[] = [];
  private answers = 1;
  private readonly lengths: number[] = [];

  get size(): number {
    return this.keys.length;
  }

  add(key: string, operation: LimitOperation, decided: Decided): void {
    let code = this.operations.get(operation);
    if (code === undefined) {
      code = String.fromCharCode(firstCode + this.operations.size);
      this.operations.set(operation, code);
    }
    this.keys.push(key);
    this.codes += code;
    this.waiting.push(decided);
    this.answers += operation.answers;
    this.lengths.push(operation.answers);
  }

  /** @throws when it is no answer to what was asked for; nobody was told then. */
  tell(given: unknown, answer: { numbers: readonly number[]; at: number; nowUs: number }): void {
    if (this.isOver) return;
    if (!isNumbers(given, this.answers)) throw new StoreUnavailable('the answer is none of the script');
    this.end();
    answer.numbers = given;
    answer.nowUs = given[0];
    let at = 1;
    for (let i = 0; i < this.waiting.length; i++) {
      answer.at = at;
      this.waiting[i].onAnswer(answer);
      at += this.lengths[i];
    }
  }

  fail(): void {
    if (this.isOver) return;
    this.end();
    for (const decided of this.waiting) decided.onFailure();
  }

  private end(): void {
    this.isOver = true;
    if (this.timer !== null) clearTimeout(this.timer);
    this.onEnd();
  }
}

function isNumbers(given: unknown, length: number): given is number[] {
  return Array.isArray(given) && given.length === length && given.every((one) => typeof one === 'number');
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : 'no reason';
}
