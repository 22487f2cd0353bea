/** Makes up a request that given candidates match, so that a problem between routes can be shown and tried. */
import { HeaderFields } from '../../http/header-fields.ts';
import { CanonicalTarget, canonicalizeTarget } from '../../http/path.ts';
import type { Candidate } from './candidate.ts';
import { regexOf } from './coverage.ts';
import { type LinearRegex, compileLinearRegex } from './linear-regex.ts';
import { findText } from './regex-search.ts';
import type { RoutableRequest, ValueCondition } from './route-rule.ts';

/** A request as one would try it by hand. */
export interface Witness {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The listener that it must come in on; null for any. */
  readonly listener: string | null;
}

/** A request in both forms. */
export interface Example {
  readonly witness: Witness;
  readonly request: RoutableRequest;
}

/** `impossible`: no request matches all of them. `unknown`: none was found. */
export type ExampleSearch = Example | 'impossible' | 'unknown';

/** What an example should be like where the candidates leave it open, so that no third one takes it from them. */
export interface Variation {
  /** Stands where anything may: as a segment, a label of a host, a value. */
  readonly word: string;
  readonly avoidedMethods: readonly string[];
  /** How many segments stand for what a pattern leaves open at its end. */
  readonly restLength: number;
  /** For candidates with expressions: what the path must not match. */
  readonly avoidedPaths: readonly LinearRegex[];
  /** Names of headers and query parameters that should be there. */
  readonly headers: readonly string[];
  readonly query: readonly string[];
}

export const plainVariation: Variation = {
  word: 'any',
  restLength: 1,
  avoidedMethods: [],
  avoidedPaths: [],
  headers: [],
  query: [],
};

/** In the order in which they are tried. */
const REST_LENGTHS = [1, 0, 2, 3];

/** A variation that keeps away from a third candidate, whose request the last example was. */
export function keepAway(third: Candidate<unknown>, variation: Variation): Variation {
  const { methods, headers, query } = third.rule.match;
  const absent = (conditions: readonly ValueCondition[]): string[] =>
    conditions.filter((condition) => 'present' in condition && !condition.present).map(({ name }) => name);
  const next = {
    word: `${variation.word}${variation.word.length}`,
    restLength: REST_LENGTHS[REST_LENGTHS.indexOf(variation.restLength) + 1] ?? 1,
    avoidedMethods: [...new Set([...variation.avoidedMethods, ...(methods ?? [])])],
    headers: [...new Set([...variation.headers, ...absent(headers).map((name) => name.toLowerCase())])],
    query: [...new Set([...variation.query, ...absent(query)])],
  };
  const goesFurther = (['avoidedMethods', 'headers', 'query'] as const).some(
    (key) => next[key].length > variation[key].length,
  );
  const path = goesFurther || (third.pattern === null && third.regex === null) ? null : regexOf(third);
  return { ...next, avoidedPaths: path === null ? variation.avoidedPaths : [...variation.avoidedPaths, path] };
}

/**
 * A request that all the candidates match. A header is given one value only: two rules that want different ones are taken
 * to exclude each other, although a request with both lines would match both.
 * @param candidates one, or two of the same host and either the same path pattern or any expressions.
 */
export function findExample(candidates: readonly Candidate<unknown>[], variation: Variation): ExampleSearch {
  const { word } = variation;
  const matches = candidates.map(({ rule }) => rule.match);
  const methods = common(matches.map((match) => match.methods)) ?? METHODS;
  const listeners = common(matches.map((match) => match.listeners));
  if (methods.length === 0 || listeners?.length === 0) return 'impossible';
  const method = methods.find((each) => !variation.avoidedMethods.includes(each)) ?? methods[0];
  const onHeaders = matches.flatMap((match) =>
    match.headers.map((each) => ({ ...each, name: each.name.toLowerCase() })),
  );
  const headers = findFields(onHeaders, variation.headers, word);
  if (typeof headers === 'string') return headers;
  const onQuery = matches.flatMap((match) => match.query);
  const query = findFields(onQuery, variation.query, word);
  if (typeof query === 'string') return query;
  const path = findPath(candidates, variation);
  if (typeof path === 'string') return path;
  const host = (candidates[0].host ?? `${word}.example`).replace('*', word);
  return build({ method, listener: listeners?.[0] ?? null, host, path: path.text, query, headers });
}

/** Those that are tried where any will do. */
const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS'];

type Fields = readonly (readonly [name: string, value: string])[];
type Failure = 'impossible' | 'unknown';

/** What is in all lists; a list that is null has everything, and so has the result then. */
function common(lists: readonly (readonly string[] | null)[]): readonly string[] | null {
  return lists.reduce((some, list) => {
    if (some === null || list === null) return some ?? list;
    return some.filter((element) => list.includes(element));
  }, null);
}

/** For each name that the conditions are about a value that all of them accept, and any value for each other name. */
function findFields(conditions: readonly ValueCondition[], others: readonly string[], word: string): Fields | Failure {
  const byName = Map.groupBy(conditions, ({ name }) => name);
  const fields: (readonly [string, string])[] = [];
  for (const [name, about] of byName) {
    const value = findValue(about, word);
    if (value === 'impossible' || value === 'unknown') return value;
    if (value !== null) fields.push([name, value.text]);
  }
  for (const name of others) if (!byName.has(name)) fields.push([name, word]);
  return fields;
}

/** null: there must be none. */
function findValue(conditions: readonly ValueCondition[], word: string): { readonly text: string } | null | Failure {
  const isAbsent = (condition: ValueCondition): boolean => 'present' in condition && !condition.present;
  if (conditions.some(isAbsent)) return conditions.every(isAbsent) ? null : 'impossible';
  const regexes = conditions.flatMap((condition) => ('regex' in condition ? [compiled(condition.regex)] : []));
  const wanted = conditions.find((condition) => 'equals' in condition)?.equals ?? word;
  const isFit = (text: string): boolean =>
    regexes.every((regex) => regex.test(text)) &&
    conditions.every((condition) => !('equals' in condition) || condition.equals === text);
  if (isFit(wanted)) return { text: wanted };
  if (conditions.some((condition) => 'equals' in condition)) return 'impossible';
  return orFailure(findText(regexes, [], 'value'));
}

const orFailure = (found: ReturnType<typeof findText>): { readonly text: string } | Failure =>
  found === 'none' ? 'impossible' : found;

function compiled(source: string): LinearRegex {
  const regex = compileLinearRegex(source);
  if ('error' in regex) throw new TypeError(`${source}: ${regex.error}`);
  return regex;
}

function findPath(
  candidates: readonly Candidate<unknown>[],
  { word, restLength, avoidedPaths }: Variation,
): { readonly text: string } | Failure {
  const [{ pattern }] = candidates;
  if (pattern !== null) {
    const segments = pattern.segments.map((segment) => segment ?? word);
    const rest = Array.from({ length: pattern.rest === null ? 0 : restLength }, () => word);
    return { text: `/${[...segments, ...rest].join('/')}` };
  }
  const regexes = candidates.flatMap(({ regex }) => (regex === null ? [] : [regex]));
  const simple = `/${word}`;
  if (regexes.every((regex) => regex.test(simple)) && !avoidedPaths.some((regex) => regex.test(simple))) {
    return { text: simple };
  }
  const keepsEmpty = candidates.every(({ rule }) => rule.match.emptySegments === 'keep');
  return orFailure(findText(regexes, avoidedPaths, keepsEmpty ? 'pathWithEmptySegments' : 'path'));
}

const target = new CanonicalTarget();

interface Parts extends Pick<RoutableRequest, 'method' | 'host'> {
  readonly listener: string | null;
  readonly path: string;
  readonly query: Fields;
  readonly headers: Fields;
}

function build({ method, listener, host, path, query, headers }: Parts): Example | Failure {
  const fields = toHeaderFields(headers);
  if (fields === null || !query.flat().every((text) => text.isWellFormed())) return 'impossible';
  const encoded = query.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&');
  const whole = encoded === '' ? path : `${path}?${encoded}`;
  if (!canonicalizeTarget(whole, method, target)) return 'unknown';
  const { matchPath, unmergedPath, unmergedMatchPath } = target;
  const paths = { path: target.path, matchPath, unmergedPath, unmergedMatchPath };
  const authority = host.includes(':') ? `[${host}]` : host;
  return {
    witness: { method, url: `http://${authority}${whole}`, headers, listener },
    // No listener has the empty name.
    request: { listener: listener ?? '', method, host, ...paths, query: target.query, headers: fields },
  };
}

/** null when a value is none that a header can have. */
function toHeaderFields(headers: Fields): HeaderFields | null {
  try {
    return HeaderFields.from(headers);
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}
