/** What a fake upstream is told to do. */
import type { Duration } from './test-clock.ts';

/** Header fields by their names; several of one name as a list. */
export type FakeHeaders = Readonly<Record<string, string | readonly string[]>>;

/** A response: by default 200, and a body that says what the upstream got. */
export interface FakeResponse {
  readonly status?: number | undefined;
  readonly headers?: FakeHeaders | undefined;
  /** Text or bytes; anything else is sent as JSON. By default what the upstream got. */
  readonly body?: unknown;
  /** How long the upstream takes, by the clock of the test. */
  readonly delay?: Duration | undefined;
}

/**
 * How an upstream fails: `refuse` accepts no connection, `unreachable` does not even refuse it, `reset` breaks the
 * connection off instead of answering, `hang` never answers.
 */
export const fakeFailures = ['refuse', 'unreachable', 'reset', 'hang'] as const;
export type FakeFailure = (typeof fakeFailures)[number];

export type FakeAnswer = FakeResponse | FakeFailure;

/** What an upstream got. */
export interface ReceivedRequest {
  /** Empty for what the gateway has asked on its own behalf. */
  readonly upstream: string;
  /** As configured; the origin of what the gateway has asked on its own behalf. */
  readonly target: string;
  readonly method: string;
  /** Path and query as they arrived. */
  readonly path: string;
  /** By lower-case name; several of one name are joined by a comma. */
  readonly headers: Readonly<Record<string, string>>;
  /** As they arrived. */
  readonly rawHeaders: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

/** Answers one request after the other. `refuse` and `unreachable` come too late here: a connection has been made. */
export type UpstreamHandler = (
  request: ReceivedRequest,
) => FakeResponse | 'reset' | 'hang' | Promise<FakeResponse | 'reset' | 'hang'>;
