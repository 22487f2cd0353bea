/** The small schemas that the sections of the configuration are made of, and the marks that they may carry. */
import { z } from '../../util/schema.ts';

/**
 * Marks of a schema, kept as its metadata: they follow it into the JSON Schema and the reference, and `marks.ts` finds
 * the values of a configuration that they apply to.
 */
declare module 'zod' {
  interface GlobalMeta {
    /** Correct to write, but not built yet: `check` refuses it, so that nobody believes that it works. */
    notAvailable?: boolean;
    /** A secret: to be given as `${env:NAME}` or `${file:path}`, and never shown. */
    secret?: boolean;
  }
}

/** Marks a schema whose feature is not available yet. */
export function notAvailable<S extends z.ZodType>(schema: S): S {
  return schema.meta({ notAvailable: true });
}

/** Text that is secret. */
export function secret() {
  return z.string().min(1, { error: 'is empty' }).meta({ secret: true });
}

/** What an editor accepts besides a number or a truth value: text that stands for one once it is interpolated. */
const INTERPOLATED = '\\$\\{';

/** A whole number, or text with its digits: what `${env:PORT}` becomes. */
export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER) {
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  const number = z.int().min(min).max(max);
  const text = z
    .string()
    .regex(/^[0-9]{1,15}$/)
    .meta({ pattern: INTERPOLATED })
    .transform(Number)
    .pipe(number);
  return z.union([number, text], { error: `write a whole number ${range}` });
}

/** True or false, or the text of one: what `${env:FLAG}` becomes. */
export function flag() {
  const text = z
    .enum(['true', 'false'])
    .meta({ enum: undefined, pattern: INTERPOLATED })
    .transform((word) => word === 'true');
  return z.union([z.boolean(), text], { error: 'write true or false' });
}

/** One or several of something; parsed to a list. */
export function oneOrMore<S extends z.ZodType>(item: S) {
  return z.union([item.transform((value) => [value]), z.array(item).min(1, { error: 'the list is empty' })]);
}

/** Names that a configuration gives to things. They appear in logs, metrics and URLs, so they are kept plain. */
export const NAME_PATTERN = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/** The name of something else in the configuration. Whether it exists is checked when all of it is known. */
export function reference() {
  return z.string().min(1, { error: 'is empty' });
}

/** A field name or a method (RFC 9110, section 5.6.2: token). */
export const TOKEN_PATTERN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** The path of a file, relative to the folder of the configuration. */
export function fileName() {
  return z.string().min(1, { error: 'is empty' });
}
