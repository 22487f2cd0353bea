/**
 * What clients are told of a limit: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10), the older
 * `X-RateLimit-*`, and `Retry-After` (RFC 9110, section 10.2.3).
 */
import type { Exchange, LimitVerdict } from '../../contract.ts';
import { z } from '../../util/schema.ts';

export const fieldsOption = z
  .enum(['standard', 'legacy', 'both', 'none'])
  .default('standard')
  .describe(
    'What responses tell of it: `RateLimit-Policy` and `RateLimit` (standard), `X-RateLimit-Limit`, `-Remaining` and `-Reset` in seconds (legacy), both, or none. `Retry-After` is always sent with a refusal.',
  );

export const nameOption = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/, {
    error: 'a name has letters, digits, `_`, `-` and `.`, and is at most 64 long',
  })
  .optional()
  .describe(
    'What clients see it under; by default its name in `policies`, or `default`. A limit that has a name is one wherever it is used; one without counts for each route by itself.',
  );

export type FieldStyle = z.infer<typeof fieldsOption>;

/** Whole seconds, never less than it takes. */
export function seconds(ms: number): number {
  return Math.ceil(ms / 1000);
}

/** What `t` says: when there is everything again, or, as long as nothing is left, when there is something. */
export function secondsUntilMore({ remaining, resetMs, moreMs }: LimitVerdict): number {
  return seconds(remaining === 0 ? moreMs : resetMs);
}

/** The fields of one limit. Its texts are made once, as far as they can be. */
export class LimitFields {
  /** Its member of `RateLimit-Policy`; empty where it is not told. */
  private readonly policy: string;
  /** What `policyLineAfter` was given last, and what it made of it: requests of one route come by the same limits. */
  private before = '';
  private line: string;
  private readonly isLegacy: boolean;
  private readonly stateStart: string;
  private readonly quota: string;

  /** @param windowMs NaN for one whose length is not always the same. */
  constructor(style: FieldStyle, name: string, limit: number, windowMs: number) {
    const isStandard = style === 'standard' || style === 'both';
    this.isLegacy = style === 'legacy' || style === 'both';
    // `w` is in whole seconds, and may be missing.
    const isWhole = windowMs % 1000 === 0;
    this.policy = isStandard ? `"${name}";q=${limit}${isWhole ? `;w=${windowMs / 1000}` : ''}` : '';
    this.line = this.lineAfter('');
    this.stateStart = `"${name}";r=`;
    this.quota = String(limit);
  }

  /** The line of `RateLimit-Policy` with its own member behind those of the limits before it. @param before as it is without. */
  policyLineAfter(before: string): string {
    if (before !== this.before) {
      this.before = before;
      this.line = this.lineAfter(before);
    }
    return this.line;
  }

  /** In one piece, as `join` makes it: it is written again and again. */
  private lineAfter(before: string): string {
    if (this.policy === '') return before;
    const start = before === '' ? 'ratelimit-policy: ' : `${before.slice(0, -2)}, `;
    return [start, this.policy, '\r\n'].join('');
  }

  /** Its member of `RateLimit`; empty where it is not told. */
  stateOf(remaining: number, inSeconds: number): string {
    if (this.policy === '') return '';
    return `${this.stateStart}${remaining};t=${inSeconds}`;
  }

  tellLegacy(exchange: Exchange, remaining: number, inSeconds: number): void {
    if (!this.isLegacy) return;
    exchange.setInResponse('x-ratelimit-limit', this.quota);
    exchange.setInResponse('x-ratelimit-remaining', String(remaining));
    exchange.setInResponse('x-ratelimit-reset', String(inSeconds));
  }
}
