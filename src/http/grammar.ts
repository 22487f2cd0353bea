/** The character classes of RFC 9110, section 5.6 and RFC 9112, as tables indexed by character code (0–255). */

function table(accepts: (code: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => (accepts(code) ? 1 : 0));
}

const tokenPunctuation = new Set(Array.from("!#$%&'*+-.^_`|~", (character) => character.charCodeAt(0)));

const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39;
const isUpper = (code: number): boolean => code >= 0x41 && code <= 0x5a;
const isLower = (code: number): boolean => code >= 0x61 && code <= 0x7a;

/** `tchar` (RFC 9110, section 5.6.2): what names of fields are made of. */
export const TOKEN = table((code) => isDigit(code) || isUpper(code) || isLower(code) || tokenPunctuation.has(code));

/**
 * What methods are made of here: upper-case letters, digits, `-` and `_`. Methods are case-sensitive (RFC 9110, section
 * 9.1), and servers that fold `get` to `GET` behind a gateway that does not would undo its method rules.
 */
export const METHOD = table((code) => isUpper(code) || isDigit(code) || code === 0x2d || code === 0x5f);

/** What values of fields are made of: VCHAR, obs-text, space and tab; no other control character. */
export const VALUE = table((code) => code === 0x09 || (code >= 0x20 && code !== 0x7f));

/** What a request target may be made of before it is parsed as one: visible ASCII. */
export const TARGET = table((code) => code > 0x20 && code < 0x7f);

export function isToken(text: string): boolean {
  return text.length > 0 && everyIn(text, TOKEN);
}

/** Whether the text may be the value of a field: no CR, LF, NUL or other control character, no code above 0xff. */
export function isFieldValue(text: string): boolean {
  return everyIn(text, VALUE);
}

function everyIn(text: string, accepted: Uint8Array): boolean {
  for (let i = 0; i < text.length; i++) {
    // A code above 0xff indexes past the table and finds nothing.
    if (accepted[text.charCodeAt(i)] !== 1) return false;
  }
  return true;
}

/**
 * Without the spaces and tabs at either end (OWS of RFC 9110, section 5.6.3), in linear time: a regular expression that
 * looks for them at the end begins anew at each blank, which for a header full of them takes seconds.
 */
export function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** Compares two ASCII strings without regard to case. */
export function equalsIgnoringCase(a: string, b: string): boolean {
  return a.length === b.length && spells(a, 0, b);
}

/** Whether `text` at `start` spells `name`, without regard to the case of ASCII letters. */
export function spells(text: string, start: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const x = text.charCodeAt(start + i);
    const y = name.charCodeAt(i);
    if (x === y) continue;
    const folded = x | 0x20;
    if (folded !== (y | 0x20) || !isLower(folded)) return false;
  }
  return true;
}

/**
 * Whether what many servers make of `text` at `start` is `name`: an underscore stands for a hyphen there (CGI: RFC 3875,
 * section 4.1.18), so that `x_user` passes for `x-user`.
 */
export function foldsOnto(text: string, start: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const x = text.charCodeAt(start + i);
    const y = name.charCodeAt(i);
    if (x === y || (x === 0x5f && y === 0x2d)) continue;
    const folded = x | 0x20;
    if (folded !== (y | 0x20) || !isLower(folded)) return false;
  }
  return true;
}
