/** Which of two values of an option is the stricter one. Whatever cannot be told is just another value. */
import { isMapping } from '../schema-walk.ts';
import { type Rate, parseDuration, parseRate } from '../../util/units.ts';
import { isSame, ownValue } from './plain-compare.ts';

export type Direction = 'weaker' | 'stronger' | 'other';

/** Which way the change from one value to another goes. Is only asked about values that differ; never throws. */
export type Judge = (before: unknown, after: unknown) => Direction;

/** A missing number is what the default is, which is not known here, so nothing is said of it. */
export const higherIsWeaker: Judge = (before, after) =>
  typeof before !== 'number' || typeof after !== 'number' ? 'other' : after > before ? 'weaker' : 'stronger';

export const lowerIsWeaker: Judge = (before, after) => higherIsWeaker(after, before);

export const trueIsWeaker: Judge = (_, after) => (after === true ? 'weaker' : 'stronger');

export const falseIsWeaker: Judge = (_, after) => (after === false ? 'weaker' : 'stronger');

/** Of words, the first is the strictest. */
export function inOrder(...words: readonly unknown[]): Judge {
  return (before, after) => {
    const [from, to] = [words.indexOf(before), words.indexOf(after)];
    return from === -1 || to === -1 ? 'other' : to > from ? 'weaker' : 'stronger';
  };
}

/** Something that is there or not, and protects when it is. */
export const absenceIsWeaker: Judge = (before, after) =>
  isAbsent(after) ? 'weaker' : isAbsent(before) ? 'stronger' : 'other';

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
