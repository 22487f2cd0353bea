/**
 * What answers tell of a limit: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10), `Retry-After`
 * (RFC 9110, section 10.2.3), and the older fields with a number each.
 */
import type { HeaderFields } from '../../http/header-fields.ts';
import { type BareItem, type Item, isInnerList, parseList } from '../../http/structured-fields.ts';

/** What one answer tells. Null for what it does not. */
export interface ToldLimit {
  /** How many are left by the standard field, or by an older one. Of several limits it is the least. */
  readonly left: number | null;
  /** Seconds until there are more. */
  readonly resetSeconds: number | null;
  /** From the field `Retry-After`, whether it has seconds or a date. */
  readonly retryAfterSeconds: number | null;
  readonly hasRateLimit: boolean;
  readonly hasPolicy: boolean;
  readonly hasOlder: boolean;
  /** The first field that is not what its specification says, as it came. */
  readonly malformed: string | null;
}

const olderLeft = ['ratelimit-remaining', 'x-ratelimit-remaining'];
const olderReset = ['ratelimit-reset', 'x-ratelimit-reset'];
/** RFC 9110, section 5.6.7; older forms of a date are not generated any more. */
const imfDate = /^[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT$/;
/** Longer texts are cut where they are shown. */
const longestText = 200;

/** @param wallNow milliseconds since 1970, for a `Retry-After` with a date. */
export function readTold(headers: HeaderFields, wallNow: number): ToldLimit {
  const state = all(headers, 'ratelimit');
  const policy = all(headers, 'ratelimit-policy');
  const retry = headers.get('retry-after');
  const states = state === null ? null : itemsOf(state, 'r');
  const policies = policy === null ? null : itemsOf(policy, 'q');
  const retryAfterSeconds = retry === undefined ? null : secondsOf(retry, wallNow);
  const malformed = [
    state !== null && states === null ? `ratelimit: ${state}` : null,
    policy !== null && policies === null ? `ratelimit-policy: ${policy}` : null,
    Number.isNaN(retryAfterSeconds) ? `retry-after: ${retry}` : null,
  ].find((text) => text !== null);
  const least = states?.toSorted((a, b) => numberOf(a, 'r')! - numberOf(b, 'r')!)[0];
  return {
    left: least === undefined ? firstNumber(headers, olderLeft) : numberOf(least, 'r'),
    resetSeconds: least === undefined ? firstNumber(headers, olderReset) : numberOf(least, 't'),
    retryAfterSeconds: Number.isNaN(retryAfterSeconds) ? null : retryAfterSeconds,
    hasRateLimit: state !== null,
    hasPolicy: policy !== null,
    hasOlder: firstNumber(headers, olderLeft) !== null,
    malformed: malformed === undefined ? null : shown(malformed),
  };
}

/** The items of a list, each a String with this parameter; null when it is another thing. */
function itemsOf(text: string, parameter: string): Item[] | null {
  const members = parseList(text);
  if (members === null || members.length === 0) return null;
  const items = members.filter((member): member is Item => !isInnerList(member));
  const isGood = (item: Item): boolean => item.value.kind === 'string' && (numberOf(item, parameter) ?? -1) >= 0;
  return items.length === members.length && items.every(isGood) ? items : null;
}

function numberOf({ parameters }: Item, name: string): number | null {
  const value: BareItem | undefined = parameters.get(name);
  return value?.kind === 'integer' ? value.value : null;
}

function all(headers: HeaderFields, name: string): string | null {
  const values = headers.getAll(name);
  return values.length === 0 ? null : values.join(', ');
}

function firstNumber(headers: HeaderFields, names: readonly string[]): number | null {
  for (const name of names) {
    const value = headers.get(name);
    if (value !== undefined && /^[0-9]{1,15}$/.test(value)) return Number(value);
  }
  return null;
}

/** NaN for what is neither seconds nor a date. */
function secondsOf(text: string, wallNow: number): number {
  if (/^[0-9]{1,10}$/.test(text)) return Number(text);
  return imfDate.test(text) ? Math.max(0, Math.ceil((Date.parse(text) - wallNow) / 1000)) : NaN;
}

/** What comes from elsewhere must not move the cursor of a terminal. */
function shown(text: string): string {
  return text.replaceAll(/[^\u0020-\u007e]+/g, '?').slice(0, longestText);
}

/** How many of the answers that were looked at told what. */
export interface HeaderSummary {
  readonly admitted: number;
  readonly refused: number;
  readonly admittedWithRateLimit: number;
  readonly refusedWithRateLimit: number;
  readonly withPolicy: number;
  readonly withOlder: number;
  readonly refusedWithRetryAfter: number;
  readonly malformed: number;
  /** Of what was malformed the first. */
  readonly malformedExample: string | null;
  /** Refusals although some were left by what they themselves tell. */
  readonly refusedWithLeft: number;
  /** The most that any answer said to be left; null when none did. */
  readonly mostLeft: number | null;
  /** Of the refusals; null when none told. */
  readonly longestRetryAfterSeconds: number | null;
  /** The policies that were told, a few of them. */
  readonly policies: readonly string[];
}

export const nothingTold: HeaderSummary = {
  admitted: 0,
  refused: 0,
  admittedWithRateLimit: 0,
  refusedWithRateLimit: 0,
  withPolicy: 0,
  withOlder: 0,
  refusedWithRetryAfter: 0,
  malformed: 0,
  malformedExample: null,
  refusedWithLeft: 0,
  mostLeft: null,
  longestRetryAfterSeconds: null,
  policies: [],
};

const mostPolicies = 5;

export function summaryOf(headers: HeaderFields, isRefused: boolean, wallNow: number): HeaderSummary {
  const told = readTold(headers, wallNow);
  const policy = all(headers, 'ratelimit-policy');
  return {
    admitted: Number(!isRefused),
    refused: Number(isRefused),
    admittedWithRateLimit: Number(!isRefused && told.hasRateLimit),
    refusedWithRateLimit: Number(isRefused && told.hasRateLimit),
    withPolicy: Number(told.hasPolicy),
    withOlder: Number(told.hasOlder),
    refusedWithRetryAfter: Number(isRefused && headers.has('retry-after')),
    malformed: Number(told.malformed !== null),
    malformedExample: told.malformed,
    refusedWithLeft: Number(isRefused && (told.left ?? 0) > 0),
    mostLeft: told.left,
    longestRetryAfterSeconds: isRefused ? told.retryAfterSeconds : null,
    policies: policy === null ? [] : [shown(policy)],
  };
}

export function joined(a: HeaderSummary, b: HeaderSummary): HeaderSummary {
  return {
    admitted: a.admitted + b.admitted,
    refused: a.refused + b.refused,
    admittedWithRateLimit: a.admittedWithRateLimit + b.admittedWithRateLimit,
    refusedWithRateLimit: a.refusedWithRateLimit + b.refusedWithRateLimit,
    withPolicy: a.withPolicy + b.withPolicy,
    withOlder: a.withOlder + b.withOlder,
    refusedWithRetryAfter: a.refusedWithRetryAfter + b.refusedWithRetryAfter,
    malformed: a.malformed + b.malformed,
    malformedExample: a.malformedExample ?? b.malformedExample,
    refusedWithLeft: a.refusedWithLeft + b.refusedWithLeft,
    mostLeft: larger(a.mostLeft, b.mostLeft),
    longestRetryAfterSeconds: larger(a.longestRetryAfterSeconds, b.longestRetryAfterSeconds),
    policies: [...new Set([...a.policies, ...b.policies])].slice(0, mostPolicies),
  };
}

function larger(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b);
}
