/**
 * Single cookies in the values of `Cookie` fields (RFC 6265, section 4.2.1). White space around a name and a value is space
 * and tab, and nothing that only looks like it.
 */
import { trimBlanks } from './grammar.ts';

/** The values of all cookies of this name, in order. */
export function readCookies(fields: readonly string[], name: string): string[] {
  return fields.flatMap((field) => field.split(';').flatMap((pair) => (isNamed(pair, name) ? [valueOf(pair)] : [])));
}

/** What is left of the fields without the cookies of this name; null when they have none. */
export function withoutCookies(fields: readonly string[], name: string): string[] | null {
  return withoutPairs(fields, (pair) => isNamed(pair, name));
}

/** Likewise for all cookies whose name begins like this. */
export function withoutCookiesFrom(fields: readonly string[], prefix: string): string[] | null {
  return withoutPairs(fields, (pair) => {
    const equals = pair.indexOf('=');
    return equals !== -1 && trimBlanks(pair.slice(0, equals)).startsWith(prefix);
  });
}

function withoutPairs(fields: readonly string[], isOut: (pair: string) => boolean): string[] | null {
  if (!fields.some((field) => field.split(';').some(isOut))) return null;
  return fields.flatMap((field) => {
    const rest = field
      .split(';')
      .filter((pair) => !isOut(pair))
      .join(';');
    return isBlank(rest) ? [] : [trimBlanks(rest)];
  });
}

function isNamed(pair: string, name: string): boolean {
  const equals = pair.indexOf('=');
  return equals >= name.length && trimBlanks(pair.slice(0, equals)) === name;
}

function valueOf(pair: string): string {
  return trimBlanks(pair.slice(pair.indexOf('=') + 1));
}

function isBlank(text: string): boolean {
  return /^[ \t;]*$/.test(text);
}
