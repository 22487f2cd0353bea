/** What `authorize` asks for must be there to be had: consumers, groups, scopes, and captures of the path. */
import { withInnerUses } from '../inner-uses.ts';
import type { ResolvedUse } from '../policies.ts';
import { type Finding, type Path, formatPath } from '../problem.ts';
import { isMapping } from '../is-mapping.ts';
import type { MatchConfig } from '../schema.ts';
import { suggest } from '../suggest.ts';
import { checkCaptures } from './routes.ts';

/** The policies of a route, of the defaults or of `notFound`. */
export interface ResolvedList {
  readonly uses: readonly ResolvedUse[];
  /** Where the uses begin that are written in this list; those before them are of the defaults. */
  readonly from: number;
  /** Of the route; null for a list that is not of one. */
  readonly match: MatchConfig | null;
}

/** Who may be named. Made when somebody is: there may be very many consumers. */
export interface KnownCallers {
  readonly consumers: ReadonlySet<string>;
  readonly groups: ReadonlySet<string>;
}

/** Those whose credentials are granted no scopes, and of these those that have no claims either. */
const WITHOUT_SCOPES: readonly string[] = ['apiKey', 'basicAuth', 'messageSignature', 'mtls'];
const WITHOUT_CLAIMS: readonly string[] = ['apiKey', 'basicAuth', 'messageSignature'];

/** @param callers null where others may turn up that are not in the configuration. */
export function checkAuthorization(
  lists: readonly ResolvedList[],
  callers: (() => KnownCallers) | null,
  findings: Finding[],
): void {
  let known: KnownCallers | undefined;
  /** One that is named and used by many is told about once. */
  const seen = new Set<unknown>();
  for (const { uses, from, match } of lists) {
    for (let index = from; index < uses.length; index++) {
      const { use } = uses[index];
      if (use.module !== null || use.name !== 'authorize' || !isMapping(use.options)) continue;
      const before = uses.slice(0, index).filter(({ definition }) => definition.provides?.includes('consumer'));
      const place = { options: use.options, path: optionsPath(uses[index]) };
      checkGrants(place, before, findings);
      if (match !== null) checkClaimCaptures(place, match, findings);
      if (seen.has(use.options)) continue;
      seen.add(use.options);
      // Whoever authenticates by code of his own may call its consumers whatever he likes.
      const isOwn = before.some((one) => [...withInnerUses([one.use])].some(({ module }) => module !== null));
      if (callers !== null && !isOwn) checkNames(place, () => (known ??= callers()), findings);
    }
  }
}

interface Place {
  readonly options: Readonly<Record<string, unknown>>;
  readonly path: Path;
}

/** A named policy is told about where it is named: its options stand elsewhere. */
function optionsPath({ use, path }: ResolvedUse): Path {
  return use.label === use.name ? [...path, use.name] : path;
}

function checkNames({ options, path }: Place, callers: () => KnownCallers, findings: Finding[]): void {
  const { deny } = options;
  const parts = [
    { conditions: options, at: path },
    { conditions: isMapping(deny) ? deny : {}, at: [...path, 'deny'] },
  ];
  for (const { conditions, at } of parts) {
    for (const [key, code, noun] of NAMED) {
      const names = conditions[key];
      for (const [index, name] of Array.isArray(names) ? names.entries() : []) {
        if (typeof name !== 'string' || (key === 'consumers' && name === '*')) continue;
        const known = callers()[key];
        if (known.has(name)) continue;
        const suggestion = suggest(name, [...known]);
        const place = [...at, key, index];
        const message = `${formatPath(place)}: ${noun} ${JSON.stringify(name)}`;
        findings.push({
          severity: 'error',
          code,
          message,
          path: place,
          ...(suggestion !== undefined && { suggestion }),
        });
      }
    }
  }
}

const NAMED = [
  ['consumers', 'UNKNOWN_CONSUMER', 'there is no consumer'],
  ['groups', 'UNKNOWN_GROUP', 'no consumer is in a group'],
] as const;

/** What nobody can be granted on this route refuses everybody. */
function checkGrants({ options, path }: Place, before: readonly ResolvedUse[], findings: Finding[]): void {
  const ways = [...withInnerUses(before.map(({ use }) => use))].filter(({ name }) => name !== 'anyOf');
  if (ways.length === 0 || ways.some(({ module }) => module !== null)) return;
  for (const [key, without] of [
    ['scopes', WITHOUT_SCOPES],
    ['claims', WITHOUT_CLAIMS],
  ] as const) {
    if (options[key] === undefined || ways.some(({ name }) => !without.includes(name))) continue;
    const names = [...new Set(ways.map(({ name }) => name))].join(' and ');
    const message = `${formatPath([...path, key])}: credentials of ${names} have no ${key}, so that everybody is refused`;
    findings.push({ severity: 'warning', code: 'NEVER_ALLOWED', message, path: [...path, key], atKey: true });
  }
}

function checkClaimCaptures({ options, path }: Place, match: MatchConfig, findings: Finding[]): void {
  const { deny } = options;
  const denied = isMapping(deny) ? deny['claims'] : undefined;
  for (const [rules, at] of [
    [options['claims'], [...path, 'claims']],
    [denied, [...path, 'deny', 'claims']],
  ] as const) {
    for (const [claim, rule] of isMapping(rules) ? Object.entries(rules) : []) {
      for (const text of textsIn(rule)) {
        if (/^\{.*\}$/.test(text)) checkCaptures(text, match, [...at, claim], findings);
      }
    }
  }
}

/** The values of a rule that may stand for a capture. */
function textsIn(rule: unknown): readonly string[] {
  if (typeof rule === 'string') return [rule];
  if (Array.isArray(rule)) return rule.filter((value) => typeof value === 'string');
  if (!isMapping(rule)) return [];
  return ['equals', 'oneOf', 'contains', 'containsAny'].flatMap((key) => textsIn(rule[key]));
}
