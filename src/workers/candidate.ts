/** A thread on its way to another configuration: the one of a slot, while it serves, or a new one beside it. */
import type { Openings, PublicationParcel } from './messages.ts';
import { type ServingThread, ThreadLost } from './serving-thread.ts';
import type { ThreadSlot } from './thread-slot.ts';

export class Candidate {
  readonly slot: ThreadSlot;
  readonly thread: ServingThread;
  /** It serves already, and changes in place. */
  readonly isServing: boolean;

  constructor(slot: ThreadSlot, thread: ServingThread) {
    this.slot = slot;
    this.thread = thread;
    this.isServing = slot.live === thread;
  }

  async prepare(publication: PublicationParcel, openings: Openings, limitMs: number): Promise<void> {
    await this.thread.ask({ kind: 'prepare', publication, openings }, limitMs);
  }

  /**
   * The thread serves what it was made ready for. One that is lost over it is replaced by its slot.
   * @returns the thread that it replaces, if any.
   */
  commit(): { readonly before: ServingThread | null; readonly done: Promise<void> } {
    const before = this.isServing ? null : this.slot.install(this.thread);
    const end = async (): Promise<void> => {
      try {
        await this.thread.ask({ kind: 'commit' });
      } catch (error) {
        // It is not known what it serves.
        await this.thread.kill(error instanceof Error ? error : new Error(String(error)));
      }
    };
    return { before, done: end() };
  }

  /** It stays as it was, or is ended if it is new. */
  async abort(): Promise<void> {
    if (!this.isServing) {
      await this.thread.kill();
      return;
    }
    try {
      await this.thread.ask({ kind: 'abort' });
    } catch (error) {
      if (!(error instanceof ThreadLost)) await this.thread.kill(error instanceof Error ? error : undefined);
    }
  }
}

/**
 * Why none may move, or null. A serving thread that has died over it is replaced by one that begins with what is served
 * then, unless nobody is left who has shown that it can be served.
 */
export function refusalOf(
  candidates: readonly Candidate[],
  results: readonly PromiseSettledResult<void>[],
): Error | null {
  const failed = results.flatMap((result, index) =>
    result.status === 'rejected' ? [{ candidate: candidates[index], reason: result.reason as Error }] : [],
  );
  const isTolerable = failed.every(({ candidate, reason }) => candidate.isServing && reason instanceof ThreadLost);
  if (failed.length === 0 || (isTolerable && failed.length < candidates.length)) return null;
  const [{ candidate, reason }] = failed.toSorted((a, b) => Number(isLost(a.reason)) - Number(isLost(b.reason)));
  if (!isLost(reason)) return reason;
  return new Error(`thread ${candidate.thread.thread} ended while it was made ready: ${reason.message}`);
}

function isLost(reason: Error): boolean {
  return reason instanceof ThreadLost;
}
