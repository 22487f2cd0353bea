/** What came of a measurement: plain data, as `--format json` prints it. */
import type { PromisedLimit } from './promised-limit.ts';
import type { HeaderSummary } from './told-limits.ts';
import type { WaitingResult } from './waiting-client.ts';

/** How many were admitted within any span of one length; with several keys, of the key that had the most. */
export interface SpanCount {
  readonly spanMs: number;
  /** The most that the limit allows. */
  readonly allowed: number;
  /** The most that were admitted for certain: sent no earlier than the span begins, and answered before it ends. */
  readonly certain: number;
  /** The most that may have been. The truth lies between the two. */
  readonly possible: number;
}

export interface LimitFinding {
  /** `broken`: a promise was not kept. `doubt`: it cannot be told. `note`: good to know. */
  readonly kind: 'broken' | 'doubt' | 'note';
  readonly text: string;
}

export interface LimitMeasurement {
  readonly urls: readonly string[];
  readonly promised: PromisedLimit;
  readonly clients: number;
  readonly connections: number;
  /** Null when all that was sent is counted together. */
  readonly keys: number | null;
  /** From the first that was sent to the last that was answered. */
  readonly spanMs: number;
  readonly sent: number;
  readonly admitted: number;
  readonly refused: number;
  /** Answered neither with an admission nor with a refusal. */
  readonly other: number;
  /** Not answered. */
  readonly failed: number;
  /** How many answers had which status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** How many times as many as the limit allows were to be sent, and were. */
  readonly plannedLoad: number;
  readonly load: number;
  readonly answers: { readonly p50Ms: number; readonly p99Ms: number; readonly longestMs: number };
  /** The longest time in which a client itself stood still. */
  readonly clientPauseMs: number;
  /** Requests that were due and not sent, because no connection was free. */
  readonly notSent: number;
  /** The first thing that went wrong on a connection. */
  readonly trouble: string | null;
  /** By length. */
  readonly spans: readonly SpanCount[];
  /** The one of them that is as long as the window. */
  readonly window: SpanCount;
  /** How many keys had more than is allowed within some span. */
  readonly keysBeyond: number;
  /** How many a limit without any fault would have admitted of what was sent. */
  readonly due: number;
  /**
   * What was admitted of what was due, as a fraction; 0 when nothing was. Since nobody outside knows when a request was decided,
   * `due` has the least that it can be, and this may be a little more than 1.
   */
  readonly usable: number;
  /** What answers told, among those that were looked at. */
  readonly headers: HeaderSummary;
  /** What came of waiting as was told; null when it was not tried. */
  readonly waiting: WaitingResult | null;
  readonly findings: readonly LimitFinding[];
  readonly verdict: 'holds' | 'broken' | 'in doubt';
}
