/** The access log (CONFIG, section 7): a line for every exchange, or for a sample of them and every failure. */
import type { Clock } from '../util/clock.ts';
import { type AccessLogEntry, type LineFormat, jsonLines, textLines } from './access-log-line.ts';
import type { LogFiles } from './log-output.ts';
import { LogSink, type LogSinkOptions } from './log-sink.ts';
import { Redaction } from './redaction.ts';

export type { AccessLogEntry } from './access-log-line.ts';

/** As in the configuration. */
export interface AccessLogConfig {
  /** `stdout`, `stderr`, or the absolute path of a file. */
  readonly file: string;
  readonly format: 'json' | 'text';
  /** The fraction of exchanges that is logged, 0 to 1. Those that failed always are. */
  readonly sample: number;
  /** Names of headers, and of query parameters with a `?` in front, whose values never appear. */
  readonly redact: readonly string[];
  /** Request headers that are logged in addition. Default none. */
  readonly headers?: readonly string[];
}

export interface AccessLogEnv {
  readonly clock: Clock;
  /** Which worker thread this is. */
  readonly thread: number;
  readonly onProblem: LogSinkOptions['onProblem'];
  /** From 0 to 1, evenly spread; decides what is in the sample. */
  readonly random?: () => number;
  readonly files?: LogFiles;
}

export class AccessLog {
  private readonly sample: number;
  private readonly random: () => number;
  private readonly format: LineFormat;
  private readonly sink: LogSink;

  /** @throws when the file cannot be opened. */
  constructor(config: AccessLogConfig, { clock, thread, onProblem, random, files }: AccessLogEnv) {
    this.sample = config.sample;
    this.random = random ?? Math.random;
    const lines = config.format === 'json' ? jsonLines : textLines;
    const headers = (config.headers ?? []).map((name) => name.toLowerCase());
    this.format = lines({ redaction: new Redaction(config.redact), headers, thread });
    this.sink = new LogSink({ file: config.file, clock, onProblem, ...(files === undefined ? {} : { files }) });
  }

  /**
   * Whether this exchange is to be logged; asked first, so that entries that nobody wants are not even made.
   * @param code what went wrong, from the table of errors; empty when nothing did.
   */
  wants(status: number, code: string): boolean {
    return this.sample >= 1 || status >= 500 || code !== '' || this.random() < this.sample;
  }

  write(entry: AccessLogEntry): void {
    this.sink.append(this.format(entry));
  }

  /** How many lines were lost because the disk or the reader could not take them. */
  get droppedLines(): number {
    return this.sink.droppedLines;
  }

  /** Begins to write what has been logged so far; otherwise that happens within a second. */
  flush(): void {
    this.sink.flush();
  }

  /** Goes on in a new file of the same name, after the present one was renamed. */
  reopen(): void {
    this.sink.reopen();
  }

  /** Writes what is left, for a second at most. */
  close(): Promise<void> {
    return this.sink.close();
  }
}
