/**
 * Regular expressions whose time is linear in the text, whatever text a client sends: no backtracking, hence no
 * expression that a request can make explode (ReDoS). The syntax is in regex-syntax.ts.
 *
 * The expression becomes a nondeterministic automaton (Thompson's construction). The states of a deterministic one are
 * made from it as texts need them and kept up to a limit, so that most characters cost one array access, and none costs
 * more than the size of the automaton.
 */
import type { Invalid } from './pattern.ts';
import { OTHER, parseRegex, type RegexNode, type SymbolSet } from './regex-syntax.ts';

/** Bounds what one character of text can cost. */
const MAX_STEPS = 1000;
/** Bounds the memory for states made on demand: transitions of one expression. */
const MAX_TRANSITIONS = 8192;

/** What one step of the nondeterministic automaton does, and the index of the step that comes next. */
type Step =
  | { readonly kind: 'read'; readonly set: SymbolSet; readonly next: number }
  | { readonly kind: 'fork'; next: number; readonly other: number }
  | { readonly kind: 'start' | 'end'; readonly next: number }
  | { readonly kind: 'match' };

/** A state of the deterministic automaton. */
export interface RegexState {
  /** Equal for equal states, and for no others of the same expression. */
  readonly key: string;
  /** Whether what was read so far matches, whatever follows. */
  readonly isMatch: boolean;
  /** Whether what was read so far matches if nothing follows. */
  readonly isMatchAtEnd: boolean;
  /** Whether nothing that follows can make it match. */
  readonly isDead: boolean;
}

interface CachedState extends RegexState {
  /** Indices of the steps that may read the next character. */
  readonly reads: readonly number[];
  /** The state that follows, by class of symbols; null where no text needed it yet. */
  readonly next: (CachedState | null)[];
}

/** The compiled expression, or why it was refused. */
export function compileLinearRegex(source: string): LinearRegex | Invalid {
  const node = parseRegex(source);
  if ('error' in node) return node;
  if (sizeOf(node) > MAX_STEPS) {
    return { error: `it is too large: with its counts multiplied out, over ${MAX_STEPS} steps` };
  }
  const steps: Step[] = [{ kind: 'match' }];
  const entry = append(steps, node, 0);
  return new LinearRegex(steps, entry);
}

export class LinearRegex {
  private readonly steps: readonly Step[];
  private readonly entry: number;
  /** By symbol: those that no part of the expression tells apart are of one class. */
  private readonly classes: Uint16Array;
  /** One symbol of each class. */
  private readonly representatives: readonly number[];
  private readonly maxStates: number;
  private readonly states = new Map<string, CachedState>();
  private first: CachedState;

  constructor(steps: readonly Step[], entry: number) {
    this.steps = steps;
    this.entry = entry;
    this.classes = new Uint16Array(OTHER + 1);
    this.representatives = classify(steps, this.classes);
    this.maxStates = Math.max(16, Math.floor(MAX_TRANSITIONS / this.representatives.length));
    this.first = this.makeState([entry], true);
  }

  /** Whether some part of the text matches. */
  test(text: string): boolean {
    const { classes } = this;
    let state = this.first;
    for (let i = 0; i < text.length && !state.isMatch; i++) {
      if (state.isDead) return false;
      const code = text.charCodeAt(i);
      const symbolClass = classes[code < OTHER ? code : OTHER];
      state = state.next[symbolClass] ?? this.advance(state, symbolClass);
    }
    return state.isMatch || state.isMatchAtEnd;
  }

  /** The state before the first character; with `next`, for walking the automaton by hand. */
  start(): RegexState {
    return this.first;
  }

  /** The state after one more character. */
  next(state: RegexState, code: number): RegexState {
    const from = state as CachedState;
    const symbolClass = this.classOf(code);
    return from.next[symbolClass] ?? this.advance(from, symbolClass);
  }

  /** Equal for characters that the expression does not tell apart. */
  classOf(code: number): number {
    return this.classes[code < OTHER ? code : OTHER];
  }

  private advance(from: CachedState, symbolClass: number): CachedState {
    const symbol = this.representatives[symbolClass];
    const entries = [];
    for (const read of from.reads) {
      const step = this.steps[read];
      if (step.kind === 'read' && step.set[symbol] === 1) entries.push(step.next);
    }
    // A match may begin anywhere, so also behind this character.
    entries.push(this.entry);
    const state = from.isMatch ? from : this.keep(this.makeState(entries, false));
    from.next[symbolClass] = state;
    return state;
  }

  private keep(state: CachedState): CachedState {
    const known = this.states.get(state.key);
    if (known !== undefined) return known;
    if (this.states.size >= this.maxStates) {
      // Texts that need ever new states must not make this grow: forget all that were made, the first one's too.
      this.states.clear();
      this.first = this.makeState([this.entry], true);
    }
    this.states.set(state.key, state);
    return state;
  }

  private makeState(entries: readonly number[], isAtStart: boolean): CachedState {
    const now = this.follow(entries, isAtStart, false);
    const isMatchAtEnd = now.isMatch || (now.seesEnd && this.follow(entries, isAtStart, true).isMatch);
    const reads = now.isMatch ? [] : now.reads.toSorted((a, b) => a - b);
    return {
      key: `${now.isMatch ? 'match' : isMatchAtEnd ? 'end' : ''}${reads.join()}`,
      isMatch: now.isMatch,
      isMatchAtEnd,
      // Were a match able to begin later, `reads` or `isMatchAtEnd` would say so.
      isDead: reads.length === 0 && !isMatchAtEnd,
      reads,
      next: Array.from<null>({ length: this.representatives.length }).fill(null),
    };
  }

  /** Follows the steps that read nothing. */
  private follow(entries: readonly number[], isAtStart: boolean, isAtEnd: boolean) {
    const visited = new Uint8Array(this.steps.length);
    const pending = [...entries];
    const reads: number[] = [];
    let isMatch = false;
    let seesEnd = false;
    for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
      if (visited[index] === 1) continue;
      visited[index] = 1;
      const step = this.steps[index];
      if (step.kind === 'match') isMatch = true;
      else if (step.kind === 'read') reads.push(index);
      else if (step.kind === 'fork') pending.push(step.next, step.other);
      else if (step.kind === 'start') {
        if (isAtStart) pending.push(step.next);
      } else {
        seesEnd = true;
        if (isAtEnd) pending.push(step.next);
      }
    }
    return { reads, isMatch, seesEnd };
  }
}

/** At least the number of steps that `append` makes, and at least 1, so that it also bounds how long that takes. */
function sizeOf(node: RegexNode): number {
  switch (node.kind) {
    case 'set':
    case 'start':
    case 'end':
      return 1;
    case 'sequence':
    case 'either':
      return node.parts.reduce((sum, part) => sum + sizeOf(part) + 1, 1);
    case 'repeat': {
      const copies = node.max === Infinity ? node.min + 1 : node.max;
      return 1 + copies * (sizeOf(node.part) + 1);
    }
  }
}

/** Adds the steps of a node in front of the step at `next`; the index of the first of them. */
function append(steps: Step[], node: RegexNode, next: number): number {
  switch (node.kind) {
    case 'set':
      return steps.push({ kind: 'read', set: node.set, next }) - 1;
    case 'start':
    case 'end':
      return steps.push({ kind: node.kind, next }) - 1;
    case 'sequence':
      return node.parts.reduceRight((following, part) => append(steps, part, following), next);
    case 'either':
      return node.parts
        .map((part) => append(steps, part, next))
        .reduceRight((other, entry) => steps.push({ kind: 'fork', next: entry, other }) - 1);
    case 'repeat':
      return appendRepeat(steps, node, next);
  }
}

type RepeatNode = Extract<RegexNode, { kind: 'repeat' }>;

function appendRepeat(steps: Step[], { part, min, max }: RepeatNode, next: number): number {
  let entry = next;
  if (max === Infinity) {
    const loop: Step = { kind: 'fork', next: 0, other: next };
    entry = steps.push(loop) - 1;
    loop.next = append(steps, part, entry);
  } else {
    for (let i = min; i < max; i++) {
      entry = steps.push({ kind: 'fork', next: append(steps, part, entry), other: next }) - 1;
    }
  }
  for (let i = 0; i < min; i++) entry = append(steps, part, entry);
  return entry;
}

/** Fills in the class of each symbol; one symbol of each class. */
function classify(steps: readonly Step[], classes: Uint16Array): number[] {
  const sets = new Set<SymbolSet>();
  for (const step of steps) if (step.kind === 'read') sets.add(step.set);
  // The classes so far, split by one set after another: from the class of a symbol and whether the set has it to a new class.
  let count = 1;
  for (const set of sets) {
    const split = new Map<number, number>();
    for (let symbol = 0; symbol < classes.length; symbol++) {
      const side = classes[symbol] * 2 + set[symbol];
      if (!split.has(side)) split.set(side, split.size);
      classes[symbol] = split.get(side)!;
    }
    count = split.size;
  }
  return Array.from({ length: count }, (_, symbolClass) => classes.indexOf(symbolClass));
}
