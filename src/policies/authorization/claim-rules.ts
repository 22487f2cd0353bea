/** What the claims of a caller must say, or must not: a small form of rules, each looked at in linear time. */
import type { Claims, Exchange } from '../../contract.ts';
import { z } from '../../util/schema.ts';
import { claimName } from '../authentication/claim-path.ts';

/** Longer than the names and values that anybody asks for. */
const text = z.string().min(1).max(1000);
const number = z.number().refine((value) => Math.abs(value) <= Number.MAX_SAFE_INTEGER);
const scalar = z.union([text, number, z.boolean()]);
const scalars = z.array(scalar).min(1).max(1000);

/** A mistyped key is not also told to be a missing one. */
export function isWellFormed({ issues }: { readonly issues: readonly unknown[] }): boolean {
  return issues.length === 0;
}

const comparison = z
  .strictObject({
    equals: scalar.optional().describe('Is this. `{name}`: what the path of the route has captured under the name.'),
    oneOf: scalars.optional().describe('Is one of these.'),
    startsWith: text.optional().describe('Is text that begins like this.'),
    endsWith: text.optional().describe('Is text that ends like this.'),
    atLeast: number.optional().describe('Is a number, this one or a larger one.'),
    atMost: number.optional().describe('Is a number, this one or a smaller one.'),
    contains: z.union([scalar, scalars]).optional().describe('Is a list that has this, or all of these.'),
    containsAny: scalars.optional().describe('Is a list that has one of these.'),
    present: z.boolean().optional().describe('Whether there is such a claim at all.'),
  })
  .refine((rule) => Object.keys(rule).length > 0, { error: 'say what the claim must be', when: isWellFormed });

/** The option. */
export const claimRules = z
  .record(claimName, z.union([scalar, scalars, comparison]))
  .refine((rules) => Object.keys(rules).length > 0, { error: 'name at least one claim' });

type Scalar = z.output<typeof scalar>;
type Comparison = z.output<typeof comparison>;
export type ClaimRules = z.output<typeof claimRules>;

/** Whether a value is as asked for; null where that cannot be told, because it is of another kind than the rule is about. */
type Verdict = boolean | null;

type Test = (value: unknown, exchange: Exchange) => Verdict;

/** A rule about one claim, made once. */
export class ClaimRule {
  readonly claim: string;
  /** Whether the request has a part in it, besides the claims. */
  readonly isAboutRequest: boolean;
  private readonly steps: readonly string[];
  /** All of them are about each value by itself. */
  private readonly tests: readonly Test[];
  private readonly contains: readonly Test[];
  private readonly containsAny: readonly Test[];
  private readonly present: boolean | null;

  constructor(claim: string, rule: ClaimRules[string]) {
    const written: Comparison =
      typeof rule !== 'object' ? { equals: rule } : Array.isArray(rule) ? { oneOf: rule } : rule;
    const { contains = [], containsAny = [], present = null } = written;
    this.claim = claim;
    this.steps = claim.split('.');
    this.tests = testsOf(written);
    this.contains = (Array.isArray(contains) ? contains : [contains]).map(isEqualTo);
    this.containsAny = containsAny.map(isEqualTo);
    this.present = present;
    const { equals, oneOf = [] } = written;
    this.isAboutRequest = [equals, ...oneOf, contains, ...containsAny]
      .flat()
      .some((value) => captureIn(value) !== null);
  }

  /**
   * For what is allowed. A claim with several values passes only if all of them do (CVE-2026-26308), unless the rule asks
   * what the list contains.
   */
  holds(claims: Claims, exchange: Exchange): boolean {
    const values = this.valuesIn(claims);
    if (this.present !== null && values.length > 0 !== this.present) return false;
    const has = (test: Test): boolean => values.some((value) => test(value, exchange) === true);
    if (!this.contains.every(has) || (this.containsAny.length > 0 && !this.containsAny.some(has))) return false;
    if (this.tests.length === 0) return true;
    return values.length > 0 && values.every((value) => this.tests.every((test) => test(value, exchange) === true));
  }

  /**
   * For what is denied: any value of several is enough, and so is one of which it cannot be told (fail closed). A claim that
   * is not there is none that is denied, unless the rule is about that.
   */
  mayHold(claims: Claims, exchange: Exchange): boolean {
    const values = this.valuesIn(claims);
    if (this.present !== null && values.length > 0 !== this.present) return false;
    const has = (test: Test): boolean => values.some((value) => test(value, exchange) !== false);
    const listed = [...this.contains, ...this.containsAny];
    if (listed.length > 0 && !listed.some(has)) return false;
    if (this.tests.length === 0) return true;
    return values.some((value) => this.tests.every((test) => test(value, exchange) !== false));
  }

  /** Names may have dots themselves (`https://example.com/roles`): both readings count, should a token have both. */
  private valuesIn(claims: Claims): readonly unknown[] {
    const values: unknown[] = [];
    if (this.steps.length > 1) collect(claims, [this.claim], 0, values, 0);
    collect(claims, this.steps, 0, values, 0);
    return values;
  }
}

/** Deeper lists of lists are not walked through: a value that nobody can compare. */
const maxDepth = 16;

/**
 * All values at a path, those of lists one by one. Only what the JSON itself has: `constructor` and `__proto__` are names
 * like any other.
 */
function collect(value: unknown, steps: readonly string[], step: number, values: unknown[], depth: number): void {
  if (Array.isArray(value) && depth < maxDepth) {
    for (const item of value) collect(item, steps, step, values, depth + 1);
  } else if (step === steps.length) {
    values.push(value);
  } else if (typeof value === 'object' && value !== null && Object.hasOwn(value, steps[step])) {
    collect((value as Claims)[steps[step]], steps, step + 1, values, depth);
  }
}

function testsOf({ equals, oneOf, startsWith, endsWith, atLeast, atMost }: Comparison): readonly Test[] {
  const tests: Test[] = [];
  if (equals !== undefined) tests.push(isEqualTo(equals));
  if (oneOf !== undefined) tests.push(isOneOf(oneOf));
  if (startsWith !== undefined) tests.push(aboutText((value) => value.startsWith(startsWith)));
  if (endsWith !== undefined) tests.push(aboutText((value) => value.endsWith(endsWith)));
  if (atLeast !== undefined) tests.push(aboutNumbers((value) => value >= atLeast));
  if (atMost !== undefined) tests.push(aboutNumbers((value) => value <= atMost));
  return tests;
}

const aboutText =
  (test: (value: string) => boolean): Test =>
  (value) =>
    typeof value === 'string' ? test(value) : null;

const aboutNumbers =
  (test: (value: number) => boolean): Test =>
  (value) =>
    typeof value === 'number' && Number.isFinite(value) ? test(value) : null;

function isOneOf(expected: readonly Scalar[]): Test {
  const tests = expected.map(isEqualTo);
  return (value, exchange) => {
    const verdicts = tests.map((test) => test(value, exchange));
    return verdicts.includes(true) || (verdicts.includes(null) ? null : false);
  };
}

/** A capture of the path, such as `{tenant}`. */
const CAPTURE = /^\{([A-Za-z_][A-Za-z0-9_-]*|\*)\}$/;

function captureIn(value: Scalar | undefined): string | null {
  return typeof value === 'string' ? (CAPTURE.exec(value)?.[1] ?? null) : null;
}

function isEqualTo(expected: Scalar): Test {
  const name = captureIn(expected);
  if (name === null) return (value) => compare(expected, value);
  return (value, { params }) => {
    const captured = Object.hasOwn(params, name) ? decode(params[name]) : null;
    if (captured === null) return null;
    // What stands in a path is text; in a token the same may be a number.
    return compare(captured, Number.isSafeInteger(value) ? String(value) : value);
  };
}

/** Of numbers beyond the safe ones, different ones in the JSON are the same one here. `"7"` may be meant as 7, or not. */
function compare(expected: Scalar, value: unknown): Verdict {
  if (typeof value === 'object' && value !== null) return null;
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) return null;
  if (value === expected) return true;
  return typeof value !== typeof expected && String(value) === String(expected) ? null : false;
}

function decode(segment: string): string | null {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}
