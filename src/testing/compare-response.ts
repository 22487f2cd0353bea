/** Holds what came against what was expected. */
import type { Path } from '../config/problem.ts';
import type { ReceivedRequest } from './fake-answer.ts';
import { jsonDifferences } from './json-difference.ts';
import type { Expectation, ExpectedBody, ExpectedField, ExpectedRequest } from './test-file-schema.ts';
import type { TestResponse } from './test-gateway.ts';

export interface Mismatch {
  /** Where in the expectation. */
  readonly path: Path;
  /** What differs: `status`, `headers.x-request-id`, `body.items[2].id`. */
  readonly what: string;
  /** In words, as is what came. */
  readonly expected: string;
  readonly actual: string;
}

/** Values that are longer are cut where they are shown. */
const maxShown = 400;
const shownBefore = 20;

export function compareResponse(expected: Expectation, actual: TestResponse): Mismatch[] {
  const found = new Mismatches();
  // First the reasons, then what follows from them.
  for (const key of ['route', 'status', 'code', 'upstream', 'target', 'attempts'] as const) {
    found.plain([key], expected[key], actual[key]);
  }
  for (const key of ['cache', 'consumer', 'clientIp'] as const) found.plain([key], expected[key], actual[key]);
  found.headers(['headers'], expected.headers, actual.headers);
  if (expected.body !== undefined) found.body(['body'], expected.body, actual.body);
  found.upstreamRequest(expected.upstreamRequest, actual.upstreamRequest);
  return found.all;
}

class Mismatches {
  readonly all: Mismatch[] = [];

  plain(path: Path, expected: unknown, actual: unknown): void {
    if (expected === undefined || expected === actual) return;
    const from = typeof expected === 'string' && typeof actual === 'string' ? firstShown(expected, actual) : 0;
    this.add(path, show(expected, from), show(actual, from));
  }

  headers(
    path: Path,
    expected: Readonly<Record<string, ExpectedField>> | undefined,
    actual: Readonly<Record<string, string>>,
  ): void {
    for (const [name, field] of Object.entries(expected ?? {})) {
      const value = actual[name.toLowerCase()];
      const mismatch = fieldMismatch(field, value);
      if (mismatch !== null) this.add([...path, name], mismatch, show(value));
    }
  }

  body(path: Path, expected: ExpectedBody, actual: string): void {
    if (typeof expected === 'string') {
      this.plain(path, expected, actual);
    } else if ('regex' in expected) {
      if (!matches(expected.regex, actual)) this.add(path, `what matches /${expected.regex}/`, show(actual));
    } else if ('contains' in expected && typeof expected.contains === 'string') {
      if (!actual.includes(expected.contains)) this.add(path, `what contains ${show(expected.contains)}`, show(actual));
    } else {
      this.json(path, expected, actual);
    }
  }

  upstreamRequest(expected: ExpectedRequest | null | undefined, actual: ReceivedRequest | null): void {
    const path = ['upstreamRequest'];
    if (expected === undefined) return;
    if (expected === null || actual === null) {
      const line = actual === null ? null : `${actual.method} ${actual.path} to ${actual.target}`;
      if (expected !== actual) this.add(path, expected === null ? 'none' : 'one', line ?? 'none');
      return;
    }
    this.plain([...path, 'method'], expected.method, actual.method);
    this.plain([...path, 'path'], expected.path, actual.path);
    this.headers([...path, 'headers'], expected.headers, actual.headers);
    if (expected.body !== undefined) this.body([...path, 'body'], expected.body, actual.body);
  }

  private json(path: Path, expected: { readonly json: unknown } | { readonly contains: unknown }, text: string): void {
    const isPartial = 'contains' in expected;
    let actual: unknown;
    try {
      actual = JSON.parse(text);
    } catch {
      this.add(path, 'JSON', show(text));
      return;
    }
    const wanted = isPartial ? expected.contains : expected.json;
    for (const difference of jsonDifferences(wanted, actual, isPartial)) {
      this.add(path, show(difference.expected), show(difference.actual), difference.path);
    }
  }

  private add(path: Path, expected: string, actual: string, below = ''): void {
    this.all.push({ path, what: `${path.join('.')}${below}`, expected, actual });
  }
}

/** What was expected instead, in words; null when it is right. */
function fieldMismatch(expected: ExpectedField, actual: string | undefined): string | null {
  if (typeof expected === 'string') return expected === actual ? null : show(expected);
  if ('present' in expected) {
    return expected.present === (actual !== undefined) ? null : expected.present ? 'any value' : show(undefined);
  }
  if ('regex' in expected) {
    return actual !== undefined && matches(expected.regex, actual) ? null : `what matches /${expected.regex}/`;
  }
  return actual?.includes(expected.contains) ? null : `what contains ${show(expected.contains)}`;
}

function matches(regex: string, text: string): boolean {
  return new RegExp(regex, 'u').test(text);
}

/** Of long texts that begin alike, what is shown begins a little before the difference. */
function firstShown(one: string, other: string): number {
  if (Math.max(one.length, other.length) <= maxShown) return 0;
  let same = 0;
  while (same < one.length && one[same] === other[same]) same++;
  return Math.max(0, same - shownBefore);
}

/** @param from the first character that is shown of a text. */
function show(value: unknown, from = 0): string {
  if (value === undefined || value === null) return 'none';
  const text = JSON.stringify(typeof value === 'string' ? value.slice(from) : value);
  const shown = text.length > maxShown ? `${text.slice(0, maxShown)}…` : text;
  return from === 0 ? shown : `${shown} from character ${from + 1} on`;
}
