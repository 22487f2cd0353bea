/** Schemas of header names and values in the options of policies. What they accept, `HeaderList` accepts as well. */
import * as kind from '../http/field-kind.ts';
import { isFieldValue, isToken } from '../http/grammar.ts';
import { z } from '../util/schema.ts';

/** Fields that frame a message or belong to one connection: whoever could set them could split or smuggle messages. */
const FRAMING: ReadonlySet<number> = new Set([
  kind.CONTENT_LENGTH,
  kind.TRANSFER_ENCODING,
  kind.CONNECTION,
  kind.UPGRADE,
  kind.EXPECT,
  kind.TE,
  kind.HOP_BY_HOP,
  kind.TRAILER,
]);

/** Fields that the gateway writes into every upstream request, after the policies. */
const FORWARDING: ReadonlySet<number> = new Set([
  kind.VIA,
  kind.X_FORWARDED_FOR,
  kind.X_FORWARDED_PROTO,
  kind.X_FORWARDED_HOST,
  kind.X_FORWARDED_PORT,
  kind.FORWARDED,
]);

/** The name of a header of a request, as an option. */
export const requestHeaderName = z.string().superRefine((name, context) => {
  const problem = problemOfName(name) ?? problemOfRequestName(name);
  if (problem !== null) context.addIssue({ code: 'custom', message: problem });
});

/** The name of a header of a response, as an option. */
export const responseHeaderName = z.string().superRefine((name, context) => {
  const problem = problemOfName(name);
  if (problem !== null) context.addIssue({ code: 'custom', message: problem });
});

/** The value of a header, as an option. */
export const headerValue = z.string().superRefine((value, context) => {
  if (!isFieldValue(value)) {
    context.addIssue({ code: 'custom', message: 'a header value holds no line break or other control character' });
  } else if (value.trim() !== value) {
    context.addIssue({ code: 'custom', message: 'a header value neither begins nor ends with a blank' });
  }
});

function problemOfName(name: string): string | null {
  if (!isToken(name)) return `"${name}" is not a header name`;
  const fieldKind = kind.fieldKind(name, 0, name.length);
  if (FRAMING.has(fieldKind)) return `the gateway alone decides on "${name}": it says how a message travels`;
  return fieldKind === kind.HOST
    ? '"host" is set by "rewrite.host" of the route or "hostHeader" of the upstream'
    : null;
}

function problemOfRequestName(name: string): string | null {
  return FORWARDING.has(kind.fieldKind(name, 0, name.length))
    ? `the gateway itself sets "${name}" on every upstream request, after the policies`
    : null;
}
