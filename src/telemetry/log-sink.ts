/** Collects log lines and writes them in batches. */
import * as nodeFiles from 'node:fs';
import type { Clock } from '../util/clock.ts';
import { type LogFiles, type LogOutput, openLogOutput, reopenLogOutput } from './log-output.ts';

export interface LogSinkOptions {
  /** `stdout`, `stderr`, or the absolute path of a file, which is created when it is not there. */
  readonly file: string;
  readonly clock: Clock;
  /** Told when lines begin to be lost or the file cannot be reopened; again only after all was well in between. */
  readonly onProblem: (message: string, about: { readonly file: string; readonly reason: string }) => void;
  readonly files?: LogFiles;
}

/** Lines are written together once there are this many bytes of them, or a second has passed. */
const flushBytes = 64 * 1024;
const flushPeriodMs = 1000;
/**
 * What may wait for a slow disk or reader; lines beyond that are dropped and counted. Enough for the lines of ten thousand
 * clients that are cut off in one turn of the event loop.
 */
const maxWaitingBytes = 8 * 1024 * 1024;
/** How soon a reader that was full is tried again. */
const retryPeriodMs = 10;
/** How long `close` waits for what is left to be written. */
const closeTimeoutMs = 1000;

const nothing = Buffer.alloc(0);

/**
 * A log that never blocks the thread and never grows beyond its bound. When the reader is stuck or the disk fails, lines
 * are lost and counted; nothing else comes of it.
 */
export class LogSink {
  private readonly options: LogSinkOptions;
  private readonly files: LogFiles;
  private output: LogOutput;
  /** Opened by `reopen`, and to be used from the next batch on. */
  private nextOutput: LogOutput | null = null;
  private isReopening = false;
  private mustReopenAgain = false;
  private pending = '';
  /** What is being written, and how much of it has been. */
  private batch = nothing;
  private written = 0;
  private isWriting = false;
  /** Whether an error cut off a line; the next batch then begins with a line feed. */
  private isMidLine = false;
  private dropped = 0;
  private isTroubled = false;
  private readonly stopFlushing: () => void;
  private stopRetrying: (() => void) | null = null;
  private closing: Promise<void> | null = null;
  private isClosed = false;
  private whenIdle: (() => void) | null = null;

  /** @throws when the file cannot be opened. */
  constructor(options: LogSinkOptions) {
    this.options = options;
    this.files = options.files ?? nodeFiles;
    this.output = openLogOutput(options.file, this.files);
    this.stopFlushing = options.clock.every(flushPeriodMs, () => {
      this.flush();
      this.output.checkMoved((hasMoved) => {
        if (hasMoved) this.reopen();
      });
    });
  }

  /** How many lines were lost so far. */
  get droppedLines(): number {
    return this.dropped;
  }

  /** Adds a line. @param line ASCII, its line feed included. */
  append(line: string): void {
    if (this.pending.length + this.batch.length - this.written + line.length > maxWaitingBytes) {
      this.dropped++;
      this.complain('log lines are dropped: they come faster than they can be written', 'too slow');
      return;
    }
    this.pending += line;
    if (this.pending.length >= flushBytes) this.flush();
  }

  /** Begins to write what has been added, unless it is busy with what was added before or with another file. */
  flush(): void {
    if (this.isWriting || this.isReopening) return;
    if (this.nextOutput !== null) {
      this.output.close();
      this.output = this.nextOutput;
      this.nextOutput = null;
    }
    if (this.pending === '') return;
    this.batch = Buffer.from(this.isMidLine ? `\n${this.pending}` : this.pending, 'latin1');
    this.pending = '';
    this.isMidLine = false;
    this.written = 0;
    this.isWriting = true;
    this.writeOn();
  }

  /**
   * Goes on in a new file of the same name: for after a log was renamed, which is also noticed within a second. Nothing
   * to do for standard output and error.
   */
  reopen(): void {
    const { file } = this.options;
    if (file === 'stdout' || file === 'stderr') return;
    if (this.isReopening) {
      this.mustReopenAgain = true;
      return;
    }
    this.isReopening = true;
    reopenLogOutput(file, this.files, (error, output) => this.onReopened(error, output));
  }

  private onReopened(error: NodeJS.ErrnoException | null, output: LogOutput | null): void {
    this.isReopening = false;
    if (output === null) this.complain('a log cannot be reopened; the open file stays in use', reasonOf(error));
    else if (this.isClosed) output.close();
    else {
      this.nextOutput?.close();
      this.nextOutput = output;
    }
    if (this.mustReopenAgain) {
      this.mustReopenAgain = false;
      this.reopen();
    }
    this.flush();
    this.checkIdle();
  }

  /** Writes what is left, for a second at most, and closes the file, once. Nothing may be added any more. */
  close(): Promise<void> {
    // A descriptor that is closed twice may be somebody else's the second time.
    this.closing ??= this.finish();
    return this.closing;
  }

  private async finish(): Promise<void> {
    this.stopFlushing();
    this.flush();
    if (this.isWriting || this.isReopening) await this.idleOrTimeout();
    this.isClosed = true;
    this.stopRetrying?.();
    this.giveUp();
    this.output.close();
  }

  private idleOrTimeout(): Promise<void> {
    return new Promise((resolve) => {
      // The timers of the clock let the process end; this one keeps it until the last line is written.
      const keepAlive = setInterval(() => {}, closeTimeoutMs);
      const stopWaiting = this.options.clock.every(closeTimeoutMs, () => this.whenIdle?.());
      this.whenIdle = () => {
        this.whenIdle = null;
        clearInterval(keepAlive);
        stopWaiting();
        resolve();
      };
    });
  }

  private checkIdle(): void {
    if (!this.isWriting && !this.isReopening) this.whenIdle?.();
  }

  private writeOn(): void {
    this.output.write(this.batch, this.written, (error, bytes) => {
      if (error === null) this.onWritten(bytes);
      else if (error.code === 'EAGAIN') this.retryLater();
      else this.onFailed(error);
    });
  }

  private retryLater(): void {
    this.stopRetrying ??= this.options.clock.every(retryPeriodMs, () => this.writeOn());
  }

  private onWritten(bytes: number): void {
    this.stopRetrying?.();
    this.stopRetrying = null;
    this.written += bytes;
    if (this.written < this.batch.length) {
      this.writeOn();
      return;
    }
    this.isTroubled = false;
    this.endBatch();
  }

  private onFailed(error: NodeJS.ErrnoException): void {
    this.stopRetrying?.();
    this.stopRetrying = null;
    this.complain('log lines are dropped: they cannot be written', reasonOf(error));
    this.isMidLine = this.written > 0 ? this.batch[this.written - 1] !== 0x0a : this.isMidLine;
    this.dropped += countLines(this.batch, this.written);
    this.endBatch();
  }

  private endBatch(): void {
    this.batch = nothing;
    this.written = 0;
    this.isWriting = false;
    // After an error the next try waits for its time, or a full disk would keep the thread busy.
    if (!this.isTroubled || this.whenIdle !== null) this.flush();
    this.checkIdle();
  }

  /** Counts as lost whatever has not been written. */
  private giveUp(): void {
    this.dropped += countLines(this.batch, this.written) + countLines(Buffer.from(this.pending, 'latin1'), 0);
    this.batch = nothing;
    this.pending = '';
  }

  private complain(message: string, reason: string): void {
    if (this.isTroubled) return;
    this.isTroubled = true;
    this.options.onProblem(message, { file: this.options.file, reason });
  }
}

/** The code of the error, such as `ENOSPC`: it says enough, and nothing of what was written. */
const reasonOf = (error: NodeJS.ErrnoException | null): string => error?.code ?? 'unknown';

function countLines(bytes: Buffer, from: number): number {
  let count = 0;
  for (let at = bytes.indexOf(0x0a, from); at !== -1; at = bytes.indexOf(0x0a, at + 1)) count++;
  return count;
}
