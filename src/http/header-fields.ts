/** The header fields of one message (RFC 9110, section 5), in the order and spelling of the wire. */
import type { HeaderList } from '../contract.ts';
import { DATE, NOMINATED, ORDINARY, fieldKind } from './field-kind.ts';
import { equalsIgnoringCase, isFieldValue, isToken, spells } from './grammar.ts';

/** Marks of a field in the text of its head: start and end of the name, start and end of the value. */
const MARKS = 4;
const LF = 0x0a;

export class HeaderFields implements HeaderList {
  /** The kind of each field (field-kind.ts). */
  readonly kinds: number[] = [];
  /** Name, value, name, value …; null as long as nobody has asked for more than single fields of a parsed head. */
  private made: string[] | null = null;
  /** A bit for each kind that was ever there. */
  private seen = 0;
  private text = '';
  private marks: number[] = [];
  /** The ordinary fields as lines of text, as long as they are what was parsed; null otherwise. */
  private lines: string | null = null;

  static from(fields: Iterable<readonly [name: string, value: string]>): HeaderFields {
    const headers = new HeaderFields();
    for (const [name, value] of fields) headers.add(name, value);
    return headers;
  }

  /** Name, value, name, value … */
  get list(): string[] {
    this.made ??= this.make();
    return this.made;
  }

  /**
   * Notes a field of a head that is being parsed; it is not cut out of the text before somebody asks for it, which for
   * most fields nobody does.
   */
  mark(nameStart: number, nameEnd: number, valueStart: number, valueEnd: number, kind: number): void {
    this.marks.push(nameStart, nameEnd, valueStart, valueEnd);
    this.kinds.push(kind);
    this.seen |= 1 << kind;
  }

  /** The head whose fields were marked is complete: this is its text, in which each line ends in CRLF. */
  complete(text: string): void {
    this.text = text;
    this.lines = this.cutOrdinaryLines();
  }

  /** Neighbouring lines are cut out in one piece. */
  private cutOrdinaryLines(): string {
    const { kinds, marks, text } = this;
    let lines = '';
    let from = 0;
    let to = 0;
    for (let i = 0; i < kinds.length; i++) {
      if (kinds[i] !== ORDINARY && kinds[i] !== DATE) continue;
      const start = marks[i * MARKS];
      if (start !== to) {
        lines += text.substring(from, to);
        from = start;
      }
      to = marks[i * MARKS + 3] + 2;
      // White space behind the value is not part of it.
      while (text.charCodeAt(to - 1) !== LF) to++;
    }
    return lines + text.substring(from, to);
  }

  get(name: string): string | undefined {
    if (this.made === null) return this.getMarked(name);
    const { list } = this;
    for (let i = 0; i < list.length; i += 2) {
      if (equalsIgnoringCase(list[i], name)) return list[i + 1];
    }
    return undefined;
  }

  getAll(name: string): string[] {
    const values: string[] = [];
    const { list } = this;
    for (let i = 0; i < list.length; i += 2) {
      if (equalsIgnoringCase(list[i], name)) values.push(list[i + 1]);
    }
    return values;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  set(name: string, value: string): void {
    assertField(name, value);
    const { list } = this;
    this.lines = null;
    for (let i = 0; i < list.length; i += 2) {
      if (!equalsIgnoringCase(list[i], name)) continue;
      list[i + 1] = value;
      // The client may have nominated its own field in `Connection`; this one is the gateway's (CVE-2024-45410).
      const kind = fieldKind(name, 0, name.length);
      this.kinds[i / 2] = kind;
      this.seen |= 1 << kind;
      this.removeFrom(i + 2, name);
      return;
    }
    this.push(name, value, fieldKind(name, 0, name.length));
  }

  add(name: string, value: string): void {
    assertField(name, value);
    this.push(name, value, fieldKind(name, 0, name.length));
  }

  private push(name: string, value: string, kind: number): void {
    this.list.push(name, value);
    this.kinds.push(kind);
    this.seen |= 1 << kind;
    this.lines = null;
  }

  remove(name: string): void {
    this.removeFrom(0, name);
  }

  /** Whether there may be a field of one of these kinds (`kindBits`). A no is certain, and one comparison. */
  mayHave(bits: number): boolean {
    return (this.seen & bits) !== 0;
  }

  /** The value of the first field of a kind, or undefined. */
  getKind(kind: number): string | undefined {
    const index = this.kinds.indexOf(kind);
    return index === -1 ? undefined : this.valueAt(index);
  }

  /** The values of all fields of a kind, joined as RFC 9110, section 5.3 allows for lists; empty when there is none. */
  joinKind(kind: number): string {
    let joined = '';
    for (let i = 0; i < this.kinds.length; i++) {
      if (this.kinds[i] === kind) joined += joined === '' ? this.valueAt(i) : `, ${this.valueAt(i)}`;
    }
    return joined;
  }

  /** Removes the fields of the kinds that the predicate accepts. */
  removeWhere(accepts: (kind: number) => boolean): void {
    for (let i = this.kinds.length - 1; i >= 0; i--) {
      if (accepts(this.kinds[i])) this.removeAt(i);
    }
  }

  /** Marks the ordinary fields of this name as meant for this hop only (RFC 9110, section 7.6.1). */
  nominate(name: string): void {
    for (let i = 0; i < this.kinds.length; i++) {
      if (this.kinds[i] !== ORDINARY || !equalsIgnoringCase(this.list[i * 2], name)) continue;
      this.kinds[i] = NOMINATED;
      this.seen |= 1 << NOMINATED;
      this.lines = null;
    }
  }

  /** The ordinary fields, and Date, as lines of text: what is passed on as it is whichever way a message goes. */
  ordinaryLines(): string {
    return this.lines ?? this.linesOf((kind) => kind === ORDINARY || kind === DATE);
  }

  /** The fields of the kinds that the predicate accepts, as lines of text. */
  linesOf(accepts: (kind: number) => boolean): string {
    let lines = '';
    for (let i = 0; i < this.kinds.length; i++) {
      if (accepts(this.kinds[i])) lines += `${this.list[i * 2]}: ${this.list[i * 2 + 1]}\r\n`;
    }
    return lines;
  }

  clone(): HeaderFields {
    const copy = new HeaderFields();
    for (let i = 0; i < this.kinds.length; i++) copy.push(this.list[i * 2], this.list[i * 2 + 1], this.kinds[i]);
    return copy;
  }

  *[Symbol.iterator](): IterableIterator<readonly [string, string]> {
    for (let i = 0; i < this.list.length; i += 2) yield [this.list[i], this.list[i + 1]];
  }

  private removeFrom(start: number, name: string): void {
    for (let i = this.list.length - 2; i >= start; i -= 2) {
      if (equalsIgnoringCase(this.list[i], name)) this.removeAt(i / 2);
    }
  }

  private removeAt(index: number): void {
    const kind = this.kinds[index];
    this.list.splice(index * 2, 2);
    this.kinds.splice(index, 1);
    if (kind === ORDINARY || kind === DATE) this.lines = null;
  }

  private valueAt(index: number): string {
    if (this.made !== null) return this.made[index * 2 + 1];
    return this.text.substring(this.marks[index * MARKS + 2], this.marks[index * MARKS + 3]);
  }

  private getMarked(name: string): string | undefined {
    const { marks, text } = this;
    for (let i = 0; i < marks.length; i += MARKS) {
      if (marks[i + 1] - marks[i] !== name.length || !spells(text, marks[i], name)) continue;
      return text.substring(marks[i + 2], marks[i + 3]);
    }
    return undefined;
  }

  private make(): string[] {
    const { marks, text } = this;
    const list: string[] = [];
    for (let i = 0; i < marks.length; i += MARKS) {
      list.push(text.substring(marks[i], marks[i + 1]), text.substring(marks[i + 2], marks[i + 3]));
    }
    return list;
  }
}

/** All that reaches a wire passes here or a parser, so a header can never smuggle in a second one (CVE-2022-31150). */
function assertField(name: string, value: string): void {
  if (!isToken(name)) throw new TypeError(`not a header name: ${JSON.stringify(name)}`);
  if (!isFieldValue(value)) throw new TypeError(`not a valid value for the header ${name}`);
}
