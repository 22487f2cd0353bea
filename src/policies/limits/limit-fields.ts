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

function secondsOf({ remaining, resetMs, moreMs }: LimitVerdict): number {
  return seconds(remaining === 0 ? moreMs : resetMs);
}

/** The fields of one limit. Its texts are made once, as far as they can be. */
export class LimitFields {
  private readonly isStandard: boolean;
  private readonly isLegacy: boolean;
  private readonly policy: string;
  private readonly state: string;
  private readonly quota: string;

  /** @param windowMs NaN for one whose length is not always the same. */
  constructor(style: FieldStyle, name: string, limit: number, windowMs: number) {
    this.isStandard = style === 'standard' || style === 'both';
    this.isLegacy = style === 'legacy' || style === 'both';
    // `w` is in whole seconds, and may be missing.
    const isWhole = windowMs % 1000 === 0;
    this.policy = `"${name}";q=${limit}${isWhole ? `;w=${windowMs / 1000}` : ''}`;
    this.state = `"${name}";r=`;
    this.quota = String(limit);
  }

  /**
   * @param waitSeconds of a refusal what `Retry-After` says, than which `t` must not be later; 0 of one that was allowed.
   */
  tell(exchange: Exchange, verdict: LimitVerdict, waitSeconds: number): void {
    if (!this.isStandard && !this.isLegacy) return;
    const inSeconds = waitSeconds > 0 ? waitSeconds : secondsOf(verdict);
    if (this.isStandard) {
      exchange.addToResponse('ratelimit-policy', this.policy);
      exchange.addToResponse('ratelimit', `${this.state}${verdict.remaining};t=${inSeconds}`);
    }
    if (!this.isLegacy) return;
    exchange.setInResponse('x-ratelimit-limit', this.quota);
    exchange.setInResponse('x-ratelimit-remaining', String(verdict.remaining));
    exchange.setInResponse('x-ratelimit-reset', String(inSeconds));
  }

  /** For `RateLimit`, where several limits are told of in one field; null where it is not to be told. */
  member(verdict: LimitVerdict): string | null {
    return this.isStandard ? `${this.state}${verdict.remaining};t=${secondsOf(verdict)}` : null;
  }
}
