/** Holds values of a configuration against a schema, and puts what does not fit into words. */
import { z } from '../util/schema.ts';
import { type Finding, type Path, formatPath } from './problem.ts';
import { isMapping } from './is-mapping.ts';
import { knownKeys } from './schema-walk.ts';
import type { Interpolations } from './source/interpolation.ts';
import { suggest } from './suggest.ts';

type Issue = z.core.$ZodIssue;

/** Messages that a schema does not bring itself are left empty, and written here. */
const parameters = { error: () => '' };

/**
 * The parsed value, or undefined with the findings added. `path` is where the value stands in the configuration.
 *
 * Text that was interpolated is tried as the number or truth value that it looks like where text does not fit:
 * `port: ${env:PORT}`.
 */
export function validate<T>(
  schema: z.core.$ZodType<T>,
  value: unknown,
  path: Path,
  interpolations: Interpolations,
  findings: Finding[],
): T | undefined {
  let checked = value;
  let result = z.safeParse(schema, checked, parameters);
  if (!result.success) {
    for (const issuePath of pathsOf(result.error.issues, [])) {
      const text = interpolations.at([...path, ...issuePath]);
      const meant = text === undefined ? undefined : interpret(text);
      if (meant !== undefined) checked = replaceAt(checked, issuePath, meant);
    }
    if (checked !== value) result = z.safeParse(schema, checked, parameters);
  }
  if (result.success) return result.data;
  const found: Finding[] = [];
  for (const issue of result.error.issues) found.push(...explain(issue, { schema, value: checked, path }));
  findings.push(...withoutConsequences(found));
  return undefined;
}

/** Where all issues are, those inside of a choice included. */
function pathsOf(issues: readonly Issue[], around: Path): Path[] {
  return issues.flatMap((issue) => {
    const path = [...around, ...(issue.path as Path)];
    const inner = issue.code === 'invalid_union' ? issue.errors.flatMap((errors) => pathsOf(errors, path)) : [];
    return [path, ...inner];
  });
}

function interpret(text: string): number | boolean | undefined {
  if (/^-?[0-9]{1,15}(?:\.[0-9]{1,15})?$/.test(text)) return Number(text);
  return text === 'true' || text === 'false' ? text === 'true' : undefined;
}

/** A copy of the value with another one at a path; what is not on the way is shared. */
function replaceAt(value: unknown, path: Path, replacement: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return replacement;
  if (Array.isArray(value)) return value.with(key as number, replaceAt(value[key as number], rest, replacement));
  return isMapping(value) ? { ...value, [key]: replaceAt(value[key], rest, replacement) } : value;
}

interface Place {
  readonly schema: z.core.$ZodType;
  /** The value that the schema was applied to, and where it stands. */
  readonly value: unknown;
  readonly path: Path;
}

function explain(issue: Issue, place: Place): Finding[] {
  const local = issue.path as Path;
  const path = [...place.path, ...local];
  const at = formatPath(path);
  const finding = (message: string, more: Partial<Finding> = {}): Finding => ({
    severity: 'error',
    code: 'BAD_VALUE',
    message: at === '' ? message : `${at}: ${message}`,
    path,
    ...more,
  });
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownKey(key, path, knownKeys(place.schema, local)));
    case 'invalid_union':
      return explainChoice(issue, place, finding);
    case 'invalid_key':
      return [finding(issue.issues[0]?.message || 'this key is not acceptable', { code: 'BAD_NAME', atKey: true })];
    case 'invalid_type':
      if (isAbsent(place.value, local)) return [missing(path)];
      return [finding(issue.message || wrongType(issue.expected, valueAt(place.value, local)))];
    case 'invalid_value':
      if (isAbsent(place.value, local)) return [missing(path)];
      return [notOneOf(issue.values, issue.message, valueAt(place.value, local), finding)];
    default:
      return [finding(issue.message || describeLimit(issue))];
  }
}

export function unknownKey(key: string, path: Path, known: readonly string[]): Finding {
  const suggestion = suggest(key, known);
  const where = path.length === 0 ? 'at the top' : `in ${formatPath(path)}`;
  const hint = suggestion === undefined && known.length > 0 ? `; known here: ${known.join(', ')}` : '';
  return {
    severity: 'error',
    code: 'UNKNOWN_KEY',
    message: `unknown key ${JSON.stringify(key)} ${where}${hint}`,
    path: [...path, key],
    atKey: true,
    ...(suggestion !== undefined && { suggestion }),
  };
}

function missing(path: Path): Finding {
  const where = path.length > 1 ? `${formatPath(path.slice(0, -1))} ` : '';
  const message = `${where}needs ${JSON.stringify(path.at(-1) ?? '')}`;
  return { severity: 'error', code: 'MISSING', message, path };
}

const LIMITS: readonly (string | undefined)[] = ['too_small', 'too_big', 'invalid_format'];

/**
 * Of several schemas the one that the value comes nearest to is what was meant: the one whose kind it has, with the
 * fewest issues. When it has the kind of none, the schema's own message says what could be written.
 */
function explainChoice(
  issue: Issue & { code: 'invalid_union' },
  place: Place,
  finding: (message: string, more?: Partial<Finding>) => Finding,
): Finding[] {
  const local = issue.path as Path;
  if (isAbsent(place.value, local)) return [missing([...place.path, ...local])];
  const options = issue.errors.toSorted((a, b) => a.length - b.length);
  const nearest = options.find((errors) => !errors.some((error) => error.path.length === 0 && isOfOtherKind(error)));
  const isOnlyOutOfRange = nearest?.every(
    (error) => error.path.length === 0 && LIMITS.includes(error.code) && error.message === '',
  );
  if (nearest !== undefined && !(isOnlyOutOfRange === true && issue.message !== '')) {
    return nearest.flatMap((error) => explain({ ...error, path: [...local, ...error.path] }, place));
  }
  const words = options.flatMap((errors) =>
    errors.flatMap((error) => (error.code === 'invalid_value' ? error.values : [])),
  );
  const value = valueAt(place.value, local);
  if (words.length > 0) return [notOneOf(words, issue.message, value, finding)];
  const expected = options.flatMap((errors) =>
    errors.flatMap((error) => (error.code === 'invalid_type' ? error.expected : [])),
  );
  return [finding(issue.message || wrongType(expected.join('|'), value))];
}

function isOfOtherKind(issue: Issue): boolean {
  if (issue.code === 'invalid_union') {
    return issue.errors.every((errors) => errors.some((error) => error.path.length === 0 && isOfOtherKind(error)));
  }
  return issue.code === 'invalid_type' || issue.code === 'invalid_value';
}

function notOneOf(
  words: readonly unknown[],
  ownMessage: string,
  value: unknown,
  finding: (message: string, more?: Partial<Finding>) => Finding,
): Finding {
  const known = [...new Set(words.map(String))];
  const suggestion = typeof value === 'string' ? suggest(value, known) : undefined;
  const message = ownMessage || `write ${listOf(known)}`;
  return finding(message, suggestion === undefined ? {} : { suggestion });
}

function listOf(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

const kinds: ReadonlyMap<string, string> = new Map([
  ['string', 'text'],
  ['number', 'a number'],
  ['int', 'a whole number'],
  ['boolean', 'true or false'],
  ['array', 'a list'],
  ['object', 'a mapping'],
  ['record', 'a mapping'],
]);

function wrongType(expected: string, value: unknown): string {
  const names = [...new Set(expected.split('|').map((kind) => kinds.get(kind) ?? kind))];
  const needsQuotes = expected === 'string' && (typeof value === 'number' || typeof value === 'boolean');
  return `expected ${listOf(names)}, found ${kindOf(value)}${needsQuotes ? ': put it in quotes' : ''}`;
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'a mapping' : (kinds.get(typeof value) ?? typeof value);
}

function describeLimit(issue: Issue): string {
  if (issue.code === 'too_small') {
    if (issue.origin === 'string' || issue.origin === 'array') {
      return Number(issue.minimum) === 1 ? 'is empty' : `needs at least ${issue.minimum} ${unitOf(issue.origin)}`;
    }
    return `must be ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}`;
  }
  if (issue.code === 'too_big') {
    if (issue.origin === 'string' || issue.origin === 'array') {
      return `may have at most ${issue.maximum} ${unitOf(issue.origin)}`;
    }
    return `must be ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}`;
  }
  if (issue.code === 'invalid_format') {
    if (issue.format === 'starts_with' && 'prefix' in issue) return `must begin with ${String(issue.prefix)}`;
    return issue.format === 'regex' ? `does not have the form ${issue.pattern}` : `is not a valid ${issue.format}`;
  }
  return 'is not acceptable';
}

function unitOf(origin: string): string {
  return origin === 'string' ? 'characters' : 'elements';
}

function valueAt(value: unknown, path: Path): unknown {
  let found = value;
  for (const key of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, key)) return undefined;
    found = (found as Record<string | number, unknown>)[key];
  }
  return found;
}

function isAbsent(value: unknown, path: Path): boolean {
  return path.length > 0 && valueAt(value, path) === undefined;
}

/** A mistyped key is also a missing one; saying both helps nobody. */
function withoutConsequences(findings: readonly Finding[]): Finding[] {
  const meant = new Set(
    findings.flatMap(({ code, path, suggestion }) =>
      code === 'UNKNOWN_KEY' && suggestion !== undefined ? [formatPath([...path.slice(0, -1), suggestion])] : [],
    ),
  );
  return findings.filter(({ code, path }) => code !== 'MISSING' || !meant.has(formatPath(path)));
}
