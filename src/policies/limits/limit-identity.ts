/** What a limit is called, and what it is the same limit by: for all threads, routes and configurations. */
import type { PolicyEnv } from '../../contract.ts';

interface Named {
  /** The policy: limits of two kinds are never one. */
  readonly kind: string;
  readonly name: string | undefined;
  readonly by: string | readonly string[];
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
  const { kind, name, by } = named;
  const isNamed = name !== undefined || label !== kind;
  const scope = isNamed ? ['named', limitName(named, { label })] : by === 'global' ? ['global'] : ['route', route];
  return JSON.stringify([kind, scope, by, numbers]);
}
