/** The database of quotas: there must be quotas for it, and it must be nobody else's. */
import { resolve } from 'node:path';
import { withInnerUses } from '../inner-uses.ts';
import { isMapping } from '../is-mapping.ts';
import type { Finding } from '../problem.ts';
import type { Sections } from '../sections.ts';
import type { ResolvedList } from './authorization.ts';

export function checkQuotas(
  { accepted, isComplete }: Sections,
  lists: readonly ResolvedList[],
  findings: Finding[],
): void {
  const database = accepted.quotas?.database;
  if (database === undefined) return;
  const path = ['quotas', 'database'];
  const other = accepted.consumerSources?.database;
  if (other !== undefined && resolve('/', other) === resolve('/', database)) {
    const message =
      'quotas.database is the database of consumers as well (consumerSources.database): name another file';
    findings.push({ severity: 'error', code: 'BAD_VALUE', message, path });
  }
  if (isComplete && !lists.some(hasQuota)) {
    const message = 'quotas.database is not used by anything: no route has a quota that is counted in memory';
    findings.push({ severity: 'warning', code: 'UNUSED', message, path });
  }
}

function hasQuota({ uses }: ResolvedList): boolean {
  return [...withInnerUses(uses.map(({ use }) => use))].some(({ name, module, options }) => {
    return name === 'quota' && module === null && isMapping(options) && options['store'] === 'memory';
  });
}
