/** What the admin API can do with consumers: tell of all, and change those of the database. */
import type { ConsumerRecord } from '../consumers/consumer-record.ts';
import type { LastUses } from '../consumers/last-uses.ts';
import type { Clock } from '../util/clock.ts';
import type { ConsumerBook, ConsumerGateway, FoundConsumer } from './consumer-book.ts';

export interface ConsumerPlane {
  /** Sorted. */
  readonly names: readonly string[];
  find(name: string): FoundConsumer | null;
  lastUses(): Promise<LastUses>;
  /**
   * Changes one consumer. Resolves when it is kept and every thread knows it.
   * @param edit gets what there is and gives what there is to be, null for nothing; what it throws is thrown on.
   * @throws {ConsumerConflict} when that cannot be; then nothing has changed.
   */
  change(name: string, edit: (before: ConsumerRecord | null) => ConsumerRecord | null): Promise<void>;
}

export interface ConsumerControlEnv {
  readonly book: ConsumerBook;
  readonly gateway: ConsumerGateway;
  readonly clock: Clock;
  /** Does something while nothing else changes what serves. */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
  /** Told when the database could not be read, or when credentials were used could not be written down. */
  onProblem(error: unknown): void;
  onChange(name: string, kind: 'added' | 'changed' | 'removed'): void;
}

/** What was used since would be forgotten if the process died. */
const saveEveryMs = 60_000;

export class ConsumerControl implements ConsumerPlane {
  private readonly env: ConsumerControlEnv;
  private stopSaving: () => void = () => {};

  constructor(env: ConsumerControlEnv) {
    this.env = env;
  }

  get names(): readonly string[] {
    return this.env.book.names;
  }

  find(name: string): FoundConsumer | null {
    return this.env.book.find(name);
  }

  lastUses(): Promise<LastUses> {
    return this.env.gateway.lastUses();
  }

  change(name: string, edit: (before: ConsumerRecord | null) => ConsumerRecord | null): Promise<void> {
    const { book, gateway } = this.env;
    return this.env.inTurn(async () => {
      const before = book.find(name)?.record ?? null;
      const after = edit(before);
      await book.change(name, after, gateway);
      this.env.onChange(name, after === null ? 'removed' : before === null ? 'added' : 'changed');
    });
  }

  /** The gateway serves: what was used before this start is known, and what is used now is written down. */
  async begin(): Promise<void> {
    const { book, gateway, clock } = this.env;
    await this.attempt(() => this.env.inTurn(() => book.takeOver(gateway)));
    this.stopSaving = clock.every(saveEveryMs, () => void this.save());
  }

  /** The threads have ended, and have told what they knew. */
  async end(): Promise<void> {
    this.stopSaving();
    await this.save();
    this.env.book.close();
  }

  private async save(): Promise<void> {
    const { book } = this.env;
    if (!book.isWritable) return;
    await this.attempt(async () => book.save(await this.lastUses()));
  }

  /** That it is not known when a key was used is no reason for anything else to fail. */
  private async attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.env.onProblem(error);
    }
  }
}
