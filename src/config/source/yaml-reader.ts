/** Turns the events of a YAML text into calls of a handler: anchors, aliases, tags and the words of the core schema. */
import { resolveCoreScalar } from './core-scalars.ts';
import { MAX_DEPTH, type Scalar, type SourceHandler, SourceError } from './handler.ts';
import { EVENT_ID, type Event, SCALAR_STYLE, type ScalarEvent, scalarText } from './yaml-events.ts';

/** How many nodes aliases may stand for in all: a few lines of nested aliases can mean billions ("billion laughs"). */
const MAX_ALIASED_NODES = 100_000;

const STRING_TAGS: readonly string[] = ['!', '!!str', '!<tag:yaml.org,2002:str>'];

interface Anchor {
  readonly start: number;
  /** The event after its node; 0 while the node is being read. */
  end: number;
}

/** Reads the events of one text. */
export class EventReader {
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

  /** @throws {SourceError} where the text uses YAML in a way that a configuration cannot. */
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
    if (event.valueStart < 0) throw new SourceError('there is no key before the colon', near);
    this.refuseTag(event, ...STRING_TAGS);
    const start = this.startOf(event);
    this.declareAnchor(event, -1);
    this.handler.key(scalarText(this.text, event), start);
    return start;
  }

  private scalar(event: ScalarEvent): Scalar {
    const text = scalarText(this.text, event);
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
