/** The conditions of a rule on listener, headers and query, prepared for many requests. */
import { compileLinearRegex, type LinearRegex } from './linear-regex.ts';
import type { Invalid } from './pattern.ts';
import type { QueryValues } from './query-values.ts';
import type { RoutableRequest, RouteMatch, ValueCondition } from './route-rule.ts';

/** A condition in one shape for all kinds; of the last three fields at most one is not null. */
interface Condition {
  readonly name: string;
  readonly equals: string | null;
  readonly regex: LinearRegex | null;
  readonly present: boolean | null;
}

export class Conditions {
  private readonly listeners: readonly string[] | null;
  private readonly headers: readonly Condition[];
  private readonly query: readonly Condition[];

  private constructor(listeners: readonly string[] | null, headers: readonly Condition[], query: readonly Condition[]) {
    this.listeners = listeners;
    this.headers = headers;
    this.query = query;
  }

  /**
   * The conditions of a match, or null when it has none.
   * @throws {TypeError} when a regular expression is not valid; `findMatchProblems` finds that before.
   */
  static of(match: RouteMatch): Conditions | null {
    if (match.listeners === null && match.headers.length === 0 && match.query.length === 0) return null;
    return new Conditions(match.listeners, match.headers.map(prepare), match.query.map(prepare));
  }

  /** @param query the parameters of the query of this request. */
  hold(request: RoutableRequest, query: QueryValues): boolean {
    if (this.listeners !== null && !this.listeners.includes(request.listener)) return false;
    for (const condition of this.headers) {
      if (!holdsForHeaders(condition, request)) return false;
    }
    for (const condition of this.query) {
      if (!holdsForQuery(condition, query)) return false;
    }
    return true;
  }
}

function prepare(condition: ValueCondition): Condition {
  const { name } = condition;
  if ('equals' in condition) return { name, equals: condition.equals, regex: null, present: null };
  if ('present' in condition) return { name, equals: null, regex: null, present: condition.present };
  const regex: LinearRegex | Invalid = compileLinearRegex(condition.regex);
  if ('error' in regex) throw new TypeError(`${condition.regex}: ${regex.error}`);
  return { name, equals: null, regex, present: null };
}

/**
 * One line that matches is enough: joining the lines first would hide a value among others (CVE-2026-26308), and the
 * usual request has one line, which needs no list.
 */
function holdsForHeaders(condition: Condition, { headers }: RoutableRequest): boolean {
  const first = headers.get(condition.name);
  if (condition.present !== null) return condition.present === (first !== undefined);
  if (first === undefined) return false;
  return (
    holdsForValue(condition, first) || headers.getAll(condition.name).some((line) => holdsForValue(condition, line))
  );
}

function holdsForQuery(condition: Condition, query: QueryValues): boolean {
  const value = query.get(condition.name);
  if (condition.present !== null) return condition.present === (value !== undefined);
  return value !== undefined && holdsForValue(condition, value);
}

function holdsForValue({ equals, regex }: Condition, value: string): boolean {
  return regex === null ? value === equals : regex.test(value);
}
