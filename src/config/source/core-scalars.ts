/** What plain text means in the core schema of YAML 1.2. */
import type { Scalar } from './handler.ts';

const INTEGER = /^[-+]?[0-9]+$/;
const OCTAL = /^0o[0-7]+$/;
const HEXADECIMAL = /^0x[0-9a-fA-F]+$/;
const FLOAT = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
const INFINITY = /^[-+]?\.(?:inf|Inf|INF)$/;
const NOT_A_NUMBER = /^\.(?:nan|NaN|NAN)$/;

const WORDS: ReadonlyMap<string, boolean | null> = new Map([
  ['', null],
  ['~', null],
  ...['null', 'Null', 'NULL'].map((word) => [word, null] as const),
  ...['true', 'True', 'TRUE'].map((word) => [word, true] as const),
  ...['false', 'False', 'FALSE'].map((word) => [word, false] as const),
]);

/** What plain text means in the core schema (YAML 1.2.2, section 10.3.2). `yes`, `no`, `on` and dates are text. */
export function resolveCoreScalar(text: string): Scalar {
  const first = text.charCodeAt(0);
  // Only digits, signs and the dot begin numbers; most text is told from them by its first character.
  if ((first >= 0x30 && first <= 0x39) || first === 0x2b || first === 0x2d || first === 0x2e) {
    if (INTEGER.test(text) || FLOAT.test(text) || OCTAL.test(text) || HEXADECIMAL.test(text)) return Number(text);
    if (INFINITY.test(text)) return first === 0x2d ? -Infinity : Infinity;
    return NOT_A_NUMBER.test(text) ? Number.NaN : text;
  }
  if (text.length > 5) return text;
  const word = WORDS.get(text);
  return word === undefined ? text : word;
}
