/**
 * Reads the regular expressions of a configuration: the part of ECMAScript's that is regular, and nothing else.
 *
 * Literals, `.`, classes (`[a-z]`, `[^/]`, `\d \D \w \W \s \S`), `^ $`, groups `( ) (?: ) (?<name> )`, `|`, `? * +`,
 * `{n} {n,} {n,m}` (greedy or lazy, which makes no difference to whether a text matches), `\t \n \r \f \v \xHH \uHHHH`,
 * and `(?i)` at the very beginning. A `\` before punctuation makes it literal. Refused: backreferences, lookaround,
 * word boundaries, Unicode properties, other flags, and what ECMAScript only tolerates, such as a lone `{`.
 *
 * Text is what HTTP has, bytes as code units 0 to 255; `OTHER` stands for any code unit above.
 */
import type { Invalid } from './pattern.ts';

/** The symbol for all code units above 0xff. */
export const OTHER = 256;
const SYMBOLS = 257;

/** Which symbols belong to the set: 1 or 0 for each. */
export type SymbolSet = Uint8Array;

/** `count` repeats at least `min` and at most `max` times; `max` may be Infinity. */
export type RegexNode =
  | { readonly kind: 'set'; readonly set: SymbolSet }
  | { readonly kind: 'start' | 'end' }
  | { readonly kind: 'sequence' | 'either'; readonly parts: readonly RegexNode[] }
  | { readonly kind: 'repeat'; readonly part: RegexNode; readonly min: number; readonly max: number };

const MAX_LENGTH = 4096;
const MAX_DEPTH = 50;
/** The largest number in `{n,m}`. */
const MAX_COUNT = 1000;

export function parseRegex(source: string): RegexNode | Invalid {
  if (source.length > MAX_LENGTH) return { error: `it is longer than ${MAX_LENGTH} characters` };
  const odd = /[^ -~]/u.exec(source);
  if (odd !== null) {
    return { error: `${JSON.stringify(odd[0])} is not printable ASCII: percent-encode it in a path, or write \\xHH` };
  }
  try {
    return new Parser(source).parse();
  } catch (error) {
    if (error instanceof RegexError) return { error: error.message };
    throw error;
  }
}

class RegexError extends Error {}

const setOf = (has: (symbol: number) => boolean): SymbolSet =>
  Uint8Array.from({ length: SYMBOLS }, (_, symbol) => (has(symbol) ? 1 : 0));
const single = (code: number): SymbolSet => setOf((symbol) => symbol === code);
const inverted = (set: SymbolSet): SymbolSet => set.map((member) => 1 - member);

const DIGITS = setOf((symbol) => symbol >= 0x30 && symbol <= 0x39);
const WORD = setOf((symbol) => symbol < 128 && /\w/.test(String.fromCharCode(symbol)));
const SPACE = setOf((symbol) => symbol < OTHER && /\s/.test(String.fromCharCode(symbol)));
const ANY_BUT_LINE_ENDS = setOf((symbol) => symbol !== 0x0a && symbol !== 0x0d);

const CLASS_ESCAPES: ReadonlyMap<string, SymbolSet> = new Map([
  ['d', DIGITS],
  ['D', inverted(DIGITS)],
  ['w', WORD],
  ['W', inverted(WORD)],
  ['s', SPACE],
  ['S', inverted(SPACE)],
]);

const CONTROL_ESCAPES: ReadonlyMap<string, number> = new Map([
  ['t', 0x09],
  ['n', 0x0a],
  ['v', 0x0b],
  ['f', 0x0c],
  ['r', 0x0d],
]);

const REFUSED_GROUPS: readonly (readonly [opening: string, what: string])[] = [
  ['(?=', 'lookahead'],
  ['(?!', 'lookahead'],
  ['(?<=', 'lookbehind'],
  ['(?<!', 'lookbehind'],
  ['(?>', 'an atomic group'],
];

class Parser {
  private readonly source: string;
  private readonly ignoresCase: boolean;
  private at = 0;
  private depth = 0;

  constructor(source: string) {
    this.source = source;
    this.ignoresCase = source.startsWith('(?i)');
    if (this.ignoresCase) this.at = 4;
  }

  parse(): RegexNode {
    const node = this.either();
    if (this.at < this.source.length) throw new RegexError('there is a ) without a (; write \\) for the character');
    return node;
  }

  private either(): RegexNode {
    const parts = [this.sequence()];
    while (this.take('|')) parts.push(this.sequence());
    return parts.length === 1 ? parts[0] : { kind: 'either', parts };
  }

  private sequence(): RegexNode {
    const parts: RegexNode[] = [];
    while (this.at < this.source.length && !this.sees('|') && !this.sees(')')) parts.push(this.repeated());
    return parts.length === 1 ? parts[0] : { kind: 'sequence', parts };
  }

  private repeated(): RegexNode {
    const part = this.atom();
    const count = this.quantifier();
    if (count === null) return part;
    if (part.kind === 'start' || part.kind === 'end') throw new RegexError('^ and $ cannot be repeated');
    this.take('?');
    if (/^[*+?{]/.test(this.source.slice(this.at, this.at + 1))) throw new RegexError('there is nothing to repeat');
    return { kind: 'repeat', part, ...count };
  }

  private quantifier(): { readonly min: number; readonly max: number } | null {
    if (this.take('*')) return { min: 0, max: Infinity };
    if (this.take('+')) return { min: 1, max: Infinity };
    if (this.take('?')) return { min: 0, max: 1 };
    if (!this.sees('{')) return null;
    const match = /^\{(\d{1,6})(,?)(\d{0,6})\}/.exec(this.source.slice(this.at, this.at + 16));
    if (match === null) throw new RegexError('{ begins no count such as {2} or {1,3}; write \\{ for the character');
    this.at += match[0].length;
    const min = Number(match[1]);
    const max = match[3] !== '' ? Number(match[3]) : match[2] === ',' ? Infinity : min;
    if (min > MAX_COUNT || (max > MAX_COUNT && max !== Infinity)) {
      throw new RegexError(`${match[0]} counts further than ${MAX_COUNT}`);
    }
    if (min > max) throw new RegexError(`${match[0]} is the wrong way round`);
    return { min, max };
  }

  private atom(): RegexNode {
    if (this.sees('(')) return this.group();
    if (this.take('^')) return { kind: 'start' };
    if (this.take('$')) return { kind: 'end' };
    if (this.take('.')) return { kind: 'set', set: ANY_BUT_LINE_ENDS };
    if (this.take('[')) return { kind: 'set', set: this.bracketed() };
    if (this.take('\\')) {
      const escaped = this.escaped();
      return { kind: 'set', set: typeof escaped === 'number' ? this.folded(single(escaped)) : escaped };
    }
    const character = this.source[this.at];
    if ('*+?'.includes(character)) throw new RegexError(`${character} has nothing to repeat`);
    if ('{}]'.includes(character)) throw new RegexError(`write \\${character} for the character ${character}`);
    this.at++;
    return { kind: 'set', set: this.folded(single(character.charCodeAt(0))) };
  }

  private group(): RegexNode {
    for (const [opening, what] of REFUSED_GROUPS) {
      if (this.sees(opening)) throw new RegexError(`${opening} is ${what}, which cannot be matched in linear time`);
    }
    const opening = /^\((?:\?:|\?<[A-Za-z_]\w*>)?/.exec(this.source.slice(this.at))![0];
    this.at += opening.length;
    if (this.sees('?')) throw new RegexError(`(? must be (?:, or (?i) at the very beginning`);
    if (++this.depth > MAX_DEPTH) throw new RegexError(`groups are nested deeper than ${MAX_DEPTH}`);
    const inside = this.either();
    this.depth--;
    if (!this.take(')')) throw new RegexError('a ( is not closed; write \\( for the character');
    // A group of its own, so that `(^)*` is not taken for `^*`.
    return { kind: 'sequence', parts: [inside] };
  }

  /** What follows a `\`: a class, or the code of one character. */
  private escaped(): SymbolSet | number {
    const character = this.source[this.at++];
    if (character === undefined) throw new RegexError('it ends with \\');
    const set = CLASS_ESCAPES.get(character);
    if (set !== undefined) return set;
    const control = CONTROL_ESCAPES.get(character);
    if (control !== undefined) return control;
    if (character === 'x') return this.hexadecimal(2);
    if (character === 'u') return this.hexadecimal(4);
    if (/[1-9k]/.test(character)) {
      throw new RegexError(`\\${character} is a backreference, which cannot be matched in linear time`);
    }
    if (/[bB]/.test(character)) throw new RegexError(`\\${character} (word boundary) is not supported`);
    if (/[pP]/.test(character)) throw new RegexError(`\\${character} (Unicode property) is not supported`);
    if (/[A-Za-z0-9]/.test(character)) throw new RegexError(`\\${character} has no meaning here`);
    return character.charCodeAt(0);
  }

  private hexadecimal(length: number): number {
    const digits = this.source.slice(this.at, this.at + length);
    if (digits.length < length || !/^[0-9A-Fa-f]+$/.test(digits)) {
      throw new RegexError(
        `\\x is followed by two hexadecimal digits and \\u by four, not by ${JSON.stringify(digits)}`,
      );
    }
    this.at += length;
    const code = Number.parseInt(digits, 16);
    if (code >= OTHER) throw new RegexError(`\\u${digits} cannot be in a request: HTTP has bytes, up to \\xff`);
    return code;
  }

  private bracketed(): SymbolSet {
    const isInverted = this.take('^');
    const set = setOf(() => false);
    if (this.sees(']')) throw new RegexError('[] and [^] are not supported: name the characters');
    while (!this.take(']')) {
      const first = this.classItem();
      if (typeof first !== 'number') {
        for (let i = 0; i < SYMBOLS; i++) set[i] |= first[i];
        continue;
      }
      set.fill(1, first, this.rangeEnd(first) + 1);
    }
    const folded = this.folded(set);
    return isInverted ? inverted(folded) : folded;
  }

  /** The last character of the range that the one before the cursor begins; that one itself when it begins none. */
  private rangeEnd(first: number): number {
    if (!this.sees('-') || this.sees('-]')) return first;
    this.at++;
    const last = this.classItem();
    if (typeof last !== 'number') throw new RegexError('a range cannot end with a class; write \\- for the character');
    if (last < first) {
      throw new RegexError(
        `the range ${String.fromCharCode(first)}-${String.fromCharCode(last)} is the wrong way round`,
      );
    }
    return last;
  }

  private classItem(): SymbolSet | number {
    if (this.at >= this.source.length) throw new RegexError('a [ is not closed; write \\[ for the character');
    if (this.sees('[:')) throw new RegexError('classes such as [:alpha:] are not supported; write a-z');
    if (!this.take('\\')) return this.source.charCodeAt(this.at++);
    const item = this.escaped();
    if (typeof item !== 'number' && this.sees('-') && !this.sees('-]')) {
      throw new RegexError('a range cannot begin with a class; write \\- for the character');
    }
    return item;
  }

  /** With `(?i)`, the set and what it differs from only in case. */
  private folded(set: SymbolSet): SymbolSet {
    if (!this.ignoresCase) return set;
    const upper = new Set<number>();
    set.forEach((member, symbol) => member === 1 && upper.add(canonicalCase(symbol)));
    return setOf((symbol) => upper.has(canonicalCase(symbol)));
  }

  private sees(text: string): boolean {
    return this.source.startsWith(text, this.at);
  }

  private take(text: string): boolean {
    if (!this.sees(text)) return false;
    this.at += text.length;
    return true;
  }
}

/** ECMAScript's `Canonicalize` without the `u` flag: upper case, unless that is longer or only then ASCII. */
function canonicalCase(symbol: number): number {
  if (symbol === OTHER) return OTHER;
  const upper = String.fromCharCode(symbol).toUpperCase();
  const code = upper.charCodeAt(0);
  return upper.length > 1 || (symbol >= 128 && code < 128) ? symbol : code;
}
