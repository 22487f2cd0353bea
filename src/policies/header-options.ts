/** Schemas of header names and values in the options of policies. What they accept, `HeaderList` accepts as well. */
import * as kind from '../http/field-kind.ts';
import { isFieldValue, isToken } from '../http/grammar.ts';
import { z } from '../util/schema.ts';

/** Fields that the gateway writes into every upstream request, after the policies. */
const FORWARDING: ReadonlySet<number> = new Set([
  kind.VIA,
  kind.X_FORWARDED_FOR,
  kind.X_FORWARDED_PROTO,
  kind.X_FORWARDED_HOST,
  kind.X_FORWARDED_PORT,
  kind.FORWARDED,
]);

/** Which message a header belongs to. */
export type Side = 'request' | 'response';

/** The name of a header that a policy may change. */
export function headerName(side: Side) {
  return z.string().superRefine((name, context) => {
    const problem = problemOfName(name, side);
    if (problem !== null) context.addIssue({ code: 'custom', message: problem });
  });
}

/** Headers that a policy may change, by name. */
export function headerRecord<Value extends z.ZodType>(side: Side, value: Value) {
  return z.record(z.string(), value).superRefine((record, context) => {
    for (const name of Object.keys(record)) {
      const problem = problemOfName(name, side);
      if (problem !== null) context.addIssue({ code: 'custom', message: problem, path: [name] });
    }
  });
}

/** The value of a header, as an option. */
export const headerValue = z.string().superRefine((value, context) => {
  if (!isFieldValue(value)) {
    context.addIssue({ code: 'custom', message: 'a header value holds no line break or other control character' });
  } else if (value.trim() !== value) {
    context.addIssue({ code: 'custom', message: 'a header value neither begins nor ends with a blank' });
  }
});

function problemOfName(name: string, side: Side): string | null {
  if (!isToken(name)) return `"${name}" is not a header name`;
  const fieldKind = kind.fieldKind(name);
  if (fieldKind === kind.HOST) return '"host" is set by "rewrite.host" of the route or "hostHeader" of the upstream';
  // Whoever could set them could split or smuggle messages.
  if (kind.isFraming(fieldKind)) return `the gateway alone decides on "${name}": it says how a message travels`;
  if (fieldKind === kind.DEBUG) return `"${name}" is between the gateway and its operators (telemetry.debug)`;
  if (side === 'request' && FORWARDING.has(fieldKind)) {
    return `the gateway itself sets "${name}" on every upstream request, after the policies`;
  }
  return null;
}
