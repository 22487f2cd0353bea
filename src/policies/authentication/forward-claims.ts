/** Tells the upstream chosen claims, each in a header of its own. */
import type { Claims, Credential, Exchange } from '../../contract.ts';
import { isFieldValue } from '../../http/grammar.ts';
import { headerRecord } from '../header-options.ts';
import { ClaimPath, claimName } from './claim-path.ts';

/** Who calls is told in these on every route; nothing else is. In lower case. */
export const writtenByGateway: ReadonlySet<string> = new Set(['x-consumer', 'x-consumer-groups']);

/** The option of all policies that read claims. */
export const forwardClaimsOption = headerRecord('request', claimName)
  .superRefine((record, context) => {
    const seen = new Set<string>();
    for (const name of Object.keys(record)) {
      const lower = name.toLowerCase();
      if (writtenByGateway.has(lower)) {
        context.addIssue({ code: 'custom', message: `the gateway itself sets "${name}"`, path: [name] });
      } else if (seen.has(lower)) {
        context.addIssue({ code: 'custom', message: `"${name}" is named twice`, path: [name] });
      }
      seen.add(lower);
    }
  })
  .default({})
  .describe(
    'Headers for the upstream, each with the claim that is its value: `{x-user: sub, x-roles: realm_access.roles}`. What the client itself sends in them is always removed. Lists are joined by commas; a claim that is not there, is an object, or does not fit into a header is left out.',
  );

/** Longer than what anybody is called; a header that makes the whole head too long for the upstream helps nobody. */
const maxLength = 4096;

export class ForwardedClaims {
  /** For `Authenticator.ownHeaders`. */
  readonly headers: readonly string[];
  private readonly paths: readonly (readonly [header: string, path: ClaimPath])[];
  /** Many requests share a credential. */
  private readonly made = new WeakMap<Credential, readonly (readonly [header: string, value: string])[]>();

  /** @param record see `forwardClaimsOption`. */
  constructor(record: Readonly<Record<string, string>>) {
    this.headers = Object.keys(record);
    this.paths = Object.entries(record).map(([header, claim]) => [header, new ClaimPath(claim)]);
  }

  /** For `Authenticator.tell`: the client's own are gone by then. */
  tell(exchange: Exchange, credential: Credential): void {
    if (this.paths.length === 0) return;
    let fields = this.made.get(credential);
    if (fields === undefined) {
      fields = this.fieldsOf(credential.claims);
      this.made.set(credential, fields);
    }
    for (const [header, value] of fields) exchange.requestHeaders.set(header, value);
  }

  private fieldsOf(claims: Claims): readonly (readonly [header: string, value: string])[] {
    return this.paths.flatMap(([header, path]) => {
      const value = textOf(path.of(claims));
      return value === '' ? [] : [[header, value] as const];
    });
  }
}

/** The value as it can stand in a header and means there what it means in the claim; empty for none. */
function textOf(value: unknown): string {
  const text = Array.isArray(value) ? listText(value) : scalarText(value);
  return text.length <= maxLength ? text : '';
}

/** An item with a comma would be two on the other side, so a list that has one is not told at all. */
function listText(items: readonly unknown[]): string {
  const texts = items.map(scalarText);
  return texts.some((text) => text === '' || text.includes(',')) ? '' : texts.join(',');
}

/**
 * Neither what would end the header and begin another one (SECURITY.md, section B: header injection), nor what its reader
 * takes for somebody else: blanks at either end are cut off by HTTP, and large numbers are not what they were in the JSON.
 * What is not ASCII is sent as UTF-8 (RFC 9110, section 5.5: opaque to HTTP).
 */
function scalarText(value: unknown): string {
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'number') {
    return Number.isInteger(value) && !Number.isSafeInteger(value) ? '' : String(value);
  }
  if (typeof value !== 'string' || value.trim() !== value || !value.isWellFormed()) return '';
  const octets = Buffer.from(value, 'utf8').toString('latin1');
  return isFieldValue(octets) ? octets : '';
}
