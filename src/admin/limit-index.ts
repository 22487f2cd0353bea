/** The limits of a configuration, put together once for each: there may be very many. */
import { hash } from 'node:crypto';
import { withInnerUses } from '../config/inner-uses.ts';
import type { GatewayConfig, PolicyUse } from '../config/schema.ts';
import { type LimitFacts, limitFacts } from '../policies/limit-facts.ts';

export interface IndexedLimit extends LimitFacts {
  readonly id: string;
  /** The names of the routes that use it. */
  readonly routes: readonly string[];
}

export interface LimitIndex {
  /** By name, then by route. */
  readonly limits: readonly IndexedLimit[];
  /** The limit of an id, and those of a name. */
  find(idOrName: string): readonly IndexedLimit[];
}

const indices = new WeakMap<GatewayConfig, LimitIndex>();

export function limitIndexOf(config: GatewayConfig): LimitIndex {
  let index = indices.get(config);
  if (index === undefined) indices.set(config, (index = makeIndex(config)));
  return index;
}

interface Found {
  readonly facts: LimitFacts;
  readonly routes: string[];
}

function makeIndex({ routes, notFound }: GatewayConfig): LimitIndex {
  const found = new Map<string, Found>();
  const collect = (uses: readonly PolicyUse[], route: string): void => {
    for (const use of withInnerUses(uses)) {
      const facts = use.module === null ? limitFacts(use, route) : null;
      if (facts === null) continue;
      const known = found.get(facts.identity);
      if (known === undefined) found.set(facts.identity, { facts, routes: [route] });
      // A list may name a limit twice.
      else if (known.routes.at(-1) !== route) known.routes.push(route);
    }
  };
  for (const name of Object.keys(routes).toSorted()) collect(routes[name].policies, name);
  collect(notFound.policies, 'notFound');
  const limits = Array.from(found.values(), (limit) =>
    Object.assign({ id: idOf(limit.facts), routes: limit.routes }, limit.facts),
  );
  limits.sort((a, b) => compare(a.name, b.name) || compare(a.routes[0], b.routes[0]) || compare(a.kind, b.kind));
  return { limits, find: finderIn(limits) };
}

function finderIn(limits: readonly IndexedLimit[]): LimitIndex['find'] {
  const byId = new Map(limits.map((limit) => [limit.id, limit]));
  const byName = Map.groupBy(limits, ({ name }) => name);
  return (idOrName) => {
    const one = byId.get(idOrName);
    return one === undefined ? (byName.get(idOrName) ?? []) : [one];
  };
}

function idOf({ identity }: LimitFacts): string {
  return hash('sha256', identity).slice(0, 16);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
