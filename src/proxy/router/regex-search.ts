/**
 * Looks for a text that some regular expressions match and others do not, by walking their automata together: the proof
 * that two expressions overlap, or that one is never more than another. For configurations, not for requests.
 */
import { CanonicalTarget, canonicalizePath } from '../../http/path.ts';
import type { LinearRegex, RegexState } from './linear-regex.ts';

/** What the text must be: a path in canonical form, one that may have empty segments, or the value of a field. */
export type TextKind = 'path' | 'pathWithEmptySegments' | 'value';

/** `none`: there is no such text. `unknown`: the search was given up. */
export type TextSearch = { readonly text: string } | 'none' | 'unknown';

/** Bounds the time: combinations of states that are looked at. */
const MAX_VISITED = 5000;

/** A shortest text of its kind that all of `matching` match and none of `others`. */
export function findText(matching: readonly LinearRegex[], others: readonly LinearRegex[], kind: TextKind): TextSearch {
  const regexes = [...matching, ...others];
  const syntax = kind === 'value' ? valueSyntax : kind === 'path' ? pathSyntax : looserPathSyntax;
  const symbols = tellApart(regexes, syntax);
  const isWanted = ({ states, syntaxState }: Walk): boolean =>
    states.every((state, i) => (state.isMatch || state.isMatchAtEnd) === i < matching.length) &&
    syntax.mayEnd(syntaxState);
  const isHopeless = ({ states }: Walk): boolean =>
    states.some((state, i) => (i < matching.length ? state.isDead : state.isMatch));

  const visited = new Set<string>();
  const queue: Walk[] = [{ states: regexes.map((regex) => regex.start()), syntaxState: START, text: '' }];
  let isSure = true;
  for (const walk of queue) {
    if (isWanted(walk)) {
      if (kind === 'value' || isCanonical(walk.text)) return { text: walk.text };
      // Another text that leads to the same states may be canonical: this one has, say, an escape that is not.
      isSure = false;
    }
    for (const symbol of symbols) {
      const syntaxState = syntax.next(walk.syntaxState, symbol);
      if (syntaxState === REFUSED) continue;
      const states = walk.states.map((state, i) => regexes[i].next(state, symbol));
      const key = `${syntaxState} ${states.map((state) => state.key).join(' ')}`;
      if (visited.has(key)) continue;
      visited.add(key);
      if (visited.size > MAX_VISITED) return 'unknown';
      const next = { states, syntaxState, text: walk.text + String.fromCharCode(symbol) };
      if (!isHopeless(next)) queue.push(next);
    }
  }
  return isSure ? 'none' : 'unknown';
}

/** How far all automata have come. */
interface Walk {
  readonly states: readonly RegexState[];
  readonly syntaxState: number;
  readonly text: string;
}

/** What texts of a kind are made of, as an automaton. */
interface Syntax {
  /** Those that look best in an example first. */
  readonly symbols: readonly number[];
  next(state: number, symbol: number): number;
  mayEnd(state: number): boolean;
}

const REFUSED = -1;
const START = 0;
const AFTER_SLASH = 1;
const AFTER_DOT = 2;
const AFTER_TWO_DOTS = 3;
const IN_SEGMENT = 4;
const IN_ESCAPE = 5;
const IN_ESCAPE_DIGIT = 6;

const codesOf = (text: string): number[] => Array.from(text, (character) => character.charCodeAt(0));
const letters = 'abcdefghijklmnopqrstuvwxyz';
// Of digits 2 first: %22 is in canonical form, while %00 and %11 are not.
const plain = `${letters}2013456789${letters.toUpperCase()}-_~`;
const SLASH = 0x2f;
const DOT = 0x2e;
const PERCENT = 0x25;
const isEscapeDigit = (symbol: number): boolean =>
  (symbol >= 0x30 && symbol <= 0x39) || (symbol >= 0x41 && symbol <= 0x46);

function nextInPath(state: number, symbol: number, mayBeEmpty: boolean): number {
  if (state === START) return symbol === SLASH ? AFTER_SLASH : REFUSED;
  if (state === IN_ESCAPE) return isEscapeDigit(symbol) ? IN_ESCAPE_DIGIT : REFUSED;
  if (state === IN_ESCAPE_DIGIT) return isEscapeDigit(symbol) ? IN_SEGMENT : REFUSED;
  if (symbol === PERCENT) return IN_ESCAPE;
  if (symbol === SLASH) return state === IN_SEGMENT || (state === AFTER_SLASH && mayBeEmpty) ? AFTER_SLASH : REFUSED;
  if (symbol === DOT && state === AFTER_SLASH) return AFTER_DOT;
  if (symbol === DOT && state === AFTER_DOT) return AFTER_TWO_DOTS;
  return IN_SEGMENT;
}

const mayEndPath = (state: number): boolean => state === AFTER_SLASH || state === IN_SEGMENT;

const pathSymbols = codesOf(`${plain}/.!$&'()*+,=:@%`);
const pathSyntax: Syntax = {
  symbols: pathSymbols,
  next: (state, symbol) => nextInPath(state, symbol, false),
  mayEnd: mayEndPath,
};
const looserPathSyntax: Syntax = { ...pathSyntax, next: (state, symbol) => nextInPath(state, symbol, true) };

/** Printable, without white space at either end, which fields cannot have (RFC 9110, section 5.5). */
const valueSyntax: Syntax = {
  symbols: codesOf(`${plain} ./!"#$%&'()*+,:;<=>?@[\\]^\`{|}`),
  next: (state, symbol) => (symbol !== 0x20 ? IN_SEGMENT : state === START ? REFUSED : IN_ESCAPE),
  mayEnd: (state) => state !== IN_ESCAPE,
};

const trial = new CanonicalTarget();

function isCanonical(path: string): boolean {
  return canonicalizePath(path, trial) && trial.unmergedPath === path && trial.unmergedMatchPath === path;
}

/** One symbol of each kind that any of the automata tells from the others. */
function tellApart(regexes: readonly LinearRegex[], syntax: Syntax): number[] {
  const bySignature = new Map<string, number>();
  for (const symbol of syntax.symbols) {
    const special = syntax !== valueSyntax && (symbol === SLASH || symbol === DOT || symbol === PERCENT);
    const own = special || symbol === 0x20 ? symbol : isEscapeDigit(symbol) ? 'digit' : '';
    const signature = `${own} ${regexes.map((regex) => regex.classOf(symbol)).join(' ')}`;
    if (!bySignature.has(signature)) bySignature.set(signature, symbol);
  }
  return [...bySignature.values()];
}
