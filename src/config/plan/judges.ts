/** Which of two values of an option is the stricter one. Whatever cannot be told is just another value. */
import { isMapping } from '../is-mapping.ts';
import { type Rate, parseDuration, parseRate } from '../../util/units.ts';
import { isSame, keysOf, ownValue } from './plain-compare.ts';

export type Direction = 'weaker' | 'stronger' | 'other';

/** Which way the change from one value to another goes. Is only asked about values that differ; never throws. */
export type Judge = (before: unknown, after: unknown) => Direction;

/** A missing number is what the default is, which is not known here, so nothing is said of it. */
export const higherIsWeaker: Judge = (before, after) =>
  typeof before !== 'number' || typeof after !== 'number' ? 'other' : after > before ? 'weaker' : 'stronger';

const lowerIsWeaker: Judge = (before, after) => higherIsWeaker(after, before);

export const trueIsWeaker: Judge = (_, after) => (after === true ? 'weaker' : 'stronger');

export const falseIsWeaker: Judge = (_, after) => (after === false ? 'weaker' : 'stronger');

/** Of words, the first is the strictest. */
export function inOrder(...words: readonly unknown[]): Judge {
  return (before, after) => {
    const [from, to] = [words.indexOf(before), words.indexOf(after)];
    return from === -1 || to === -1 ? 'other' : to > from ? 'weaker' : 'stronger';
  };
}

/** The same where a value that is missing is one of the words. */
export function inOrderOr(missing: unknown, ...words: readonly unknown[]): Judge {
  return (before, after) => {
    const [from, to] = [before ?? missing, after ?? missing];
    return from === to ? 'other' : inOrder(...words)(from, to);
  };
}

/** A store that machines have in common, or the memory of each of them. */
export const sharedIsStronger: Judge = (before, after) => {
  const [wasShared, isShared] = [before, after].map((store) => store !== undefined && store !== 'memory');
  return wasShared === isShared ? 'other' : isShared ? 'stronger' : 'weaker';
};

/** Something that is there or not, and protects when it is. */
export const absenceIsWeaker: Judge = (before, after) =>
  isAbsent(after) ? 'weaker' : isAbsent(before) ? 'stronger' : 'other';

/** Something that gives more away when it is there. */
export const absenceIsStronger: Judge = (before, after) =>
  isAbsent(after) ? 'stronger' : isAbsent(before) ? 'weaker' : 'other';

const isAbsent = (value: unknown): boolean => value === undefined || value === null || value === false;

/** What is allowed: a list, or one of it; `*` stands for everything. Something that is new makes it weaker. */
export const moreIsWeaker: Judge = (before, after) => {
  const [from, to] = [listOf(before), listOf(after)];
  if (to.every((item) => includes(from, item))) return from.every((item) => includes(to, item)) ? 'other' : 'stronger';
  return 'weaker';
};

/** The same where no list means no condition. */
export const moreOrNoneIsWeaker: Judge = (before, after) => {
  if (isEmpty(after)) return 'weaker';
  return isEmpty(before) ? 'stronger' : moreIsWeaker(before, after);
};

/** What is required or refused: a list, one of it, or a mapping. Something that is missing makes it weaker. */
export const fewerIsWeaker: Judge = (before, after) => {
  const [from, to] = [entriesOf(before), entriesOf(after)];
  if (from.every((item) => includes(to, item))) return to.every((item) => includes(from, item)) ? 'other' : 'stronger';
  return 'weaker';
};

/** Several findings as one: whatever is weaker anywhere is weaker. */
function together(directions: readonly Direction[]): Direction {
  if (directions.includes('weaker')) return 'weaker';
  return directions.length > 0 && directions.every((one) => one === 'stronger') ? 'stronger' : 'other';
}

/** Scopes of `authorize`: a list of which all are asked for, or `{all, any}`. */
export const scopesAreWeaker: Judge = (before, after) => {
  const read = (value: unknown): Readonly<Record<string, unknown>> => (isMapping(value) ? value : { all: value });
  const [from, to] = [read(before), read(after)];
  const [allBefore, all] = [ownValue(from, 'all'), ownValue(to, 'all')];
  const [anyBefore, any] = [ownValue(from, 'any'), ownValue(to, 'any')];
  return together([
    ...(isSame(listOf(allBefore), listOf(all)) ? [] : [fewerIsWeaker(allBefore, all)]),
    ...(isSame(listOf(anyBefore), listOf(any)) ? [] : [moreOrNoneIsWeaker(anyBefore, any)]),
  ]);
};

/** Rules about claims, by claim. Each of them has to be met. */
export const claimRulesAreWeaker: Judge = (before, after) => compareRules(before, after, claimRule);

/** The same where claims are denied: each is denied by itself, and of what a list contains any is enough. */
export const deniedClaimsAreWeaker: Judge = (before, after) =>
  compareRules(before, after, (was, is) => claimRule(deniedRule(is), deniedRule(was)));

/** One that is gone asks for less in either case. */
function compareRules(before: unknown, after: unknown, judged: Judge): Direction {
  const [from, to] = [before, after].map((value) => (isMapping(value) ? value : {}));
  const changed = keysOf(from, to).filter((key) => !isSame(ownValue(from, key), ownValue(to, key)));
  return together(changed.map((key) => absenceOr(judged)(ownValue(from, key), ownValue(to, key))));
}

function deniedRule(rule: unknown): unknown {
  if (!isMapping(rule)) return rule;
  const { contains, containsAny, ...others } = rule;
  const listed = [...listOf(contains), ...listOf(containsAny)];
  return listed.length === 0 ? others : { ...others, containsAny: listed };
}

/** What each part of a rule about one claim means when it is another one. */
const claimParts: Readonly<Record<string, Judge>> = {
  oneOf: moreOrNoneIsWeaker,
  atLeast: absenceOr(lowerIsWeaker),
  atMost: absenceOr(higherIsWeaker),
  contains: fewerIsWeaker,
  containsAny: moreOrNoneIsWeaker,
};

function claimRule(before: unknown, after: unknown): Direction {
  const [from, to] = [partsOfRule(before), partsOfRule(after)];
  const changed = keysOf(from, to).filter((key) => !isSame(ownValue(from, key), ownValue(to, key)));
  return together(
    changed.map((key) => {
      const [was, is] = [ownValue(from, key), ownValue(to, key)];
      const judged = Object.hasOwn(claimParts, key) ? claimParts[key] : absenceOr(() => 'other');
      return judged(was, is);
    }),
  );
}

/** `admin` is short for `{oneOf: [admin]}`, as far as what is stricter goes. */
function partsOfRule(rule: unknown): Readonly<Record<string, unknown>> {
  if (!isMapping(rule)) return { oneOf: listOf(rule) };
  const { equals, ...others } = rule;
  return equals === undefined ? rule : { ...others, oneOf: [equals] };
}

/** Of something that is less strict where it is missing. */
export function absenceOr(judged: Judge): Judge {
  return (before, after) =>
    after === undefined ? 'weaker' : before === undefined ? 'stronger' : judged(before, after);
}

/**
 * A rate, as text or parsed. It is weaker if there is any time in which more gets through: at once (the number), or in
 * the long run (the number by its window).
 */
export const fasterIsWeaker: Judge = (before, after) => {
  const [from, to] = [rateOf(before), rateOf(after)];
  if (from === null || to === null) return 'other';
  const isFaster = to.limit * from.windowMs > from.limit * to.windowMs;
  return to.limit > from.limit || isFaster ? 'weaker' : 'stronger';
};

/** Something by consumer or group. What is gone, or new, puts others in the place of `default`, or back. */
function byCaller(judged: Judge): Judge {
  return (before, after) => {
    const [from, to] = [before, after].map((value) => (isMapping(value) ? value : {}));
    const valueIn = (values: Readonly<Record<string, unknown>>, who: string): unknown =>
      ownValue(values, who) ?? ownValue(values, 'default');
    const changed = keysOf(from, to).filter((who) => !isSame(valueIn(from, who), valueIn(to, who)));
    return together(changed.map((who) => judged(valueIn(from, who), valueIn(to, who))));
  };
}

export const ratesAreWeaker: Judge = byCaller((before, after) => fasterIsWeaker(before, after));

export const limitsAreWeaker: Judge = byCaller(higherIsWeaker);

/** What a request counts as: a number, where to read it, or both and what corrects it. Charging, or believing, less is weaker. */
export const costIsWeaker: Judge = (before, after) => {
  const [from, to] = [before, after].map((value) => (isMapping(value) ? value : { before: value }));
  const parts: Readonly<Record<string, Judge>> = {
    before: lowerIsWeaker,
    // A correction that is new may charge more or give something back.
    after: (_, is) => (isAbsent(is) ? 'weaker' : 'other'),
    max: lowerIsWeaker,
  };
  const changed = Object.entries(parts).filter(([key]) => !isSame(ownValue(from, key), ownValue(to, key)));
  return together(changed.map(([key, judged]) => judged(ownValue(from, key), ownValue(to, key))));
};

export function rateOf(value: unknown): Rate | null {
  if (typeof value === 'string') return parseRate(value);
  if (!isMapping(value)) return null;
  const [limit, windowMs] = [ownValue(value, 'limit'), ownValue(value, 'windowMs')];
  return typeof limit === 'number' && typeof windowMs === 'number' ? { limit, windowMs } : null;
}

/** A duration, as text or in milliseconds. */
export const longerIsWeaker: Judge = (before, after) => higherIsWeaker(millisecondsOf(before), millisecondsOf(after));

export const shorterIsWeaker: Judge = (before, after) => longerIsWeaker(after, before);

const millisecondsOf = (value: unknown): unknown => (typeof value === 'string' ? parseDuration(value) : value);

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || (Array.isArray(value) && value.length === 0);

function listOf(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}

function entriesOf(value: unknown): readonly unknown[] {
  return isMapping(value) ? Object.entries(value) : listOf(value);
}

function includes(list: readonly unknown[], item: unknown): boolean {
  return list.some((other) => other === '*' || isSame(other, item));
}
