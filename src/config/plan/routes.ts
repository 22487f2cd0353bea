/** Compares what is known of one route, or of `notFound`, in two configurations. */
import type { NotFoundConfig, RouteConfig } from '../schema.ts';
import { isMapping } from '../is-mapping.ts';
import type { ChangeKind, Difference } from './change.ts';
import { type Comparison, show } from './comparison.ts';
import { type DirectedKinds, type FieldRules, compareFields, showDuration } from './fields.ts';
import * as judge from './judges.ts';
import type { PolicyComparison } from './policies.ts';

const same = (kind: ChangeKind): DirectedKinds => ({ weaker: kind, stronger: kind, other: kind });

const matchRule = { kinds: same('route-match-changed') };
const actionRule = { kinds: same('route-action-changed') };
const timeoutRule = { kinds: same('timeout-changed'), show: showDuration };

/** A condition on a header or query parameter, or a pattern of a path, as it would be written. */
function showCondition(value: unknown): string {
  if (!isMapping(value)) return show(value);
  const { name, ...condition } = value;
  const what = 'equals' in condition ? condition['equals'] : condition;
  return name === undefined ? show(what) : `${show(name)}: ${show(what)}`;
}

const conditions = { ...matchRule, isSet: true, show: showCondition } as const;

const routeRules: FieldRules = {
  // The name is its subject, and its policies are compared by themselves.
  name: { compare: () => [] },
  policies: { compare: () => [] },
  priority: { ...matchRule },
  'match.host': { ...conditions, what: 'host' },
  'match.path': { ...conditions, what: 'path' },
  'match.methods': { ...conditions, what: 'methods' },
  'match.headers': { ...conditions, what: 'headers' },
  'match.query': { ...conditions, what: 'query' },
  'match.listener': { ...conditions, what: 'listener' },
  'match.emptySegments': { ...matchRule, what: 'empty segments in the path' },
  'match.encodedSlash': {
    kinds: { weaker: 'path-check-weakened', stronger: 'route-match-changed', other: 'route-match-changed' },
    judge: judge.inOrder('refuse', 'keep'),
    what: 'encoded slashes',
  },
  'timeouts.connect': { ...timeoutRule, what: 'connect' },
  'timeouts.firstByte': { ...timeoutRule, what: 'firstByte' },
  'timeouts.idle': { ...timeoutRule, what: 'idle' },
  'timeouts.total': { ...timeoutRule, what: 'total' },
  'rewrite.path': { ...actionRule },
  'rewrite.host': { ...actionRule },
  rewrite: { ...actionRule },
  'respond.status': { ...actionRule },
  'respond.body': { ...actionRule },
  respond: { ...actionRule },
  'redirect.to': { ...actionRule },
  'redirect.status': { ...actionRule },
};

/** Names of entries that have another name now: the earlier by the later one. */
export interface Renamed {
  readonly upstreams: ReadonlyMap<string, string>;
  readonly listeners: ReadonlyMap<string, string>;
}

export class RouteComparison {
  private readonly comparison: Comparison;
  private readonly policies: PolicyComparison;
  private readonly upstreamNames: ReadonlyMap<string, string>;
  private readonly listenerNames: ReadonlyMap<string, string>;

  constructor(comparison: Comparison, policies: PolicyComparison, renamed: Renamed) {
    this.comparison = comparison;
    this.policies = policies;
    this.upstreamNames = inverse(renamed.upstreams);
    this.listenerNames = inverse(renamed.listeners);
  }

  compare(before: RouteConfig, after: RouteConfig): readonly Difference[] {
    const { upstream: from, redirect: oldRedirect, respond: oldRespond, ...earlier } = this.inNewNames(before);
    const { upstream: to, redirect, respond, ...later } = after;
    const context = { comparison: this.comparison, kinds: same('route-changed') };
    const hasOtherAction = actionOf(before) !== actionOf(after);
    const fields = hasOtherAction
      ? compareFields(earlier, later, routeRules, context)
      : compareFields(
          { ...earlier, redirect: oldRedirect, respond: oldRespond },
          { ...later, redirect, respond },
          routeRules,
          context,
        );
    const [old, now] = [this.describeAction(from, before), this.describeAction(to, after)];
    const isElsewhere = hasOtherAction || (actionOf(after) === 'upstream' && old !== now);
    const action: Difference = { kind: 'route-action-changed', detail: `${old} → ${now}`, before: old, after: now };
    return [...this.policies.compare(before.policies, after.policies), ...(isElsewhere ? [action] : []), ...fields];
  }

  compareNotFound(before: NotFoundConfig, after: NotFoundConfig): readonly Difference[] {
    const context = { comparison: this.comparison, kinds: same('not-found-changed') };
    return [
      ...this.policies.compare(before.policies, after.policies),
      ...compareFields(before, after, { policies: { compare: () => [] } }, context),
    ];
  }

  /** What a route that is new, or gone, is about: `GET api.example.com /catalog/* → upstream catalog`. */
  describe(route: RouteConfig): string {
    const { methods, host, path } = route.match;
    const parts = [methods ?? [], host, path].filter((list) => list.length > 0);
    const match = parts.map((list) => this.showText(list.map(showCondition).join(', '), ['match'])).join(' ');
    return `${match === '' ? 'everything' : match} → ${this.describeAction(route.upstream, route)}`;
  }

  /** What identifies a route whatever it is called, and two routes of one configuration cannot share without a tie. */
  static identityOf(this: void, { match, priority }: RouteConfig): string {
    const sorted = (list: readonly unknown[]): string[] => list.map((item) => JSON.stringify(item)).toSorted();
    return JSON.stringify(
      Object.entries({ ...match, priority: [priority] })
        .filter(([, value]) => value !== undefined)
        .map(([key, value]) => [key, Array.isArray(value) ? sorted(value) : value])
        .toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
    );
  }

  private describeAction(upstream: RouteConfig['upstream'], { redirect, respond }: RouteConfig): string {
    if (redirect !== null) return this.showText(`redirect ${redirect.status} to ${redirect.to}`, ['redirect']);
    if (respond !== null) return `respond ${respond.status}`;
    const parts = upstream ?? [];
    if (parts.length === 1) return `upstream ${parts[0].upstream}`;
    return `upstreams ${parts.map((part) => `${part.upstream} (${part.weight})`).join(', ')}`;
  }

  private showText(text: string, path: readonly string[]): string {
    return this.comparison.show(text, path, undefined, String) ?? 'what is secret';
  }

  /** The earlier route as it would be with the names that upstreams and listeners have now. */
  private inNewNames(route: RouteConfig): RouteConfig {
    const { upstreamNames, listenerNames } = this;
    if (upstreamNames.size === 0 && listenerNames.size === 0) return route;
    const { match, upstream } = route;
    return {
      ...route,
      match: { ...match, listener: match.listener.map((name) => listenerNames.get(name) ?? name) },
      upstream:
        upstream?.map(({ upstream: name, weight }) => ({ upstream: upstreamNames.get(name) ?? name, weight })) ?? null,
    };
  }
}

const actionOf = ({ redirect, respond }: RouteConfig): 'redirect' | 'respond' | 'upstream' =>
  redirect !== null ? 'redirect' : respond !== null ? 'respond' : 'upstream';

const inverse = (names: ReadonlyMap<string, string>): ReadonlyMap<string, string> =>
  new Map([...names].map(([now, before]) => [before, now]));
