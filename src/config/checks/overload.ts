/** What is said of importance must make a difference. */
import { type Finding, type Path, formatPath } from '../problem.ts';
import type { Sections } from '../sections.ts';
import { suggest } from '../suggest.ts';
import type { KnownCallers, ResolvedList } from './authorization.ts';

/** @param callers null where others may turn up that are not in the configuration. */
export function checkOverload(
  { accepted, written }: Sections,
  lists: readonly ResolvedList[],
  callers: (() => KnownCallers) | null,
  findings: Finding[],
): void {
  const { overload, routes = {} } = accepted;
  if (overload === undefined) {
    if (written['overload'] !== undefined) return;
    for (const name in routes) {
      if (routes[name].importance !== 'normal') {
        findings.push(noEffect(['routes', name, 'importance'], 'without `overload` nothing is refused'));
      }
    }
    return;
  }
  const groups = Object.keys(overload.groups);
  if (groups.length === 0) return;
  const isAnybodyKnown = lists.some(({ uses }) => {
    return uses.some(({ definition }) => definition.provides?.includes('consumer') === true);
  });
  if (!isAnybodyKnown) findings.push(noEffect(['overload', 'groups'], 'no policy of any route finds out who calls'));
  if (callers === null) return;
  const known = callers().groups;
  for (const group of groups) if (!known.has(group)) findings.push(unknownGroup(group, known));
}

function noEffect(path: Path, why: string): Finding {
  return { severity: 'warning', code: 'NO_EFFECT', message: `${formatPath(path)}: has no effect, as ${why}`, path };
}

function unknownGroup(group: string, known: ReadonlySet<string>): Finding {
  const path = ['overload', 'groups', group];
  const suggestion = suggest(group, [...known]);
  const message = `${formatPath(path)}: no consumer is in a group ${JSON.stringify(group)}`;
  return {
    severity: 'warning',
    code: 'UNKNOWN_GROUP',
    message,
    path,
    atKey: true,
    ...(suggestion !== undefined && { suggestion }),
  };
}
