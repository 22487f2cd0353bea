/** Whether one candidate matches every request that another one matches. No means no, or not known. */
import type { Candidate } from './candidate.ts';
import { type LinearRegex, compileLinearRegex } from './linear-regex.ts';
import type { PathPattern } from './pattern.ts';
import { findText } from './regex-search.ts';
import type { RouteMatch, RouteRule, ValueCondition } from './route-rule.ts';

/** Whether `wide` matches all that `narrow` matches. Which of them goes first is not asked. */
export function covers(wide: Candidate<unknown>, narrow: Candidate<unknown>): boolean {
  return (
    coversHost(wide.host, narrow.host) &&
    coversMethods(wide.rule, narrow.rule) &&
    coversListeners(wide.rule.match, narrow.rule.match) &&
    coversConditions(wide.rule.match.headers, narrow.rule.match.headers, (name) => name.toLowerCase()) &&
    coversConditions(wide.rule.match.query, narrow.rule.match.query, (name) => name) &&
    coversPath(wide, narrow)
  );
}

function coversHost(wide: string | null, narrow: string | null): boolean {
  if (wide === null || wide === narrow) return true;
  return narrow !== null && wide.startsWith('*.') && narrow.endsWith(wide.slice(1)) && narrow.length > wide.length - 1;
}

/** A preflight belongs to a rule for the method that it asks for, so a rule that answers none leaves it to others. */
function coversMethods(wide: RouteRule<unknown>, narrow: RouteRule<unknown>): boolean {
  const { methods } = wide.match;
  if (methods === null) return true;
  if (!(narrow.match.methods?.every((method) => methods.includes(method)) ?? false)) return false;
  return wide.answersPreflight || !narrow.answersPreflight || methods.includes('OPTIONS');
}

function coversListeners({ listeners: wide }: RouteMatch, { listeners: narrow }: RouteMatch): boolean {
  return wide === null || (narrow?.every((name) => wide.includes(name)) ?? false);
}

/** Each condition of the one must follow from some condition of the other. */
function coversConditions(
  wide: readonly ValueCondition[],
  narrow: readonly ValueCondition[],
  nameOf: (name: string) => string,
): boolean {
  return wide.every((condition) =>
    narrow.some((other) => nameOf(condition.name) === nameOf(other.name) && follows(condition, other)),
  );
}

function follows(condition: ValueCondition, from: ValueCondition): boolean {
  if ('present' in condition) return 'present' in from ? from.present === condition.present : condition.present;
  if ('equals' in condition) return 'equals' in from && from.equals === condition.equals;
  if ('regex' in from) return from.regex === condition.regex;
  return 'equals' in from && matches(condition.regex, from.equals);
}

function matches(source: string, text: string): boolean {
  const regex = compileLinearRegex(source);
  return !('error' in regex) && regex.test(text);
}

/** `OPTIONS *`, which only rules without a path match, is left out of this: it is about no resource. */
function coversPath(wide: Candidate<unknown>, narrow: Candidate<unknown>): boolean {
  if (wide.pattern === null ? wide.regex === null : isEverything(wide.pattern)) return true;
  if (narrow.pattern === null && narrow.regex === null) return false;
  if (seesOtherPath(wide, narrow)) return false;
  if (wide.pattern !== null && narrow.pattern !== null) return coversPattern(wide.pattern, narrow.pattern);
  if (wide.regex !== null && wide.pathSource === narrow.pathSource) return true;
  const [wideRegex, narrowRegex] = [regexOf(wide), regexOf(narrow)];
  if (wideRegex === null || narrowRegex === null) return false;
  const kind = narrow.rule.match.emptySegments === 'keep' ? 'pathWithEmptySegments' : 'path';
  return findText([narrowRegex], [wideRegex], kind) === 'none';
}

/** Whether the one can be tried on another path than the other: before, or after, empty segments were merged. */
function seesOtherPath({ rule: wide }: Candidate<unknown>, { rule: narrow, pattern }: Candidate<unknown>): boolean {
  if (wide.match.emptySegments === narrow.match.emptySegments) return false;
  // All paths of the narrow one could have had more empty segments; or, where it keeps them, only some have any.
  if (narrow.match.emptySegments === 'merge') return true;
  return pattern === null || pattern.rest !== null || pattern.segments.slice(0, -1).includes('');
}

const isEverything = ({ segments, rest }: PathPattern): boolean => segments.length === 0 && rest !== null;

function coversPattern(wide: PathPattern, narrow: PathPattern): boolean {
  if (narrow.segments.length < wide.segments.length) return false;
  if (wide.rest === null && (narrow.rest !== null || narrow.segments.length > wide.segments.length)) return false;
  return wide.segments.every((segment, i) => {
    const other = narrow.segments[i];
    return segment === null ? other !== '' : segment === other;
  });
}

/** The expression of a candidate with a path, or one that says what its pattern says; null when that is too large. */
export function regexOf({ pattern, regex }: Candidate<unknown>): LinearRegex | null {
  if (pattern === null) return regex;
  const segments = pattern.segments.map((segment) =>
    segment === null ? '/[^/]+' : `/${segment.replace(/[^A-Za-z0-9]/g, String.raw`\$&`)}`,
  );
  const made = compileLinearRegex(`^${segments.join('')}${pattern.rest === null ? '' : '(?:/.*)?'}$`);
  return 'error' in made ? null : made;
}
