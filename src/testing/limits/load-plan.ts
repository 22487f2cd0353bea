/** What one thread of clients is told to do, and what it tells of it. Plain data: it goes from thread to thread. */
import type { HeaderSummary } from './told-limits.ts';

/** Where requests go to. */
export interface LoadTarget {
  readonly host: string;
  readonly port: number;
  readonly isSecure: boolean;
  /** The value of `Host`. */
  readonly authority: string;
  /** Path and query. */
  readonly path: string;
}

/** A header whose value says who is counted. */
export interface KeyHeader {
  readonly name: string;
  /** How many different values there are. */
  readonly count: number;
  /** What values begin with, so that those of one measurement are not those of another. */
  readonly prefix: string;
}

export interface LoadPlan {
  readonly targets: readonly LoadTarget[];
  readonly method: string;
  /** Lines of the request head, each with its CRLF, besides `Host` and the key. */
  readonly headerLines: string;
  readonly keys: KeyHeader | null;
  /** Certificates are not verified. */
  readonly isInsecure: boolean;
  readonly timeoutMs: number;
  /** Statuses that mean "refused by the limit". */
  readonly refusedStatuses: readonly number[];
}

export interface ThreadPlan extends LoadPlan {
  readonly thread: number;
  readonly threads: number;
  readonly connections: number;
  readonly perSecond: number;
  readonly durationMs: number;
  /** More are not sent. */
  readonly maxRequests: number;
}

/** What was sent, in the order in which it was answered. Times are those of the monotonic clock that all threads share. */
export interface Exchanges {
  readonly sentMs: Float64Array;
  readonly answeredMs: Float64Array;
  /** 0 where no answer came. */
  readonly status: Uint16Array;
  /** The number of the key, 0 where there is one for all. */
  readonly key: Uint32Array;
}

export interface ThreadResult {
  readonly exchanges: Exchanges;
  readonly headers: HeaderSummary;
  /** The longest time in which this thread itself did nothing; what stood still then may be the client's fault. */
  readonly pauseMs: number;
  /** Requests that were due and not sent, because no connection was free for them. */
  readonly notSent: number;
  /** The first thing that went wrong on a connection. */
  readonly trouble: string | null;
}

export type ToLoadThread = { readonly kind: 'start'; readonly atMs: number };

export type FromLoadThread =
  | { readonly kind: 'ready' }
  | { readonly kind: 'done'; readonly result: ThreadResult }
  | { readonly kind: 'unreachable'; readonly reason: string };

/** Monotonic milliseconds by the clock that all threads and processes of the machine have in common. */
export function sharedNow(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}

export function keyValue({ prefix }: KeyHeader, index: number): string {
  return `${prefix}-${index}`;
}

/** The head of a request; there is no body. */
export function requestHead(plan: LoadPlan, { authority, path }: LoadTarget, key: string | null): string {
  const keyLine = key === null || plan.keys === null ? '' : `${plan.keys.name}: ${key}\r\n`;
  const length = /^(?:GET|HEAD|OPTIONS|DELETE)$/.test(plan.method) ? '' : 'content-length: 0\r\n';
  return `${plan.method} ${path} HTTP/1.1\r\nhost: ${authority}\r\n${plan.headerLines}${keyLine}${length}\r\n`;
}
