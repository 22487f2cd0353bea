/**
 * Large configurations are large because of one section with very many entries, mostly `routes`. The parser makes ten
 * objects for each, and a million objects that live at the same time cost more than all the rest. So the entries of such
 * a section are parsed a few hundred at a time, and the other sections with that one left empty.
 *
 * That is sound where a line can be told to begin an entry without parsing what is before it. In a block mapping whose
 * entries are indented by n, every line that is indented by exactly n begins an entry (YAML 1.2.2, section 8.2.2): what
 * goes on over several lines must be indented deeper. Where this does not hold, or is not certain, a slice turns out to
 * be no block mapping, and the text is read as a whole. `test/config/slices.test.ts` holds the two against each other.
 */
import { MAX_DEPTH, type Scalar, type SourceHandler, SourceError } from './handler.ts';
import { COLLECTION_STYLE, EVENT_ID, type Event, parseYamlEvents } from './yaml-events.ts';
import { EventReader } from './yaml-reader.ts';

/** How a text is cut. */
export interface Slices {
  /** The offset of the key of the section. */
  readonly keyOffset: number;
  /** Where its mapping begins: at the key of the first entry. */
  readonly mappingOffset: number;
  /** The lines of its entries. */
  readonly bodyStart: number;
  readonly bodyEnd: number;
  /** Where slices begin, the first one excepted. */
  readonly cuts: readonly number[];
}

/** What the sizes are by default; tests cut small texts as well. */
export interface SliceSizes {
  /** Smaller sections are not cut. */
  readonly minSection: number;
  readonly slice: number;
}

const STANDARD_SIZES: SliceSizes = { minSection: 256 * 1024, slice: 16 * 1024 };

/** How to cut a text, or null when it is small, or has something that could be torn apart. */
export function findSlices(text: string, sizes: SliceSizes = STANDARD_SIZES): Slices | null {
  // An anchor in one slice could be meant by an alias in another.
  if (text.length < sizes.minSection || text.includes('&')) return null;
  // Lines end there for the patterns below, but not in YAML.
  if (/[\u2028\u2029]/.test(text)) return null;
  const section = largestSection(text);
  if (section === null || section.bodyEnd - section.bodyStart < sizes.minSection) return null;
  const { bodyStart, bodyEnd } = section;
  const first = /^( +)(?=[^ #\r\n])/m.exec(text.slice(bodyStart, bodyEnd));
  if (first === null) return null;
  const mappingOffset = bodyStart + first.index + first[1].length;
  // Anything but a plain or quoted key could be an indicator that means something else at the beginning of a text.
  const entry = new RegExp(`^ {${first[1].length}}(?=[A-Za-z0-9_"'])`, 'gm');
  if (!/[A-Za-z0-9_"']/.test(text[mappingOffset])) return null;
  const cuts: number[] = [];
  for (let at = mappingOffset + sizes.slice; at < bodyEnd; at = entry.lastIndex + sizes.slice) {
    entry.lastIndex = at;
    const next = entry.exec(text);
    if (next === null || next.index >= bodyEnd) break;
    cuts.push(next.index);
  }
  return { ...section, mappingOffset, cuts };
}

type Section = Pick<Slices, 'keyOffset' | 'bodyStart' | 'bodyEnd'>;

/** The longest section whose key stands alone on its line, at the beginning of it. */
function largestSection(text: string): Section | null {
  let largest: Section | null = null;
  let keyOffset = -1;
  let bodyStart = 0;
  const close = (bodyEnd: number): void => {
    const isLargest = largest === null || bodyEnd - bodyStart > largest.bodyEnd - largest.bodyStart;
    if (keyOffset >= 0 && isLargest) largest = { keyOffset, bodyStart, bodyEnd };
  };
  for (const line of text.matchAll(/^[^ #\r\n].*$/gm)) {
    close(line.index);
    const isAlone = /^[A-Za-z][\w-]*:(?:[ \t]+#.*|[ \t]*)\r?$/.test(line[0]);
    keyOffset = isAlone ? line.index : -1;
    bodyStart = line.index + line[0].length + 1;
  }
  close(text.length);
  return largest;
}

/**
 * Reads a text slice by slice.
 * @throws {SourceError} when it cannot be read like this; then the handler has got a part of it.
 */
export function readSlices(text: string, slices: Slices, handler: SourceHandler): void {
  const { bodyStart, bodyEnd } = slices;
  // What is left of the text keeps its offsets.
  const frame = text.slice(0, bodyStart) + ' '.repeat(bodyEnd - bodyStart - 1) + '\n' + text.slice(bodyEnd);
  const frameReader = new FrameHandler(handler, slices.keyOffset, () => readBody(text, slices, handler));
  new EventReader(frame, blockMapping(frame, MAX_DEPTH), frameReader).read();
  if (!frameReader.hasReadBody) throw new SourceError('the section is not where it was expected', slices.keyOffset);
}

function readBody(text: string, { mappingOffset, bodyStart, bodyEnd, cuts }: Slices, handler: SourceHandler): void {
  handler.mapping(mappingOffset);
  for (const [index, start] of [bodyStart, ...cuts].entries()) {
    const slice = text.slice(start, cuts[index] ?? bodyEnd);
    new EventReader(slice, blockMapping(slice, MAX_DEPTH - 1), new EntryHandler(handler, start)).read();
  }
  handler.end();
}

/** The events of a text that is one block mapping. */
function blockMapping(text: string, maxDepth: number): Event[] {
  const events = parseYamlEvents(text, maxDepth);
  const root = events[1];
  if (root?.type === EVENT_ID.MAPPING && root.style === COLLECTION_STYLE.BLOCK) return events;
  throw new SourceError('this is no block mapping', 0);
}

/** Passes everything on, and lets the body be read in place of the section that was left empty. */
class FrameHandler implements SourceHandler {
  hasReadBody = false;
  private readonly inner: SourceHandler;
  private readonly keyOffset: number;
  private readonly readSection: () => void;
  private depth = 0;
  /** Whether the key of the section was the last thing to be read. */
  private isAtSection = false;

  constructor(inner: SourceHandler, keyOffset: number, readSection: () => void) {
    this.inner = inner;
    this.keyOffset = keyOffset;
    this.readSection = readSection;
  }

  mapping(offset: number): void {
    this.isAtSection = false;
    this.depth++;
    this.inner.mapping(offset);
  }

  list(offset: number): void {
    // A list may follow its key without being indented: then what was taken for the body is none.
    this.isAtSection = false;
    this.depth++;
    this.inner.list(offset);
  }

  key(name: string, offset: number): void {
    this.isAtSection = this.depth === 1 && offset === this.keyOffset;
    this.inner.key(name, offset);
  }

  scalar(value: Scalar, offset: number): void {
    if (this.isAtSection && value === null) {
      this.hasReadBody = true;
      this.readSection();
    } else {
      this.inner.scalar(value, offset);
    }
    this.isAtSection = false;
  }

  end(): void {
    this.depth--;
    this.inner.end();
  }
}

/** Passes on the entries of a mapping, but not the mapping itself, with the offsets that they have in the whole text. */
class EntryHandler implements SourceHandler {
  private readonly inner: SourceHandler;
  private readonly base: number;
  private depth = 0;

  constructor(inner: SourceHandler, base: number) {
    this.inner = inner;
    this.base = base;
  }

  mapping(offset: number): void {
    if (this.depth++ > 0) this.inner.mapping(this.base + offset);
  }

  list(offset: number): void {
    this.depth++;
    this.inner.list(this.base + offset);
  }

  key(name: string, offset: number): void {
    this.inner.key(name, this.base + offset);
  }

  scalar(value: Scalar, offset: number): void {
    this.inner.scalar(value, this.base + offset);
  }

  end(): void {
    if (--this.depth > 0) this.inner.end();
  }
}
