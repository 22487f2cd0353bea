/**
 * What changes between two configurations, in the terms of those who operate the gateway. Pure: the documents go in,
 * plain data comes out. What is the same but written otherwise is no change: the order of routes, a policy that got a
 * name, a file that is beside the configuration in both of two folders.
 */
import { formatPercentage } from '../../util/units.ts';
import type { GatewayConfig, ListenerConfig, RouteConfig, UpstreamConfig } from '../schema.ts';
import { type Change, type Difference, compareChanges, compareText, toChange } from './change.ts';
import { Comparison, type DiffSurroundings, show } from './comparison.ts';
import { compareConsumerSources, compareConsumers } from './consumers.ts';
import { type PairedEntries, pairEntries } from './entries.ts';
import { type DirectedKinds, type FieldRules, compareFields, showDuration } from './fields.ts';
import * as judge from './judges.ts';
import { keysOf, ownValue } from './plain-compare.ts';
import { compareOverload } from './overload.ts';
import { PolicyComparison } from './policies.ts';
import { compareQuotas } from './quotas.ts';
import { RouteComparison } from './routes.ts';
import { compareAdmin, compareListeners, describeListener, identityOfListener } from './sockets.ts';
import { compareStore, describeStore } from './stores.ts';
import { compareUpstreams } from './upstreams.ts';

/** @returns the changes, the most important first; of what changes alike in many routes, one. */
export function diffConfigs(
  before: GatewayConfig,
  after: GatewayConfig,
  surroundings: DiffSurroundings = {},
): readonly Change[] {
  return new ConfigComparison(before, after, surroundings).compare();
}

const other: DirectedKinds = { weaker: 'setting-changed', stronger: 'setting-changed', other: 'setting-changed' };
const accessLog = {
  weaker: 'access-log-changed',
  other: 'access-log-changed',
  stronger: 'access-log-changed',
} as const;

const telemetryRules: FieldRules = {
  accessLog: { kinds: accessLog, what: '' },
  'accessLog.file': {
    compare: (before, after, comparison) => {
      if (comparison.isSameFile(before, after)) return [];
      const [from, to] = [comparison.fileName(before, 'before'), comparison.fileName(after, 'after')];
      return [
        {
          kind: 'access-log-changed',
          detail: `file ${from} → ${to}`,
          field: 'accessLog.file',
          before: from,
          after: to,
        },
      ];
    },
  },
  'accessLog.format': { kinds: accessLog, what: 'format' },
  'accessLog.sample': { kinds: accessLog, what: 'sample', show: showPercentage },
  'accessLog.headers': { kinds: accessLog, what: 'headers', isSet: true },
  'accessLog.redact': {
    what: 'redact',
    isSet: true,
    judge: judge.fewerIsWeaker,
    kinds: { ...accessLog, weaker: 'redaction-removed' },
  },
  'debug.maxAge': { show: showDuration },
};

function showPercentage(value: unknown): string {
  return typeof value === 'number' ? formatPercentage(value) : show(value);
}

/**
 * Sections that are compared by rules of their own. The folder is no setting; how many policies come from the defaults
 * changes nothing that the routes do not show.
 */
const knownSections: readonly string[] = [
  'baseDir',
  'defaultPolicies',
  'listeners',
  'admin',
  'overload',
  'consumers',
  'consumerSources',
  'quotas',
  'stores',
  'upstreams',
  'routes',
  'notFound',
  'telemetry',
];

class ConfigComparison {
  private readonly before: GatewayConfig;
  private readonly after: GatewayConfig;
  private readonly comparison: Comparison;
  private readonly changes = new ChangeList();

  constructor(before: GatewayConfig, after: GatewayConfig, surroundings: DiffSurroundings) {
    this.before = before;
    this.after = after;
    this.comparison = new Comparison(before, after, surroundings);
  }

  compare(): readonly Change[] {
    const { before, after, comparison, changes } = this;
    const listeners = this.compareListeners();
    const upstreams = this.compareUpstreams();
    const policies = new PolicyComparison(comparison);
    const renamed = { upstreams: upstreams.renamed, listeners: listeners.renamed };
    const routes = new RouteComparison(comparison, policies, renamed);
    this.compareRoutes(routes);
    for (const { name, differences } of compareConsumers(before.consumers, after.consumers)) {
      changes.add('consumers', name, differences);
    }
    const sources = compareConsumerSources(before.consumerSources, after.consumerSources, comparison);
    changes.add('consumerSources', null, sources);
    changes.add('quotas', null, compareQuotas(before.quotas, after.quotas, comparison));
    this.compareStores();
    changes.add('notFound', null, routes.compareNotFound(before.notFound, after.notFound));
    changes.add('overload', null, compareOverload(before.overload, after.overload, comparison));
    changes.add('admin', null, compareAdmin(before.admin, after.admin, comparison));
    changes.add(
      'telemetry',
      null,
      compareFields(before.telemetry, after.telemetry, telemetryRules, { comparison, kinds: other }),
    );
    this.compareOtherSections();
    return changes.grouped();
  }

  private compareListeners(): PairedEntries<ListenerConfig> {
    const { before, after, comparison, changes } = this;
    const pairs = pairEntries(before.listeners, after.listeners, identityOfListener);
    for (const name of pairs.removed) {
      const where = describeListener(before.listeners[name], comparison);
      changes.add('listeners', name, [{ kind: 'listener-closed', detail: where, before: where }]);
    }
    for (const name of pairs.added) {
      const where = describeListener(after.listeners[name], comparison);
      changes.add('listeners', name, [{ kind: 'listener-opened', detail: where, after: where }]);
    }
    for (const pair of pairs.kept) {
      changes.add('listeners', pair.name, compareListeners(pair.before, pair.after, comparison));
    }
    this.tellRenamed('listeners', 'listener-renamed', pairs);
    return pairs;
  }

  private compareUpstreams(): PairedEntries<UpstreamConfig> {
    const { before, after, comparison, changes } = this;
    const pairs = pairEntries(before.upstreams, after.upstreams, (upstream) => JSON.stringify(upstream));
    const targetsOf = ({ targets }: UpstreamConfig): string =>
      comparison.show(
        targets.map(({ url }) => url),
        [],
      ) ?? '';
    for (const name of pairs.removed) {
      changes.add('upstreams', name, [{ kind: 'upstream-removed', detail: targetsOf(before.upstreams[name]) }]);
    }
    for (const name of pairs.added) {
      changes.add('upstreams', name, [{ kind: 'upstream-added', detail: targetsOf(after.upstreams[name]) }]);
    }
    for (const pair of pairs.kept) {
      changes.add('upstreams', pair.name, compareUpstreams(pair.before, pair.after, comparison));
    }
    this.tellRenamed('upstreams', 'upstream-renamed', pairs);
    return pairs;
  }

  private compareStores(): void {
    const { before, after, comparison, changes } = this;
    const pairs = pairEntries(before.stores, after.stores, () => null);
    for (const name of pairs.removed) {
      changes.add('stores', name, [describeStore(before.stores[name], 'removed', comparison)]);
    }
    for (const name of pairs.added) {
      changes.add('stores', name, [describeStore(after.stores[name], 'added', comparison)]);
    }
    for (const pair of pairs.kept) changes.add('stores', pair.name, compareStore(pair.before, pair.after, comparison));
  }

  private compareRoutes(routes: RouteComparison): void {
    const { before, after, changes } = this;
    const pairs = pairEntries<RouteConfig>(before.routes, after.routes, RouteComparison.identityOf);
    for (const name of pairs.removed) {
      changes.add('routes', name, [{ kind: 'route-removed', detail: routes.describe(before.routes[name]) }]);
    }
    for (const name of pairs.added) {
      changes.add('routes', name, [{ kind: 'route-added', detail: routes.describe(after.routes[name]) }]);
    }
    for (const pair of pairs.kept) changes.add('routes', pair.name, routes.compare(pair.before, pair.after));
    this.tellRenamed('routes', 'route-renamed', pairs);
  }

  private tellRenamed(
    section: 'routes' | 'upstreams' | 'listeners',
    kind: 'route-renamed' | 'upstream-renamed' | 'listener-renamed',
    { renamed }: PairedEntries<unknown>,
  ): void {
    for (const [name, old] of renamed) {
      this.changes.add(section, name, [{ kind, detail: `was ${old}`, before: old, after: name }]);
    }
  }

  /** `threads`, and whatever has no rules of its own: it is told all the same. */
  private compareOtherSections(): void {
    const before: Record<string, unknown> = { ...this.before };
    const after: Record<string, unknown> = { ...this.after };
    for (const section of keysOf(before, after)) {
      if (knownSections.includes(section)) continue;
      const found = compareFields(
        ownValue(before, section),
        ownValue(after, section),
        {},
        {
          comparison: this.comparison,
          kinds: other,
        },
      );
      this.changes.add(section, null, found);
    }
  }
}

interface Collected {
  readonly section: string;
  readonly names: Set<string>;
  readonly difference: Difference;
}

/** Collects changes, and puts together those that say the same of several entries of a section. */
class ChangeList {
  private readonly collected = new Map<string, Collected>();

  /** @param name of the entry; null for a section that has none. */
  add(section: string, name: string | null, differences: readonly Difference[]): void {
    for (const difference of differences) {
      const key = JSON.stringify([section, difference]);
      let known = this.collected.get(key);
      if (known === undefined) this.collected.set(key, (known = { section, names: new Set(), difference }));
      if (name !== null) known.names.add(name);
    }
  }

  grouped(): Change[] {
    return [...this.collected.values()]
      .map(({ section, names, difference }) =>
        toChange({ section, names: [...names].toSorted(compareText) }, difference),
      )
      .toSorted(compareChanges);
  }
}
