/** What is to be measured, as a user says it, and what becomes of that. */
import { isFieldValue, isToken } from '../../http/grammar.ts';
import { parseDuration, parseRate } from '../../util/units.ts';
import type { Duration } from '../test-clock.ts';
import type { KeyHeader, LoadPlan, LoadTarget } from './load-plan.ts';
import { type LimitAlgorithm, type PromisedLimit, limitAlgorithms } from './promised-limit.ts';

/** How a limit is to be measured. Durations are texts such as `20s`, or milliseconds. */
export interface LimitTestOptions {
  /** Where requests go; several when several gateways share one limit: clients spread over them. */
  readonly url: string | readonly string[];
  /** What the limit is said to be, as in `100/1s`. */
  readonly rate: string;
  /** `gcra` unless told otherwise: a bucket, which most gateways have under one name or another. */
  readonly algorithm?: LimitAlgorithm | undefined;
  /** Of `gcra`: how many may come at once besides the one that is due. By default one less than the limit. */
  readonly burst?: number | undefined;
  /** Threads that send, 4 by default. */
  readonly clients?: number | undefined;
  /** Connections of all of them together, 64 by default. */
  readonly connections?: number | undefined;
  /** For how long, `20s` by default. */
  readonly duration?: Duration | undefined;
  /** How many times as many requests as the limit allows, 10 by default. */
  readonly load?: number | undefined;
  /** `GET` by default. There is no body. */
  readonly method?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** A header whose value says who is counted, and how many different values to send. Each has the whole limit. */
  readonly byHeader?: { readonly name: string; readonly keys: number } | undefined;
  /** Statuses of a refusal, 429 and 503 by default. What has another status from 200 to 399 was admitted. */
  readonly refused?: readonly number[] | undefined;
  /** When an answer is no longer waited for, `10s` by default. */
  readonly timeout?: Duration | undefined;
  /** An answer that takes longer is a stall, `2s` by default. */
  readonly stall?: Duration | undefined;
  /** How many times a client waits as it is told and comes again, 3 by default. */
  readonly waits?: number | undefined;
  /** The longest that it waits, `10s` by default; where it is told to wait longer, that is not tried. */
  readonly longestWait?: Duration | undefined;
  /** Certificates are not verified. */
  readonly insecure?: boolean | undefined;
  /** The gateway runs on this machine and counts time finer than in milliseconds: spans are judged without allowance. */
  readonly sameClock?: boolean | undefined;
}

/** Of the options one is wrong: `usage`. Or the gateway cannot be reached: `unreachable`. The message says what to do. */
export class LimitTestError extends Error {
  override readonly name = 'LimitTestError';
  readonly kind: 'usage' | 'unreachable';

  constructor(kind: 'usage' | 'unreachable', message: string) {
    super(message);
    this.kind = kind;
  }
}

export interface LimitTest {
  readonly urls: readonly string[];
  readonly promised: PromisedLimit;
  readonly plan: LoadPlan;
  readonly clients: number;
  readonly connections: number;
  readonly durationMs: number;
  readonly load: number;
  readonly perSecond: number;
  readonly stallMs: number;
  readonly waits: number;
  readonly longestWaitMs: number;
  readonly hasSameClock: boolean;
}

/** All that is sent is remembered until the end, and then looked at: this many take some hundreds of MiB. */
const mostRequests = 5_000_000;

/** @throws {LimitTestError} for what cannot be measured. */
export function limitTestOf(options: LimitTestOptions): LimitTest {
  const urls = typeof options.url === 'string' ? [options.url] : options.url;
  if (urls.length === 0) throw wrong('name the URL to send requests to');
  const promised = promisedBy(options);
  const keys = keysOf(options);
  const durationMs = milliseconds('duration', options.duration ?? '20s', 100, 3_600_000);
  const load = within('load', options.load ?? 10, 0.1, 1_000_000);
  const perSecond = (promised.limit / promised.windowMs) * 1000 * load * (keys?.count ?? 1);
  const requests = (perSecond * durationMs) / 1000;
  if (requests > mostRequests) {
    throw wrong(
      `these would be ${Math.round(requests)} requests, and at most ${mostRequests} are measured: ` +
        'choose a shorter duration, less load or fewer keys',
    );
  }
  const clients = whole('clients', options.clients ?? 4, 1, 64);
  return {
    urls,
    promised,
    plan: {
      targets: urls.map(targetOf),
      method: methodOf(options.method ?? 'GET'),
      headerLines: linesOf(options.headers ?? {}),
      keys,
      isInsecure: options.insecure ?? false,
      timeoutMs: milliseconds('timeout', options.timeout ?? '10s', 1, 600_000),
      refusedStatuses: refusedBy(options.refused ?? [429, 503]),
    },
    clients,
    connections: whole('connections', options.connections ?? Math.max(64, clients), clients, 10_000),
    durationMs,
    load,
    perSecond,
    stallMs: milliseconds('stall', options.stall ?? '2s', 1, 600_000),
    waits: whole('waits', options.waits ?? 3, 0, 100),
    longestWaitMs: milliseconds('longestWait', options.longestWait ?? '10s', 0, 3_600_000),
    hasSameClock: options.sameClock ?? false,
  };
}

function promisedBy({ rate, algorithm = 'gcra', burst }: LimitTestOptions): PromisedLimit {
  const parsed = parseRate(rate);
  if (parsed === null) throw wrong(`${JSON.stringify(rate)} is not a rate such as 100/1s`);
  if (!limitAlgorithms.includes(algorithm)) throw wrong(`the algorithm is one of ${limitAlgorithms.join(', ')}`);
  if (algorithm === 'gcra') {
    return { ...parsed, algorithm, burst: whole('burst', burst ?? parsed.limit - 1, 0, 1e9) };
  }
  if (burst !== undefined) throw wrong(`${algorithm} has no burst`);
  return { ...parsed, algorithm, burst: 0 };
}

function keysOf({ byHeader }: LimitTestOptions): KeyHeader | null {
  if (byHeader === undefined) return null;
  if (!isToken(byHeader.name)) throw wrong(`${JSON.stringify(byHeader.name)} is not the name of a header`);
  const prefix = `limits-test-${Math.random().toString(36).slice(2, 10)}`;
  return { name: byHeader.name, count: whole('keys', byHeader.keys, 1, 1_000_000), prefix };
}

function targetOf(text: string): LoadTarget {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) throw wrong(`${JSON.stringify(text)} is not an http(s) URL`);
  if (url.username !== '' || url.password !== '') throw wrong('give credentials as a header, not in the URL');
  const isSecure = url.protocol === 'https:';
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? (isSecure ? 443 : 80) : Number(url.port),
    isSecure,
    authority: url.host,
    path: url.pathname + url.search,
  };
}

function methodOf(method: string): string {
  if (!/^[A-Z]{1,20}$/.test(method) || method === 'CONNECT') throw wrong(`there are no requests with ${method}`);
  return method;
}

/** What these say would contradict what is sent. */
const own = /^(?:connection|content-length|expect|transfer-encoding|upgrade)$/i;

function linesOf(headers: Readonly<Record<string, string>>): string {
  return Object.entries(headers)
    .map(([name, value]) => {
      if (!isToken(name) || !isFieldValue(value)) throw wrong(`the header ${JSON.stringify(name)} cannot be sent`);
      if (own.test(name)) throw wrong(`${name} is for the client itself to say`);
      if (/^host$/i.test(name)) throw wrong('what `Host` says is taken from the URL');
      return `${name}: ${value}\r\n`;
    })
    .join('');
}

function refusedBy(statuses: readonly number[]): readonly number[] {
  for (const status of statuses) whole('a status of refusals', status, 300, 599);
  if (statuses.length === 0) throw wrong('name a status of refusals');
  return statuses;
}

function milliseconds(what: string, given: Duration, min: number, max: number): number {
  const ms = typeof given === 'number' ? given : parseDuration(given);
  if (ms === null) throw wrong(`${what}: ${JSON.stringify(given)} is not a duration such as 500ms or 20s`);
  return within(`${what} in milliseconds`, ms, min, max);
}

function whole(what: string, value: number, min: number, max: number): number {
  if (!Number.isInteger(value)) throw wrong(`${what}: ${value} is not a whole number`);
  return within(what, value, min, max);
}

function within(what: string, value: number, min: number, max: number): number {
  if (!(value >= min && value <= max)) throw wrong(`${what}: ${value} is not from ${min} to ${max}`);
  return value;
}

function wrong(message: string): LimitTestError {
  return new LimitTestError('usage', message);
}
