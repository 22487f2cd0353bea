/** What is compiled from the routes of the configuration. Frozen; belongs to one snapshot. */
import type { Policy, Reply, RouteInfo } from '../contract.ts';
import type { RedirectTemplate, Template } from './rewrite.ts';
import type { ImportanceClass } from './shedding.ts';
import type { Upstream } from './upstream.ts';

/** One route: what it is called, and what happens to its requests. */
export interface Route extends RouteHandling {
  readonly info: RouteInfo;
}

/** What happens to requests. Many routes that differ in their matches alone have one in common. */
export interface RouteHandling {
  readonly chain: PolicyChain;
  readonly action: RouteAction;
  readonly timeouts: RouteTimeouts;
  readonly importance: ImportanceClass;
  /** The most important that a caller can make it, once it is known; null where that makes no difference. */
  readonly callerMayHave: ImportanceClass | null;
}

/** What happens to a request that has passed the policies. */
export type RouteAction =
  | { readonly kind: 'forward'; readonly split: UpstreamSplit; readonly rewrite: RouteRewrite }
  | { readonly kind: 'redirect'; readonly status: number; readonly to: RedirectTemplate }
  | { readonly kind: 'reply'; readonly reply: Reply };

export interface RouteRewrite {
  readonly path: Template | null;
  /** The Host that the upstream gets; null for what the upstream's `hostHeader` says. */
  readonly host: string | null;
}

/** Milliseconds; Infinity for none. */
export interface RouteTimeouts {
  readonly connectMs: number;
  readonly firstByteMs: number;
  readonly idleMs: number;
  readonly totalMs: number;
}

/** Spreads requests over upstreams by weight. */
export interface UpstreamSplit {
  next(): Upstream;
}

/** One phase of one policy. */
export interface Step<Hook> {
  readonly policy: string;
  /** The place of the policy among those of its route; it takes part once the exchange has come that far. */
  readonly position: number;
  /** Bytes of request body to be buffered before this step; 0 for none. */
  readonly buffersRequest: number;
  /** See `Policy.buffersFor`; null for always. */
  readonly buffersFor: Hooks['buffersFor'] | null;
  readonly hook: Hook;
}

type Hooks = Required<Policy>;

/** The policies of a route by phase, so that a phase that nobody uses costs one look at a length. */
export interface PolicyChain {
  readonly length: number;
  readonly onRequest: readonly Step<Hooks['onRequest']>[];
  readonly onUpstreamRequest: readonly Step<Hooks['onUpstreamRequest']>[];
  /** In reverse order. */
  readonly onResponse: readonly Step<Hooks['onResponse']>[];
  readonly onFinish: readonly Step<Hooks['onFinish']>[];
  readonly transformRequest: readonly Step<Hooks['transformRequest']>[];
  /** In reverse order. */
  readonly transformResponse: readonly Step<Hooks['transformResponse']>[];
  /** The smallest `buffersResponse` among the policies, so that none gets more than it takes; 0 when none has one. */
  readonly buffersResponse: number;
}

export interface NamedPolicy {
  readonly name: string;
  readonly policy: Policy;
}

/** Sorts the policies of a route by phase. The hooks keep their `this`. */
export function compileChain(policies: readonly NamedPolicy[]): PolicyChain {
  const steps = <K extends keyof Policy>(key: K): Step<Hooks[K]>[] =>
    policies.flatMap(({ name, policy }, position) => {
      const hook = policy[key];
      if (typeof hook !== 'function') return [];
      const buffersRequest = key === 'onRequest' ? (policy.buffersRequest ?? 0) : 0;
      return [
        {
          policy: name,
          position,
          buffersRequest,
          buffersFor: buffersForOf(policy),
          hook: hook.bind(policy) as Hooks[K],
        },
      ];
    });
  return {
    length: policies.length,
    onRequest: withBuffering(policies, steps('onRequest')),
    onUpstreamRequest: steps('onUpstreamRequest'),
    onResponse: steps('onResponse').toReversed(),
    onFinish: steps('onFinish'),
    transformRequest: steps('transformRequest'),
    transformResponse: steps('transformResponse').toReversed(),
    buffersResponse: smallestOf(policies.map(({ policy }) => policy.buffersResponse ?? 0)),
  };
}

function buffersForOf(policy: Policy): Hooks['buffersFor'] | null {
  return policy.buffersFor?.bind(policy) ?? null;
}

/** The smallest of the sizes that are not 0; 0 when all are. */
function smallestOf(sizes: readonly number[]): number {
  const given = sizes.filter((size) => size > 0);
  return given.length === 0 ? 0 : Math.min(...given);
}

/** A policy may want the body without having an `onRequest` hook; then an empty step stands for it. */
function withBuffering(
  policies: readonly NamedPolicy[],
  steps: readonly Step<Hooks['onRequest']>[],
): Step<Hooks['onRequest']>[] {
  const silent = policies.flatMap(({ name, policy }, position) =>
    policy.buffersRequest !== undefined && policy.onRequest === undefined
      ? [
          {
            policy: name,
            position,
            buffersRequest: policy.buffersRequest,
            buffersFor: buffersForOf(policy),
            hook: () => undefined,
          },
        ]
      : [],
  );
  return [...steps, ...silent].toSorted((a, b) => a.position - b.position);
}
