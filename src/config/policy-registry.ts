/** The policies that come with the gateway, of which only those are loaded that a configuration uses. */
import type { PolicyDefinition } from '../contract.ts';
import { withInnerUses } from './inner-uses.ts';
import { isMapping } from './is-mapping.ts';
import type { GatewayConfig, PolicyUse } from './schema.ts';

export interface PolicyRegistry {
  /** Of all that there are. */
  readonly names: readonly string[];
  /** The definitions of those of these names that there are, by name. */
  load(names: Iterable<string>): Promise<ReadonlyMap<string, PolicyDefinition>>;
}

/** Uses of policies as they are written, with those that stand in the options of others. */
export function* writtenUses(list: readonly unknown[]): Generator {
  for (const use of list) {
    yield use;
    // Which policies combine others is known only once they are loaded, but options that are lists have no other meaning.
    const inner = isMapping(use) ? Object.values(use).filter((options) => Array.isArray(options)) : [];
    for (const options of inner) yield* writtenUses(options);
  }
}

/** What may be the name of a built-in policy in uses as they are written; what they call a policy may be another's name. */
export function namesIn(uses: Iterable<unknown>): ReadonlySet<string> {
  const names = new Set<string>();
  for (const use of uses) {
    if (typeof use === 'string') names.add(use);
    else if (isMapping(use)) for (const name of Object.keys(use)) names.add(name);
  }
  return names;
}

/** Every use of a policy in a configuration, those in the options of others included. Lists that are shared come once. */
export function* policyUses({ routes, notFound }: GatewayConfig): Generator<PolicyUse> {
  const seen = new Set<readonly PolicyUse[]>();
  for (const name in routes) seen.add(routes[name].policies);
  seen.add(notFound.policies);
  for (const list of seen) yield* withInnerUses(list);
}

/** The names of the built-in policies that a configuration uses. */
export function builtinNames(config: GatewayConfig): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { name, module } of policyUses(config)) if (module === null) names.add(name);
  return names;
}
