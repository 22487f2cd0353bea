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
    /** The name of a store, which must exist. */
    store?: boolean;
  }
}

/** Marks a schema whose feature is not available yet. */
export function notAvailable<S extends z.ZodType>(schema: S): S {
  return schema.meta({ notAvailable: true });
}

/** Text that is secret. @param minLength shorter ones could be guessed. */
export function secret(minLength = 1) {
  const error = minLength === 1 ? 'is empty' : `is shorter than ${minLength} characters`;
  return z.string().min(minLength, { error }).meta({ secret: true });
}

/** A whole number within a range. */
export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER) {
  return z.int().min(min).max(max);
}

/** True or false. */
export function flag() {
  return z.boolean();
}

/** One or several of something; parsed to a list. */
export function oneOrMore<S extends z.ZodType>(item: S) {
  return z.union([item.transform((value) => [value]), z.array(item).min(1, { error: 'the list is empty' })]);
}

const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/** Names that a configuration gives to things. They appear in logs, metrics and URLs, so they are kept plain. */
export function isName(text: string): boolean {
  return NAME.test(text);
}

export const NAME_RULE =
  'a name has letters, digits, `_`, `-` and `.`, begins with none of the last two, and is at most 128 long';

/** The name of something else in the configuration. Whether it exists is checked when all of it is known. */
export function reference() {
  return z.string().min(1, { error: 'is empty' });
}

/** PEM text, or the path of a file with it, relative to the folder of the configuration. */
export function pem() {
  return z.string().min(1, { error: 'is empty' });
}

/** The path of a file, relative to the folder of the configuration. */
export function fileName() {
  return z.string().min(1, { error: 'is empty' });
}
