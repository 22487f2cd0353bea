/** The consumers of all threads as one: changed together, and their uses put together. */
import type { ConsumerRecord } from '../consumers/consumer-record.ts';
import { LastUses } from '../consumers/last-uses.ts';
import type { CredentialUse } from '../consumers/used-credentials.ts';
import { type ConsumerParcel, usesAtOnce } from './consumer-parcel.ts';
import { KnownConsumers, type SomeConsumers, type StagedConsumers } from './known-consumers.ts';
import type { ServingThread } from './serving-thread.ts';

export class ThreadConsumers {
  readonly uses = new LastUses();
  private readonly known = new KnownConsumers();
  /** Those that serve, and those that finish what they have begun. */
  private readonly threads: () => Iterable<ServingThread>;

  constructor(threads: () => Iterable<ServingThread>) {
    this.threads = threads;
  }

  stage(records: readonly ConsumerRecord[]): StagedConsumers {
    return this.known.stage(records);
  }

  /** For a thread that begins with what is served at the moment. */
  all(): ConsumerParcel {
    return this.known.all();
  }

  note(thread: ServingThread): void {
    this.known.note(thread);
  }

  /** From now on the thread tells of uses by itself, before it ends. */
  follow(thread: ServingThread): void {
    thread.onUses = (uses) => this.uses.merge(uses);
  }

  /** Resolves when every thread knows it. Nothing else may change meanwhile. */
  async change(some: SomeConsumers): Promise<void> {
    await this.commit(this.known.stageSome(some), [], [...this.threads()]);
    for (const name of some.removed) this.uses.forget(name);
  }

  /**
   * The state that is staged counts.
   * @param informed those who know it already.
   * @param others are told; one that cannot be told is ended.
   */
  async commit(
    staged: StagedConsumers,
    informed: readonly { readonly thread: ServingThread }[],
    others: readonly ServingThread[],
  ): Promise<void> {
    const parcels = others.map((thread) => [thread, staged.parcelFor(thread)] as const);
    staged.commit([...informed.map(({ thread }) => thread), ...others]);
    const told = parcels.map(async ([thread, consumers]) => {
      try {
        await thread.ask({ kind: 'consumers', consumers });
      } catch (error) {
        // A key that was taken back must not be accepted by anybody.
        await thread.kill(error instanceof Error ? error : new Error(String(error)));
      }
    });
    await Promise.all(told);
  }

  /** Asks all threads what was used. One that does not answer is asked again another time. */
  async collect(): Promise<void> {
    await Promise.all(Array.from(this.threads(), (thread) => this.collectFrom(thread)));
  }

  private async collectFrom(thread: ServingThread): Promise<void> {
    try {
      let uses: readonly CredentialUse[];
      do {
        uses = await thread.ask({ kind: 'uses' }, 1_000);
        this.uses.merge(uses);
      } while (uses.length === usesAtOnce);
    } catch {
      // It has ended, or hangs: others see to that.
    }
  }
}
