/** Whom limits name must be there, and be known by then: otherwise what is said of them does nothing. */
import { withInnerUses } from '../inner-uses.ts';
import { isMapping } from '../is-mapping.ts';
import type { ResolvedUse } from '../policies.ts';
import { type Finding, type Path, formatPath } from '../problem.ts';
import { suggest } from '../suggest.ts';
import type { KnownCallers, ResolvedList } from './authorization.ts';

const LIMITS: readonly string[] = ['rateLimit', 'quota', 'concurrency'];

/** Where a limit makes a difference between callers. */
interface Naming {
  readonly name: string;
  readonly path: Path;
  /** Whether it is the name at the end of the path, and not what stands there. */
  readonly atKey: boolean;
  readonly isKnown: (callers: KnownCallers) => boolean;
  readonly among: (callers: KnownCallers) => Iterable<string>;
  readonly code: 'UNKNOWN_CONSUMER' | 'UNKNOWN_GROUP';
  readonly missing: string;
}

/** @param callers null where others may turn up that are not in the configuration. */
export function checkLimits(
  lists: readonly ResolvedList[],
  callers: (() => KnownCallers) | null,
  findings: Finding[],
): void {
  let known: KnownCallers | undefined;
  /** One that is named and used by many is told about once. */
  const seen = new Set<unknown>();
  for (const { uses, from } of lists) {
    for (let index = from; index < uses.length; index++) {
      const { use, path } = uses[index];
      if (use.module !== null || !LIMITS.includes(use.name) || !isMapping(use.options)) continue;
      const isNamed = use.label !== use.name;
      if (!isNamed) findings.push(...valuesOfNobody(use.options, uses, index));
      const namings = namingsIn(use.options, isNamed ? path : [...path, use.name]);
      if (namings.length === 0) continue;
      const before = uses.slice(0, index).filter(({ definition }) => definition.provides?.includes('consumer'));
      // One with a name may be for other routes as well, where somebody is known.
      if (before.length === 0 && !isNamed) findings.push(nobodyKnown(use.name, path));
      if (callers === null || seen.has(use.options) || before.some(hasOwnCode)) continue;
      seen.add(use.options);
      known ??= callers();
      for (const naming of namings) if (!naming.isKnown(known)) findings.push(unknown(naming, known));
    }
  }
}

/** Whoever authenticates by code of his own may call its consumers whatever he likes. */
function hasOwnCode({ use }: ResolvedUse): boolean {
  return [...withInnerUses([use])].some(({ module }) => module !== null);
}

function namingsIn(options: Readonly<Record<string, unknown>>, path: Path): readonly Naming[] {
  const { exempt } = options;
  const { consumers, groups } = isMapping(exempt) ? exempt : {};
  return [
    ...(['rates', 'limits'] as const)
      .flatMap((option) => Object.keys(isMapping(options[option]) ? options[option] : {}).map((name) => [option, name]))
      .filter(([, name]) => name !== 'default')
      .map(([option, name]) => ({
        name,
        path: [...path, option, name],
        atKey: true,
        isKnown: (callers: KnownCallers) => callers.consumers.has(name) || callers.groups.has(name),
        among: (callers: KnownCallers) => [...callers.consumers, ...callers.groups],
        code: 'UNKNOWN_CONSUMER' as const,
        missing: 'there is neither a consumer nor a group',
      })),
    ...textsIn(consumers).map((name, index) => ({
      name,
      path: [...path, 'exempt', 'consumers', index],
      atKey: false,
      isKnown: (callers: KnownCallers) => callers.consumers.has(name),
      among: (callers: KnownCallers) => callers.consumers,
      code: 'UNKNOWN_CONSUMER' as const,
      missing: 'there is no consumer',
    })),
    ...textsIn(groups).map((name, index) => ({
      name,
      path: [...path, 'exempt', 'groups', index],
      atKey: false,
      isKnown: (callers: KnownCallers) => callers.groups.has(name),
      among: (callers: KnownCallers) => callers.groups,
      code: 'UNKNOWN_GROUP' as const,
      missing: 'no consumer is in a group',
    })),
  ];
}

function textsIn(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

/** A warning: a rate may be laid out for a group before the first one is in it. */
function unknown({ name, path, atKey, among, code, missing }: Naming, callers: KnownCallers): Finding {
  const suggestion = suggest(name, [...among(callers)]);
  const message = `${formatPath(path)}: ${missing} ${JSON.stringify(name)}`;
  return { severity: 'warning', code, message, path, atKey, ...(suggestion !== undefined && { suggestion }) };
}

function nobodyKnown(name: string, path: Path): Finding {
  const message = `${formatPath(path)}: what ${name} says of consumers and groups has no effect, as no policy before it finds out who calls`;
  return { severity: 'warning', code: 'NO_EFFECT', message, path };
}

/** What no policy has noted is never there: only those of the user's own note anything, and what counts beforehand before. */
function valuesOfNobody(
  options: Readonly<Record<string, unknown>>,
  uses: readonly ResolvedUse[],
  at: number,
): Finding[] {
  const { by, cost } = options;
  const { before, after } = isMapping(cost) ? cost : { before: cost };
  const nobodyIn = (others: readonly ResolvedUse[]): boolean => !others.some(hasOwnCode);
  const early = textsIn([by, before].flat()).filter(isValue);
  const late = textsIn([after]).filter(isValue);
  const { use, path } = uses[at];
  return [...(nobodyIn(uses.slice(0, at)) ? early : []), ...(nobodyIn(uses) ? late : [])].map((text) => {
    const message = `${formatPath(path)}: ${use.name} gets nothing by ${text}, which only a policy of your own could note${early.includes(text) ? ' before it' : ''}`;
    return { severity: 'warning', code: 'NO_EFFECT', message, path };
  });
}

const isValue = (text: string): boolean => text.startsWith('value:');
