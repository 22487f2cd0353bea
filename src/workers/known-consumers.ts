/** Which consumers there are, and which of them each thread knows, so that it is told only what it does not. */
import type { ConsumerRecord } from '../consumers/consumer-record.ts';
import { type ConsumerParcel, packConsumers, textOf } from './consumer-parcel.ts';

/** Another state of the consumers, until it counts. */
export interface StagedConsumers {
  /** What the thread has to be told to know this state. */
  parcelFor(thread: object): ConsumerParcel;
  /** This is the state from now on, and these threads know it. */
  commit(threads: Iterable<object>): void;
}

/** A change of some consumers; all others stay as they are. */
export interface SomeConsumers {
  readonly removed: readonly string[];
  readonly records: readonly ConsumerRecord[];
}

export class KnownConsumers {
  /** By name, in JSON: as threads are sent them, and quick to compare. */
  private texts: ReadonlyMap<string, string> = new Map();
  private version = 0;
  private readonly versions = new WeakMap<object, number>();

  /** All consumers that there are to be. */
  stage(records: readonly ConsumerRecord[]): StagedConsumers {
    const next = new Map<string, string>();
    const changed: string[] = [];
    for (const record of records) {
      const text = textOf(record);
      next.set(record.name, text);
      if (this.texts.get(record.name) !== text) changed.push(text);
    }
    const removed = Array.from(this.texts.keys()).filter((name) => !next.has(name));
    return this.staged(next, changed, removed);
  }

  stageSome({ removed, records }: SomeConsumers): StagedConsumers {
    const next = new Map(this.texts);
    for (const name of removed) next.delete(name);
    const changed = records.map(textOf);
    for (const [index, { name }] of records.entries()) next.set(name, changed[index]);
    return this.staged(next, changed, removed);
  }

  /** What a thread that knows nobody has to be told. */
  all(): ConsumerParcel {
    return packConsumers(this.texts.values(), null);
  }

  /** The thread knows everybody. */
  note(thread: object): void {
    this.versions.set(thread, this.version);
  }

  private staged(
    next: ReadonlyMap<string, string>,
    changed: readonly string[],
    removed: readonly string[],
  ): StagedConsumers {
    const { version } = this;
    let difference: ConsumerParcel | null = null;
    let all: ConsumerParcel | null = null;
    return {
      parcelFor: (thread) => {
        if (this.versions.get(thread) === version) return (difference ??= packConsumers(changed, removed));
        return (all ??= packConsumers(next.values(), null));
      },
      commit: (threads) => {
        this.texts = next;
        this.version = version + 1;
        for (const thread of threads) this.note(thread);
      },
    };
  }
}
