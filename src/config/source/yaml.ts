/**
 * YAML 1.2 with the core schema, and with positions. The parser gives a flat list of events that refer to the text;
 * they are turned into values here, because its own constructor stops at the first duplicate key and forgets where
 * things were. (Why this parser: docs/decisions/configuration-parsers.md.)
 */
import {
  EVENT_ID,
  type Event,
  SCALAR_STYLE,
  type ScalarEvent,
  YAMLException,
  getScalarValue,
  parseEvents,
} from 'js-yaml';
import { MAX_DEPTH, type Scalar, type SourceHandler, SourceError } from './handler.ts';

/** How many nodes aliases may stand for in all: a few lines of nested aliases can mean billions ("billion laughs"). */
const MAX_ALIASED_NODES = 100_000;

/** How many syntax errors are looked for. Behind the first few, what is found is mostly their consequence. */
const MAX_SYNTAX_ERRORS = 10;

const STRING_TAGS: readonly string[] = ['!', '!!str', '!<tag:yaml.org,2002:str>'];

/** A text that has been parsed and can be read into handlers, any number of times. */
export class YamlText {
  private readonly text: string;
  private readonly events: readonly Event[];

  /** @throws {YamlErrors} with every syntax error that can be told apart from the consequences of another. */
  constructor(text: string) {
    this.text = text;
    this.events = parse(text);
  }

  /** @throws {SourceError} where the text uses YAML in a way that a configuration cannot. */
  read(handler: SourceHandler): void {
    try {
      new EventReader(this.text, this.events, handler).read();
    } catch (error) {
      throw error instanceof YAMLException ? toSourceError(error) : error;
    }
  }
}

/** The syntax errors of a text, in its order. */
export class YamlErrors extends Error {
  readonly errors: readonly SourceError[];

  constructor(errors: readonly SourceError[]) {
    super('not YAML');
    this.errors = errors;
  }
}

function parse(text: string): Event[] {
  try {
    return parseEvents(text, { maxDepth: MAX_DEPTH });
  } catch (error) {
    throw new YamlErrors(allErrors(text, toSourceError(error)));
  }
}

/**
 * The parser stops at the first error. Blanking the line that it names and parsing again finds the others: as long as
 * each is further down, it is not a consequence of the blanking.
 */
function allErrors(text: string, first: SourceError): SourceError[] {
  const errors = [first];
  let rest = text;
  let last = first;
  while (errors.length < MAX_SYNTAX_ERRORS) {
    const start = rest.lastIndexOf('\n', Math.max(0, last.offset - 1)) + 1;
    const lineEnd = rest.indexOf('\n', last.offset);
    const end = lineEnd === -1 ? rest.length : lineEnd;
    rest = rest.slice(0, start) + ' '.repeat(end - start) + rest.slice(end);
    try {
      parseEvents(rest, { maxDepth: MAX_DEPTH });
      return errors;
    } catch (error) {
      last = toSourceError(error);
      // At the end of the text the parser misses what the first error hides, such as a closing bracket.
      if (last.offset <= end || last.offset >= text.trimEnd().length) return errors;
      // The same again is the same mistake, seen from its next line.
      if (last.message === errors.at(-1)?.message) return errors;
      errors.push(last);
    }
  }
  return errors;
}

/** In plainer words than the parser's. */
const plainWords: ReadonlyMap<string, string> = new Map([
  [
    'deficient indentation',
    'this line is indented too little for the list, mapping or string above that is still open',
  ],
  [
    'bad indentation of a mapping entry',
    'this does not fit the mapping here: look at the indentation and for a missing quote or colon',
  ],
  [
    'bad indentation of a sequence entry',
    'this does not fit the list here: look at the indentation and for a missing quote',
  ],
  [
    'can not read a block mapping entry; a multiline key may not be an implicit key',
    'a key without a colon: write `key: value`',
  ],
  ['missed comma between flow collection entries', 'a comma is missing before this'],
  [
    'end of the stream or a document separator is expected',
    'this line is indented less than the first one, or does not belong here',
  ],
  ['tab characters must not be used in indentation', 'indent with spaces: a tab cannot indent YAML'],
]);

function toSourceError(error: unknown): SourceError {
  if (!(error instanceof YAMLException)) throw error;
  return new SourceError(plainWords.get(error.reason) ?? error.reason, error.mark?.position ?? 0);
}

interface Anchor {
  readonly start: number;
  /** The event after its node; 0 while the node is being read. */
  end: number;
}

class EventReader {
  private readonly text: string;
  private readonly events: readonly Event[];
  private readonly handler: SourceHandler;
  private readonly anchors = new Map<string, Anchor>();
  /** What the alias at an index stands for: decided when it is first met, for a later anchor may take the name. */
  private readonly aliasTargets = new Map<number, Anchor>();
  private aliasedNodes = 0;
  private aliasDepth = 0;

  constructor(text: string, events: readonly Event[], handler: SourceHandler) {
    this.text = text;
    this.events = events;
    this.handler = handler;
  }

  read(): void {
    // DOCUMENT, one node, POP; an empty text has no document at all.
    if (this.events.length === 0) {
      this.handler.scalar(null, 0);
      return;
    }
    const next = this.node(1, 0, 0) + 1;
    const second = this.events[next];
    if (second !== undefined) {
      const separator = /^---/m.exec(this.text.slice(1));
      throw new SourceError('a configuration is one document: there is a second one', (separator?.index ?? -1) + 1);
    }
  }

  /** Reads the node at an index. Returns the index after it; `around` is an offset near it, for empty nodes. */
  private node(index: number, depth: number, around: number): number {
    const event = this.events[index];
    if (this.aliasDepth > 0 && ++this.aliasedNodes > MAX_ALIASED_NODES) {
      throw new SourceError('the aliases stand for too much', around);
    }
    if (depth > MAX_DEPTH) throw new SourceError('this is nested too deeply', around);
    switch (event.type) {
      case EVENT_ID.SCALAR:
        this.declareAnchor(event, index).end = index + 1;
        this.handler.scalar(this.scalar(event), event.valueStart < 0 ? around : this.startOf(event));
        return index + 1;
      case EVENT_ID.MAPPING:
      case EVENT_ID.SEQUENCE: {
        this.refuseTag(event, event.type === EVENT_ID.MAPPING ? '!!map' : '!!seq');
        const anchor = this.declareAnchor(event, index);
        anchor.end = event.type === EVENT_ID.MAPPING ? this.mapping(index, depth) : this.list(index, depth);
        return anchor.end;
      }
      case EVENT_ID.ALIAS:
        this.alias(index, this.text.slice(event.anchorStart, event.anchorEnd), event.anchorStart, depth);
        return index + 1;
      default:
        // The end of a document without a node.
        this.handler.scalar(null, around);
        return index;
    }
  }

  private mapping(index: number, depth: number): number {
    const { start } = this.events[index] as { start: number };
    this.handler.mapping(start);
    let at = index + 1;
    let near = start;
    while (this.events[at].type !== EVENT_ID.POP) {
      near = this.key(this.events[at], near);
      at = this.node(at + 1, depth + 1, near);
    }
    this.handler.end();
    return at + 1;
  }

  private list(index: number, depth: number): number {
    const { start } = this.events[index] as { start: number };
    this.handler.list(start);
    let at = index + 1;
    while (this.events[at].type !== EVENT_ID.POP) at = this.node(at, depth + 1, start);
    this.handler.end();
    return at + 1;
  }

  /** Keys are text, whatever they look like: `200:` is the key "200". Returns where the key is. */
  private key(event: Event, near: number): number {
    if (event.type !== EVENT_ID.SCALAR) throw new SourceError('a key must be plain text', startOfNode(event, near));
    const start = event.valueStart < 0 ? near : this.startOf(event);
    this.declareAnchor(event, -1);
    this.handler.key(getScalarValue(this.text, event), start);
    return start;
  }

  private scalar(event: ScalarEvent): Scalar {
    const text = getScalarValue(this.text, event);
    if (event.tagStart >= 0) {
      this.refuseTag(event, ...STRING_TAGS);
      return text;
    }
    return event.style === SCALAR_STYLE.PLAIN ? resolveCoreScalar(text) : text;
  }

  private refuseTag(event: { tagStart: number; tagEnd: number }, ...allowed: readonly string[]): void {
    if (event.tagStart < 0) return;
    const tag = this.text.slice(event.tagStart, event.tagEnd);
    if (!allowed.includes(tag)) throw new SourceError(`the tag ${tag} has no meaning here`, event.tagStart);
  }

  private declareAnchor(event: { anchorStart: number; anchorEnd: number }, index: number): Anchor {
    const anchor = { start: index, end: 0 };
    if (event.anchorStart >= 0 && this.aliasDepth === 0) {
      if (index < 0) throw new SourceError('a key cannot have an anchor', event.anchorStart);
      this.anchors.set(this.text.slice(event.anchorStart, event.anchorEnd), anchor);
    }
    return anchor;
  }

  /** An alias stands for the node of its anchor, which is read once more. */
  private alias(index: number, name: string, offset: number, depth: number): void {
    const anchor = this.aliasTargets.get(index) ?? this.anchors.get(name);
    if (anchor === undefined) throw new SourceError(`there is no anchor &${name} before this`, offset);
    if (anchor.end === 0) throw new SourceError(`the alias *${name} is inside of what it stands for`, offset);
    this.aliasTargets.set(index, anchor);
    this.aliasDepth++;
    this.node(anchor.start, depth, offset);
    this.aliasDepth--;
  }

  /** Where a scalar begins for its reader: at its quote or indicator; the parser tells where its text does. */
  private startOf(event: ScalarEvent): number {
    if (event.style === SCALAR_STYLE.PLAIN) return event.valueStart;
    if (event.style === SCALAR_STYLE.SINGLE_QUOTED || event.style === SCALAR_STYLE.DOUBLE_QUOTED) {
      return event.valueStart - 1;
    }
    const indicator = event.style === SCALAR_STYLE.LITERAL_BLOCK ? '|' : '>';
    return Math.max(0, this.text.lastIndexOf(indicator, event.valueStart));
  }
}

function startOfNode(event: Event, otherwise: number): number {
  if ('start' in event) return event.start;
  return 'anchorStart' in event && event.anchorStart >= 0 ? event.anchorStart : otherwise;
}

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
