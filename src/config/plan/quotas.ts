/** Compares where quotas are kept. */
import type { GatewayConfig } from '../schema.ts';
import type { ChangeKind, Difference } from './change.ts';
import type { Comparison } from './comparison.ts';

/** A gateway that runs may be of another version: what it does not tell is not compared. */
export function compareQuotas(
  before: GatewayConfig['quotas'] | undefined,
  after: GatewayConfig['quotas'] | undefined,
  comparison: Comparison,
): Difference[] {
  if (before === undefined || after === undefined) return [];
  const pathOf = (path: string | null, side: 'before' | 'after'): string =>
    path === null ? 'none' : comparison.fileName(path, side);
  const [from, to] = [pathOf(before.database, 'before'), pathOf(after.database, 'after')];
  if (from === to) return [];
  const [kind, meaning] = meaningOf(before.database, after.database);
  return [{ kind, detail: `database ${from} → ${to}, ${meaning}`, field: 'database', before: from, after: to }];
}

function meaningOf(before: string | null, after: string | null): readonly [kind: ChangeKind, meaning: string] {
  if (after === null) return ['limit-raised', 'a restart forgets what was counted'];
  if (before === null) return ['limit-lowered', 'a restart forgets nothing'];
  return ['limit-changed', 'a start finds the counts of the new one'];
}
