/** Whom the claims of a token, a session or an answer about one belong to. */
import type { Claims, Consumer, ConsumerDirectory } from '../../contract.ts';
import { ClaimPath, claimName } from './claim-path.ts';

/** The option of all policies that read claims. */
export const consumerByOption = claimName
  .optional()
  .describe(
    'The claim whose value is the name of a consumer, with dots for what is in an object. By default the consumer is the one whose own `jwt` conditions the claims meet.',
  );

/** Finds the consumer. One that is asked for by a name nobody has is nobody: the credential is genuine all the same. */
export class ConsumerOfClaims {
  private readonly consumers: ConsumerDirectory;
  private readonly path: ClaimPath | null;

  /** @param consumerBy see `consumerByOption`. */
  constructor(consumerBy: string | undefined, consumers: ConsumerDirectory) {
    this.consumers = consumers;
    this.path = consumerBy === undefined ? null : new ClaimPath(consumerBy);
  }

  of(claims: Claims): Consumer | null {
    if (this.path === null) return this.consumers.byClaims(claims) ?? null;
    const value = this.path.of(claims);
    if (typeof value === 'string') return this.consumers.byName(value) ?? null;
    // Beyond these, different numbers in the JSON are the same number here.
    return Number.isSafeInteger(value) ? (this.consumers.byName(String(value)) ?? null) : null;
  }
}
