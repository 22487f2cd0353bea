/** The application log: what the gateway has to say about itself, one JSON object a line. The only importer of pino. */
import { writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Logger, pino as makeLogger } from 'pino';
import { type Clock, systemClock } from '../util/clock.ts';
import { SecretFilter } from './secret-filter.ts';

export type AppLogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** What a line is about. Values of any kind; whatever is secret does not get into the line. */
export type AppLogFields = Readonly<Record<string, unknown>>;

export interface AppLogOptions {
  /** Default `info`. */
  readonly level?: AppLogLevel;
  readonly clock?: Clock;
  /** Which thread speaks; left out when there is one only. */
  readonly thread?: number;
  /** Values that must never appear, whatever they come with: those that the configuration took from elsewhere. */
  readonly secrets?: Iterable<string>;
  /** Takes each line, its line feed included. Default: standard error. */
  readonly write?: (line: string) => void;
}

/** Of one message, this many lines are written in this time; a defect that every request meets must not fill the disk. */
const repetitionLimit = 100;
const repetitionPeriodMs = 10_000;

/** A message is constant text, so that lines can be counted and searched for by it; what varies goes into the fields. */
export class AppLog {
  private readonly options: AppLogOptions;
  /** Made for the first line: a thread that serves has nothing to say, and should not read a library to say it. */
  private made: Logger | null = null;
  private readonly clock: Clock;
  private readonly filter: SecretFilter;
  private readonly repetitions = new Map<string, { sinceMs: number; lines: number }>();

  constructor(options: AppLogOptions = {}) {
    const { clock = systemClock, secrets = [] } = options;
    this.options = options;
    this.clock = clock;
    this.filter = new SecretFilter(secrets);
  }

  private get logger(): Logger {
    this.made ??= createLogger(this.options, this.clock);
    return this.made;
  }

  debug(message: string, about: AppLogFields = {}): void {
    this.log('debug', message, about);
  }

  info(message: string, about: AppLogFields = {}): void {
    this.log('info', message, about);
  }

  warn(message: string, about: AppLogFields = {}): void {
    this.log('warn', message, about);
  }

  error(message: string, about: AppLogFields = {}): void {
    this.log('error', message, about);
  }

  /** From now on these values do not appear either; for a configuration that was loaded later. */
  hide(secrets: Iterable<string>): void {
    this.filter.add(secrets);
  }

  private log(level: Exclude<AppLogLevel, 'silent'>, message: string, about: AppLogFields): void {
    if (!this.logger.isLevelEnabled(level)) return;
    const suppressed = this.countRepetition(message);
    if (suppressed === -1) return;
    const fields = this.filter.fields(suppressed === 0 ? about : { ...about, suppressed });
    this.logger[level](fields, this.filter.text(message));
  }

  /** How many lines of this message were left out before this one; -1 when this one is left out as well. */
  private countRepetition(message: string): number {
    const nowMs = this.clock.now();
    const known = this.repetitions.get(message);
    if (known !== undefined && nowMs - known.sinceMs < repetitionPeriodMs) {
      return ++known.lines > repetitionLimit ? -1 : 0;
    }
    this.repetitions.set(message, { sinceMs: nowMs, lines: 1 });
    return known === undefined ? 0 : Math.max(0, known.lines - repetitionLimit);
  }
}

const require = createRequire(import.meta.url);

function createLogger({ level = 'info', thread, write = writeToStandardError }: AppLogOptions, clock: Clock): Logger {
  const { pino } = require('pino') as { readonly pino: typeof makeLogger };
  return pino(
    {
      level,
      base: thread === undefined ? null : { thread },
      timestamp: () => `,"time":"${new Date(clock.wallNow()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      // Errors have been made fit for the log already.
      serializers: { err: (error: unknown) => error },
    },
    { write },
  );
}

/** An application log on standard error, unless the options say otherwise. */
export function createAppLog(options: AppLogOptions = {}): AppLog {
  return new AppLog(options);
}

/** At once, so that nothing is lost when the process ends; a reader that is gone or full costs lines, not the process. */
function writeToStandardError(line: string): void {
  try {
    writeSync(2, line);
  } catch {
    // There is nowhere left to say so.
  }
}
