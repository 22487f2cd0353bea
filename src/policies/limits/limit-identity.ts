/** What a limit is called, and what it is the same limit by: for all threads, routes and configurations. */
import type { PolicyEnv } from '../../contract.ts';
import type { By } from './limit-key.ts';

interface Named {
  /** The policy: limits of two kinds are never one. */
  readonly kind: string;
  readonly name: string | undefined;
  readonly by: By;
}

/** How clients and logs see it. */
export function limitName({ kind, name }: Pick<Named, 'kind' | 'name'>, { label }: Pick<PolicyEnv, 'label'>): string {
  return name ?? (label === kind || label === '' ? 'default' : label);
}

/**
 * A limit with a name is one wherever it is used; one without counts for each route by itself, unless it is for the whole
 * gateway. With another rate it is another limit, and begins anew.
 */
export function limitIdentity(
  named: Named,
  numbers: unknown,
  { label, route }: Pick<PolicyEnv, 'label' | 'route'>,
): string {
  const { kind, by } = named;
  return JSON.stringify([kind, limitScope(named, { label, route }), by, numbers]);
}

/** For whom it is one: for all who use its name, for the gateway, or for the route. */
export type LimitScope = readonly ['named', string] | readonly ['global'] | readonly ['route', string];

export function limitScope(
  { kind, name, by }: Named,
  { label, route }: Pick<PolicyEnv, 'label' | 'route'>,
): LimitScope {
  const isNamed = name !== undefined || label !== kind;
  if (isNamed) return ['named', limitName({ kind, name }, { label })];
  return by === 'global' ? ['global'] : ['route', route];
}
