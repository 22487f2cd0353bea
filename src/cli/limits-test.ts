/** `gatewright limits-test`: how a gateway keeps a limit, this one or any other, seen from outside. */
import { type LimitAlgorithm, type LimitMeasurement, LimitTestError, measureLimit } from '../testing/index.ts';
import { type CommandIo, exitCodes } from './cli-io.ts';
import { limitsMarkdown } from '../testing/limits/limits-markdown.ts';
import { limitsText } from './limits-text.ts';

/** As the command line has them: texts. */
export interface LimitsTestOptions {
  readonly rate: string;
  readonly burst?: string;
  readonly algorithm: string;
  readonly clients: string;
  readonly connections: string;
  readonly duration: string;
  readonly load: string;
  readonly header: readonly string[];
  readonly method: string;
  readonly byHeader?: string;
  readonly keys?: string;
  readonly refused: string;
  readonly timeout: string;
  readonly stall: string;
  readonly waits: string;
  readonly longestWait: string;
  readonly insecure?: boolean;
  readonly sameClock?: boolean;
  readonly json?: boolean;
  readonly format: 'text' | 'json' | 'markdown';
}

/**
 * @returns the exit code: 0 when the limit was kept, 1 when it was not or that cannot be told, 2 for options that cannot be
 * followed, 3 when nothing answers.
 */
export async function runLimitsTest(
  urls: readonly string[],
  options: LimitsTestOptions,
  io: CommandIo,
): Promise<number> {
  try {
    const measurement = await measure(urls, options);
    io.stdout.write(shown(measurement, options));
    return measurement.verdict === 'holds' ? exitCodes.fine : exitCodes.failed;
  } catch (error) {
    if (!(error instanceof LimitTestError)) throw error;
    io.stderr.write(`${error.message}\n`);
    return error.kind === 'usage' ? exitCodes.usage : exitCodes.unreachable;
  }
}

function measure(urls: readonly string[], options: LimitsTestOptions): Promise<LimitMeasurement> {
  const { byHeader, keys } = options;
  if ((byHeader === undefined) !== (keys === undefined)) {
    throw new LimitTestError('usage', 'write --by-header and --keys together: a header, and how many values of it');
  }
  return measureLimit({
    url: urls,
    rate: options.rate,
    algorithm: options.algorithm as LimitAlgorithm,
    burst: options.burst === undefined ? undefined : numberIn('--burst', options.burst),
    clients: numberIn('--clients', options.clients),
    connections: numberIn('--connections', options.connections),
    duration: options.duration,
    load: numberIn('--load', options.load.replace(/x$/, '')),
    method: options.method,
    headers: headersIn(options.header),
    byHeader: byHeader === undefined ? undefined : { name: byHeader, keys: numberIn('--keys', keys ?? '') },
    refused: options.refused.split(',').map((status) => numberIn('--refused', status.trim())),
    timeout: options.timeout,
    stall: options.stall,
    waits: numberIn('--waits', options.waits),
    longestWait: options.longestWait,
    insecure: options.insecure,
    sameClock: options.sameClock,
  });
}

function shown(measurement: LimitMeasurement, { json, format }: LimitsTestOptions): string {
  if (json === true || format === 'json') return `${JSON.stringify(measurement, null, 2)}\n`;
  if (format === 'text') return limitsText(measurement);
  return limitsMarkdown([{ name: measurement.urls.join(' '), measured: measurement }]);
}

function numberIn(option: string, text: string): number {
  if (/^[0-9]{1,12}(?:\.[0-9]{1,6})?$/.test(text)) return Number(text);
  throw new LimitTestError('usage', `${option} wants a number, not ${JSON.stringify(text)}`);
}

function headersIn(lines: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    // What is wrong with it may be a secret; it is not repeated.
    if (colon < 1) throw new LimitTestError('usage', "write a header as 'name: value'");
    const name = line.slice(0, colon).trim().toLowerCase();
    if (Object.hasOwn(headers, name)) {
      throw new LimitTestError('usage', `the header ${JSON.stringify(name)} is there twice`);
    }
    headers[name] = line.slice(colon + 1).trim();
  }
  return headers;
}
