/** Schemas for text that becomes part of a message: what they accept can neither split nor reframe one. */
import * as kind from '../../http/field-kind.ts';
import { isFieldValue, isToken } from '../../http/grammar.ts';
import { parseAuthority } from '../../http/host.ts';
import { z } from '../../util/schema.ts';

/**
 * A method. On the wire only capitals are accepted, because servers that fold `get` to `GET` behind a gateway that does
 * not would undo its rules; so `get` could never match.
 */
export const method = z.string().regex(/^[A-Z0-9_-]+$/, { error: 'a method is written in capitals, such as GET' });

/** The name of a header. Its case does not matter. */
export const headerName = z.string().refine(isToken, { error: 'is not a header name' });

/** Fields that frame a message or belong to one connection: the gateway alone decides on them. */
const FRAMING: ReadonlySet<number> = new Set([
  kind.CONTENT_LENGTH,
  kind.TRANSFER_ENCODING,
  kind.CONNECTION,
  kind.UPGRADE,
  kind.TE,
  kind.HOP_BY_HOP,
  kind.TRAILER,
]);

export const responseHeaderName = headerName.refine((name) => !FRAMING.has(kind.fieldKind(name)), {
  error: 'says how a message travels: the gateway alone decides on it',
});

export const headerValue = z
  .string()
  .refine(isFieldValue, { error: 'a header value holds no line break or other control character' })
  .refine((value) => value.trim() === value, { error: 'a header value neither begins nor ends with a blank' });

/** Headers of a response that the gateway makes itself. */
export const responseHeaders = z.record(responseHeaderName, headerValue);

/** A host with or without a port, as it can stand in a Host header. */
export const authority = z.string().refine((text) => parseAuthority(text) !== null, {
  error: 'is not a host such as api.internal or api.internal:8080',
});
