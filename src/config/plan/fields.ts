/** Compares two mappings field by field, by rules that say what a change of each means. */
import { formatDuration, formatSize } from '../../util/units.ts';
import type { ChangeKind, Difference } from './change.ts';
import { type Comparison, show } from './comparison.ts';
import type { Direction, Judge } from './judges.ts';
import { type Leaf, isSame, leavesOf, withoutAll } from './plain-compare.ts';

/** The kind of a change by its direction. */
export type DirectedKinds = Readonly<Record<Direction, ChangeKind>>;

export interface FieldRule {
  /** What it is called; by default its path. */
  readonly what?: string;
  readonly show?: (value: unknown) => string;
  readonly judge?: Judge;
  /** By default those of the section. */
  readonly kinds?: Partial<DirectedKinds>;
  /** Compared as a whole, although it is a mapping. */
  readonly whole?: true;
  /** The order of the list has no meaning. */
  readonly isSet?: true;
  /** Instead of all of this. Gets values that differ, either of which may be undefined. */
  readonly compare?: (before: unknown, after: unknown, comparison: Comparison) => readonly Difference[];
}

/** By path, such as `timeouts.total`. What is in none of them is compared all the same. */
export type FieldRules = Readonly<Record<string, FieldRule>>;

export interface FieldContext {
  readonly comparison: Comparison;
  readonly kinds: DirectedKinds;
  /** Keys of secret values; by default those of the configuration's schema. */
  readonly secretKeys?: ReadonlySet<string>;
  /** Behind every detail: ` (gold-limit)`. */
  readonly suffix?: string;
  /** Before the path of every field. */
  readonly prefix?: readonly string[];
}

export function compareFields(before: unknown, after: unknown, rules: FieldRules, context: FieldContext): Difference[] {
  const ruleOf = (path: readonly string[]): FieldRule | undefined => {
    const name = path.join('.');
    return Object.hasOwn(rules, name) ? rules[name] : undefined;
  };
  const isWhole = (path: readonly string[]): boolean => {
    const rule = ruleOf(path);
    return rule?.whole === true || rule?.compare !== undefined;
  };
  return leavesOf(before, after, isWhole).flatMap((leaf) => {
    const rule = ruleOf(leaf.path) ?? {};
    if (rule.compare !== undefined) return rule.compare(leaf.before, leaf.after, context.comparison);
    if (rule.isSet === true && isSameSet(leaf)) return [];
    return [describe(leaf, rule, context)];
  });
}

function isSameSet({ before, after }: Leaf): boolean {
  if (!Array.isArray(before) || !Array.isArray(after)) return false;
  const lacks = (list: readonly unknown[], others: readonly unknown[]): boolean =>
    list.some((item) => !others.some((other) => isSame(item, other)));
  return !lacks(before, after) && !lacks(after, before);
}

function describe(leaf: Leaf, rule: FieldRule, context: FieldContext): Difference {
  const { comparison, suffix = '', secretKeys, prefix = [] } = context;
  const kind = { ...context.kinds, ...rule.kinds }[(rule.judge ?? toOther)(leaf.before, leaf.after)];
  const path = [...prefix, ...leaf.path];
  const field = path.join('.');
  const what = rule.what ?? leaf.path.join('.');
  const isHidden =
    comparison.isSecret(leaf.before, leaf.path, secretKeys) || comparison.isSecret(leaf.after, leaf.path, secretKeys);
  if (isHidden) return { kind, field, detail: joined(what, hiddenVerb(leaf), suffix) };
  const before = comparison.show(leaf.before, leaf.path, secretKeys, rule.show);
  const after = comparison.show(leaf.after, leaf.path, secretKeys, rule.show);
  const detail = joined(what, listChange(leaf, rule.show ?? show) ?? valueChange(before, after), suffix);
  return { kind, field, detail, ...(before !== undefined && { before }), ...(after !== undefined && { after }) };
}

const toOther: Judge = () => 'other';

const joined = (what: string, change: string, suffix: string): string =>
  `${what}${what === '' ? '' : ' '}${change}${suffix}`;

function hiddenVerb({ before, after }: Leaf): string {
  if (before === undefined || before === null) return 'added (secret, not shown)';
  return after === undefined || after === null ? 'removed' : 'changed (secret, not shown)';
}

function valueChange(before: string | undefined, after: string | undefined): string {
  if (before === undefined) return `now ${after ?? 'otherwise'}`;
  return after === undefined ? `${before} removed` : `${before} → ${after}`;
}

/** More of what is new, or gone, is not told one by one. */
const MAX_ITEMS = 4;

/** `+ 10.0.0.0/8, - ::1`; null when one of the two is no list, or when they differ in their order alone. */
function listChange({ before, after }: Leaf, format: (value: unknown) => string): string | null {
  if (!Array.isArray(before) || !Array.isArray(after)) return null;
  const changes = [
    ...withoutAll(after, before).map((item) => `+ ${format(item)}`),
    ...withoutAll(before, after).map((item) => `- ${format(item)}`),
  ];
  if (changes.length === 0) return null;
  const rest = changes.length - MAX_ITEMS;
  return rest <= 0 ? changes.join(', ') : `${changes.slice(0, MAX_ITEMS).join(', ')} and ${rest} more`;
}

export const showDuration = (value: unknown): string =>
  typeof value === 'number' && Number.isSafeInteger(value) ? formatDuration(value) : show(value);

export const showSize = (value: unknown): string =>
  typeof value === 'number' && Number.isSafeInteger(value) ? formatSize(value) : show(value);
