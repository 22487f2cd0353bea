/**
 * What a candidate asks of a request besides host and path, and what it does with it. Of a hundred thousand candidates
 * most have this in common, so it is kept once: what many requests need stays in the caches of the processor, and all
 * that is left of a single candidate are a few numbers in the index.
 */
import type { Candidate } from './candidate.ts';
import type { Conditions } from './conditions.ts';
import type { LinearRegex } from './linear-regex.ts';
import { type CaptureShape, captureShapeOf } from './pattern.ts';
import type { RouteMatch } from './route-rule.ts';

export interface CandidateKind extends Pick<RouteMatch, 'methods' | 'encodedSlash' | 'emptySegments'> {
  /** That of the rule. */
  readonly shared: unknown;
  readonly answersPreflight: boolean;
  readonly conditions: Conditions | null;
  readonly regex: LinearRegex | null;
  /** null when it captures nothing. */
  readonly captures: CaptureShape | null;
}

/** The kinds of the candidates of one router, by number. */
export class CandidateKinds {
  readonly all: CandidateKind[] = [];
  private readonly numbers = new Map<string, number>();
  private readonly sharedNumbers = new Map<unknown, number>();
  private last: Candidate<unknown> | null = null;
  private lastNumber = 0;

  /** The number of the kind of a candidate. */
  numberOf(candidate: Candidate<unknown>): number {
    const { conditions, regex } = candidate;
    if (this.last !== null && isLike(candidate, this.last)) return this.lastNumber;
    // Those with conditions of their own are as many as their rules.
    if (conditions !== null || regex !== null) return this.all.push(kindOf(candidate)) - 1;
    const key = `${this.numberOfShared(candidate.rule.shared)}|${keyOf(candidate)}`;
    let number = this.numbers.get(key);
    if (number === undefined) {
      number = this.all.push(kindOf(candidate)) - 1;
      this.numbers.set(key, number);
    }
    this.last = candidate;
    this.lastNumber = number;
    return number;
  }

  private numberOfShared(shared: unknown): number {
    let number = this.sharedNumbers.get(shared);
    if (number === undefined) {
      number = this.sharedNumbers.size;
      this.sharedNumbers.set(shared, number);
    }
    return number;
  }
}

function kindOf({ rule, conditions, regex, pattern }: Candidate<unknown>): CandidateKind {
  const { methods, encodedSlash, emptySegments } = rule.match;
  return {
    methods,
    encodedSlash,
    emptySegments,
    shared: rule.shared,
    answersPreflight: rule.answersPreflight,
    conditions,
    regex,
    captures: pattern === null ? null : captureShapeOf(pattern),
  };
}

/** Sees without making a key that a candidate is of the kind of another one, as nearly all of very many are. */
function isLike(candidate: Candidate<unknown>, other: Candidate<unknown>): boolean {
  const { rule, pattern, conditions, regex } = candidate;
  const { match } = rule;
  return (
    rule.shared === other.rule.shared &&
    rule.answersPreflight === other.rule.answersPreflight &&
    match.methods === other.rule.match.methods &&
    match.encodedSlash === other.rule.match.encodedSlash &&
    match.emptySegments === other.rule.match.emptySegments &&
    conditions === null &&
    regex === null &&
    pattern !== null &&
    other.pattern !== null &&
    pattern.names.length === 0 &&
    other.pattern.names.length === 0 &&
    pattern.rest === other.pattern.rest &&
    (pattern.exactPath === null
      ? other.pattern.exactPath === null && pattern.segments.length === other.pattern.segments.length
      : other.pattern.exactPath !== null)
  );
}

/** Equal for candidates of one kind, if they share the same. No method and no name of a capture has a space or a bar in it. */
function keyOf({ rule: { match, answersPreflight }, pattern }: Candidate<unknown>): string {
  const asked = `${match.methods?.join(' ') ?? '*'}|${answersPreflight}|${match.encodedSlash}|${match.emptySegments}`;
  if (pattern === null || pattern.exactPath !== null) return asked;
  const { segments, names, rest } = pattern;
  const places = names.length === 0 ? '' : segments.map((segment) => (segment === null ? '{' : '/')).join('');
  return `${asked}|${segments.length}|${places}|${names.join(' ')}|${rest ?? ''}`;
}
