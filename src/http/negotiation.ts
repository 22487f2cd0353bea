/**
 * Content negotiation (RFC 9110, section 12) as far as a gateway takes part in it: which content coding a client
 * prefers, and what a response varies on. Field values are scanned in place, without regular expressions and lists of their parts.
 */
import type { HeaderList } from '../contract.ts';
import { equalsIgnoringCase } from './grammar.ts';

const UNMENTIONED = -1;
const TAB = 0x09;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const ONE = 0x31;
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const BACKSLASH = 0x5c;

/**
 * The content coding to use for a client that sent this `Accept-Encoding` (RFC 9110, section 12.5.3), or null for none.
 * The highest weight wins, the order of `offered` breaks a tie. No coding is the answer when the client prefers
 * `identity`, and also when it accepts nothing that is offered: a plain body serves such a client better than a refusal.
 *
 * @param accept the field value; several fields joined by a comma.
 * @param offered lower-case names of codings, the server's favourite first.
 */
export function negotiateEncoding<Coding extends string>(accept: string, offered: readonly Coding[]): Coding | null {
  if (accept === '') return null;
  const others = weightOf(accept, '*');
  let best: Coding | null = null;
  let bestWeight = 0;
  for (const coding of offered) {
    let weight = weightOf(accept, coding);
    // A recipient treats `x-gzip` as `gzip` (RFC 9110, section 8.4.1.3).
    if (weight === UNMENTIONED && coding === 'gzip') weight = weightOf(accept, 'x-gzip');
    if (weight === UNMENTIONED) weight = others;
    if (weight > bestWeight) {
      best = coding;
      bestWeight = weight;
    }
  }
  return weightOf(accept, 'identity') > bestWeight ? null : best;
}

/** Whether a comma-separated list, such as `Cache-Control` or `Vary`, has a member of this name; arguments are ignored. */
export function listHas(list: string, name: string): boolean {
  let start = 0;
  let quoted = false;
  for (let i = 0; i < list.length; i++) {
    const code = list.charCodeAt(i);
    // Inside a quoted string (RFC 9110, section 5.6.4) a comma separates nothing.
    if (quoted && code === BACKSLASH) i++;
    else if (code === QUOTE) quoted = !quoted;
    else if (code === COMMA && !quoted) {
      if (isNamed(list, start, i, name)) return true;
      start = i + 1;
    }
  }
  return isNamed(list, start, list.length, name);
}

/** Says that the response depends on this field of the request (RFC 9110, section 12.5.5). */
export function varyOn(headers: HeaderList, name: string): void {
  const present = headers.getAll('vary').join(', ');
  if (present === '') headers.set('vary', name);
  else if (!listHas(present, '*') && !listHas(present, name)) headers.set('vary', `${present}, ${name}`);
}

/** The weight in thousandths that the first member of this name has, or `UNMENTIONED`. */
function weightOf(list: string, name: string): number {
  let start = 0;
  while (start < list.length) {
    const comma = list.indexOf(',', start);
    const end = comma === -1 ? list.length : comma;
    if (isNamed(list, start, end, name)) {
      const semicolon = list.indexOf(';', start);
      const weight = semicolon === -1 || semicolon > end ? 1000 : parseWeight(list, semicolon + 1, end);
      // A member with a malformed weight says nothing that could be relied on.
      if (weight !== UNMENTIONED) return weight;
    }
    start = end + 1;
  }
  return UNMENTIONED;
}

/** Whether the list member `list[start, end)` has this name: what comes before `;`, `=` or the end, without blanks. */
function isNamed(list: string, start: number, end: number, name: string): boolean {
  let first = start;
  while (first < end && isBlank(list.charCodeAt(first))) first++;
  const after = first + name.length;
  if (after > end || !equalsIgnoringCase(list.slice(first, after), name)) return false;
  const rest = skipBlanks(list, after, end);
  if (rest === end) return true;
  const code = list.charCodeAt(rest);
  return code === SEMICOLON || code === EQUALS;
}

/** `OWS "q=" qvalue` (RFC 9110, section 12.4.2) in thousandths, or `UNMENTIONED` if it is anything else. */
function parseWeight(list: string, start: number, end: number): number {
  let i = skipBlanks(list, start, end);
  if (i + 3 > end || (list.charCodeAt(i) | 0x20) !== 0x71 || list.charCodeAt(i + 1) !== EQUALS) return UNMENTIONED;
  const whole = list.charCodeAt(i + 2);
  if (whole !== ZERO && whole !== ONE) return UNMENTIONED;
  let weight = (whole - ZERO) * 1000;
  i += 3;
  if (i < end && list.charCodeAt(i) === DOT) {
    i++;
    for (let scale = 100; scale >= 1 && i < end; scale /= 10, i++) {
      const digit = list.charCodeAt(i);
      if (digit < ZERO || digit > NINE) break;
      weight += (digit - ZERO) * scale;
    }
  }
  return skipBlanks(list, i, end) === end && weight <= 1000 ? weight : UNMENTIONED;
}

function skipBlanks(text: string, start: number, end: number): number {
  let i = start;
  while (i < end && isBlank(text.charCodeAt(i))) i++;
  return i;
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}
