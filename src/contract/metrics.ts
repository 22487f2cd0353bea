/** What policies count, besides what the gateway counts of every request. */

/** A counter of the metrics. */
export interface Counter {
  /** @param amount never less than 0. */
  add(amount?: number): void;
}

/**
 * The families of counters that policies add to. A family is one line here: from it come what `PolicyEnv.counter` takes and what
 * `/metrics` shows. All of them have the label `route` first, which is not listed. What stands in a label comes from the
 * configuration or from a short list, never from a client.
 */
export const policyCounters = {
  gatewright_ratelimit_total: { labels: ['policy', 'result'], help: 'Requests that a limit has decided about.' },
  gatewright_auth_total: { labels: ['policy', 'result'], help: 'Requests whose caller was to be made out.' },
} as const;

export type PolicyCounterName = keyof typeof policyCounters;

/** A value for each label but `route`. */
export type PolicyCounterLabels<Name extends PolicyCounterName> = Readonly<
  Record<(typeof policyCounters)[Name]['labels'][number], string>
>;
