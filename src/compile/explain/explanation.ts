/** What `explain` says of a request: plain data, as `--format json` prints it and the admin API answers it. */
import type { ErrorCode } from '../../errors.ts';
import type { OrderReason } from '../../proxy/router/specificity.ts';

export interface Explanation {
  readonly request: ExplainedRequest;
  readonly outcome: ExplainedOutcome;
  /** null when no route is chosen. */
  readonly route: ChosenRoute | null;
  /** The other routes that match, the one that would be next first. */
  readonly alsoMatched: readonly BeatenRoute[];
  /** How many there are of those, listed or not. */
  readonly alsoMatchedTotal: number;
  /** Routes that nearly match, the nearest first. */
  readonly nearMisses: readonly NearMiss[];
  /** In the order in which they run. */
  readonly policies: readonly ExplainedPolicy[];
  /** What the cache would do; there is none yet. */
  readonly cache: 'none';
  /** What happens to a request that passes the policies; null when it is refused before. */
  readonly action: ExplainedAction | null;
  /** null when nothing is forwarded. */
  readonly timeouts: ExplainedTimeouts | null;
}

/** What the header `gatewright-debug` says of a request that was handled. */
export interface LiveExplanation {
  /** null when it does not fit into a header. */
  readonly explanation: Explanation | null;
  readonly happened: Happened;
  readonly timings: readonly ExplainedTiming[];
  /** Parts of the explanation that are missing or shortened, so that the rest fits. */
  readonly leftOut: readonly string[];
}

/** What the request came to, by the time at which the head of the response left. */
export interface Happened {
  readonly status: number;
  /** Why the gateway answered itself; null when the answer is the upstream's, or a reply as configured. */
  readonly code: ErrorCode | null;
  /** The reason that the log gives; empty when nothing failed. */
  readonly reason: string;
  /** null when it was not forwarded. */
  readonly upstream: string | null;
  /** The one that answered, or was tried last. */
  readonly target: string | null;
  readonly attempts: number;
  readonly requestId: string;
}

export interface ExplainedTiming {
  /** The number of the station in `src/proxy/README.md`. */
  readonly station: number;
  readonly event: string;
  /** Milliseconds since the head of the request had arrived. */
  readonly ms: number;
  /** Which target, policy or failure; empty where there is nothing to say. */
  readonly detail: string;
}

export interface ExplainedRequest {
  readonly method: string;
  /** As it would be on the wire. */
  readonly target: string;
  readonly listener: string;
  /** Lower-case, without port; empty when it was refused before it was read. */
  readonly host: string;
  /** 0 when none is named. */
  readonly port: number;
  /** Canonical: what is matched and sent; null when it has no canonical form. */
  readonly path: string | null;
  readonly query: string;
  /** Names of headers that the gateway drops before anything looks at them. */
  readonly droppedHeaders: readonly string[];
}

export interface ExplainedOutcome {
  readonly kind: 'route' | 'refused' | 'no-route' | 'method-not-allowed';
  /** null for a route. */
  readonly code: ErrorCode | null;
  /** The status that the gateway answers with; null where the upstream decides. */
  readonly status: number | null;
  /** One sentence. */
  readonly message: string;
  /** The methods of the routes that match otherwise; only for `method-not-allowed`. */
  readonly allow: readonly string[];
}

export interface ChosenRoute {
  readonly name: string;
  readonly priority: number;
  /** Of the hosts and paths of the route those that matched, as configured; null for any. */
  readonly host: string | null;
  readonly path: string | null;
  readonly captures: Readonly<Record<string, string>>;
}

export interface BeatenRoute {
  readonly name: string;
  readonly host: string | null;
  readonly path: string | null;
  /** Which rule of the order of precedence decided; `preflight`: the other lists OPTIONS itself. */
  readonly decidedBy: OrderReason | 'preflight';
  /** One sentence. */
  readonly message: string;
}

export interface NearMiss {
  readonly name: string;
  /** The first of its conditions that does not hold. */
  readonly failed: 'listener' | 'host' | 'path' | 'method' | 'header' | 'query';
  /** One sentence. */
  readonly message: string;
}

export interface ExplainedPolicy {
  /** As the configuration calls it. */
  readonly label: string;
  readonly name: string;
  /** The absolute path of its module; null for one that is built in. */
  readonly module: string | null;
  readonly from: 'defaults' | 'route' | 'notFound';
  /** null when its definition is not at hand. */
  readonly needs: readonly string[] | null;
  readonly provides: readonly string[] | null;
  /** Of a limit that is leased from a store; missing for all others. */
  readonly lease?: ExplainedLease;
  /** The policies that it combines, in its order; missing for one that combines none. */
  readonly of?: readonly ExplainedPolicy[];
}

/** How many more than a limit says are let pass, because machines take permits from its store and hand them out themselves. */
export interface ExplainedLease {
  readonly store: string;
  /** Of each machine, as far as is known here. */
  readonly threads: number;
  readonly rules: readonly {
    /** A consumer, a group, or `default`: everybody else. */
    readonly for: string;
    readonly limit: number;
    /** How many more each machine may let pass. */
    readonly inHand: number;
  }[];
  /** False where requests may cost more than a thread has in hand; then it is what they cost, for each thread. */
  readonly isWhole: boolean;
}

export type ExplainedAction =
  | {
      readonly kind: 'forward';
      /** The path and query that the upstream gets; null when the rewrite makes what may not be sent. */
      readonly target: string | null;
      readonly requestLine: string | null;
      /** The code and the reason of that. */
      readonly failure: { readonly code: ErrorCode; readonly reason: string } | null;
      readonly upstreams: readonly ExplainedUpstream[];
    }
  | { readonly kind: 'redirect'; readonly status: number; readonly location: string | null }
  | {
      readonly kind: 'respond';
      readonly status: number;
      readonly headers: readonly (readonly [name: string, value: string])[];
      readonly body: string;
    };

export interface ExplainedUpstream {
  readonly name: string;
  readonly weight: number;
  /** Its part of the requests, from 0 to 1. */
  readonly share: number;
  readonly balance: string;
  readonly targets: readonly {
    readonly url: string;
    readonly weight: number;
    /** The Host that it gets. */
    readonly host: string;
  }[];
}

/** Milliseconds; null for no limit. */
export interface ExplainedTimeouts {
  readonly connect: number;
  readonly firstByte: number;
  readonly idle: number;
  readonly total: number | null;
}
