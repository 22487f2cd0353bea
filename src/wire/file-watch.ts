/** Notices that files have changed, however they were replaced. */
import { type Stats, stat, statSync } from 'node:fs';
import type { Clock } from '../util/clock.ts';

/**
 * Calls `onChange` after any of the files has changed, until the returned function is called.
 * @param isStale what is known of the files is not what is in them: calls once they stand still.
 */
export type WatchFiles = (files: readonly string[], onChange: () => void, isStale?: () => boolean) => () => void;

/** Long enough to cost nothing, short enough that a renewed certificate is served before anybody asks. */
const usualPeriodMs = 2000;

export interface PollOptions {
  /** How long between two looks. Default 2 s. */
  readonly periodMs?: number;
  /** Called after each look at all files; for tests. */
  readonly onLooked?: () => void;
}

/**
 * Watches by looking at the files again and again. Events of the file system would be faster, but they get lost: an
 * editor's rename replaces the inode that is watched, and Kubernetes swaps a symbolic link two folders up. A look follows
 * links and sees whatever is there.
 *
 * A change counts once it has lasted for two looks, so that a certificate and its key, or a file that is just being
 * written, are read together and whole.
 */
export function pollFiles(clock: Clock, options: PollOptions = {}): WatchFiles {
  const { periodMs = usualPeriodMs, onLooked } = options;
  return (files, onChange, isStale) => {
    const watched = [...new Set(files)].map((file) => new WatchedFile(file));
    // Only now: what changes after it was looked at is noticed by the looks, and what changed before by this.
    if (isStale?.() === true) for (const file of watched) file.forget();
    let isLooking = false;
    let isStopped = false;

    async function look(): Promise<void> {
      if (isLooking) return;
      isLooking = true;
      const settled = await Promise.all(watched.map((file) => file.look()));
      isLooking = false;
      // While one file of several still changes, the others wait for it.
      if (!isStopped && !settled.includes('changing') && settled.includes('changed')) {
        for (const file of watched) file.acknowledge();
        onChange();
      }
      onLooked?.();
    }

    const stop = clock.every(periodMs, () => void look());
    return () => {
      isStopped = true;
      stop();
    };
  };
}

class WatchedFile {
  private readonly path: string;
  /** What `onChange` was last told about. */
  private known: string;
  private seen: string;

  constructor(path: string) {
    this.path = path;
    // At once and synchronously: what changes after this moment is noticed, even before the first look.
    this.seen = identityOf(statNow(path));
    this.known = this.seen;
  }

  /** Whatever is in it has not been read yet. */
  forget(): void {
    this.known = '';
  }

  async look(): Promise<'same' | 'changing' | 'changed'> {
    const now = identityOf(await statOf(this.path));
    const isSettled = now === this.seen;
    this.seen = now;
    if (!isSettled) return 'changing';
    return now === this.known ? 'same' : 'changed';
  }

  acknowledge(): void {
    this.known = this.seen;
  }
}

/** Changes with the content: another inode after a rename, another time or size after writing in place. */
function identityOf(stats: Stats | undefined): string {
  return stats === undefined ? 'missing' : `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeMs}`;
}

function statNow(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

function statOf(path: string): Promise<Stats | undefined> {
  return new Promise((resolve) => stat(path, (error, stats) => resolve(error ? undefined : stats)));
}
