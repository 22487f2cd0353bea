/** The header fields of one message (RFC 9110, section 5), in the order and spelling of the wire. */
import type { HeaderList } from '../contract.ts';
import { DATE, GONE, MADE, NOMINATED, ORDINARY, fieldKind } from './field-kind.ts';
import { equalsIgnoringCase, foldsOnto, isFieldValue, isToken, spells } from './grammar.ts';

/** Marks of a field in the text of its head: start and end of the name, start and end of the value. */
const MARKS = 4;
const LF = 0x0a;

/**
 * Fields that were parsed stay in the text of their head, of which most are never cut out: reading one, taking one away
 * and adding another leaves the rest where it is. A field that was taken away keeps its place, with the kind `GONE`.
 */
export class HeaderFields implements HeaderList {
  /** The kind of each field (field-kind.ts). */
  readonly kinds: number[];
  /** A bit for each kind that was ever there. */
  private seen = 0;
  private text = '';
  private readonly marks: number[];
  /** Values that were set instead of those in the text, by the index of the field. */
  private replaced: (string | undefined)[] | null = null;
  /** Name, value, name, value … of the fields that were added to those in the text; of one of kind `MADE` its line is the value. */
  private readonly added: string[];
  /** The ordinary fields as lines of text; null when they have to be put together anew. */
  private lines: string | null = null;

  /** Empty; the parameters are for copies. */
  constructor(marks: number[] = [], kinds: number[] = [], added: string[] = []) {
    this.marks = marks;
    this.kinds = kinds;
    this.added = added;
  }

  static from(fields: Iterable<readonly [name: string, value: string]>): HeaderFields {
    const headers = new HeaderFields();
    for (const [name, value] of fields) headers.add(name, value);
    return headers;
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
  }

  get(name: string): string | undefined {
    const index = this.find(name, 0);
    return index === -1 ? undefined : this.valueAt(index);
  }

  getAll(name: string): string[] {
    const values: string[] = [];
    for (let i = this.find(name, 0); i !== -1; i = this.find(name, i + 1)) values.push(this.valueAt(i));
    return values;
  }

  has(name: string): boolean {
    return this.find(name, 0) !== -1;
  }

  set(name: string, value: string): void {
    assertField(name, value);
    const index = this.find(name, 0);
    this.removeAllBut(index, name);
    if (index === -1) {
      this.append(name, value, fieldKind(name));
      return;
    }
    this.replaceValue(index, value);
    // The client may have nominated its own field in `Connection`; this one is the gateway's (CVE-2024-45410).
    const kind = fieldKind(name);
    this.kinds[index] = kind;
    this.seen |= 1 << kind;
    this.lines = null;
  }

  add(name: string, value: string): void {
    assertField(name, value);
    this.append(name, value, fieldKind(name));
  }

  /**
   * Adds an ordinary field that the gateway has made itself, of parts that were checked: nothing is looked at here.
   * @param line `NAME: VALUE CRLF`, with this very name.
   */
  addMade(name: string, line: string): void {
    this.added.push(name, line);
    this.kinds.push(MADE);
    this.seen |= 1 << MADE;
    if (this.lines !== null) this.lines += line;
  }

  remove(name: string): void {
    this.removeAllBut(-1, name);
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
    for (let i = 0; i < this.kinds.length; i++) {
      if (this.kinds[i] !== GONE && accepts(this.kinds[i])) this.removeAt(i);
    }
  }

  /** Marks the ordinary fields of this name as meant for this hop only (RFC 9110, section 7.6.1). */
  nominate(name: string): void {
    for (let i = this.find(name, 0); i !== -1; i = this.find(name, i + 1)) {
      if (this.kinds[i] !== ORDINARY) continue;
      this.kinds[i] = NOMINATED;
      this.seen |= 1 << NOMINATED;
      this.lines = null;
    }
  }

  /** The ordinary fields, and Date, as lines of text: what is passed on as it is whichever way a message goes. */
  ordinaryLines(): string {
    this.lines ??= this.putTogetherLines();
    return this.lines;
  }

  /** The fields that the predicate accepts, as lines of text. */
  linesOf(accepts: (kind: number, name: string) => boolean): string {
    let lines = '';
    for (let i = 0; i < this.kinds.length; i++) {
      if (this.kinds[i] === GONE) continue;
      const name = this.nameAt(i);
      if (accepts(this.kinds[i], name)) lines += `${name}: ${this.valueAt(i)}\r\n`;
    }
    return lines;
  }

  /** What is done to the one does not change the other; the text and its marks, which nothing changes, they share. */
  clone(): HeaderFields {
    const copy = new HeaderFields(this.marks, this.kinds.slice(), this.added.slice());
    copy.seen = this.seen;
    copy.text = this.text;
    copy.replaced = this.replaced === null ? null : this.replaced.slice();
    copy.lines = this.lines;
    return copy;
  }

  *[Symbol.iterator](): IterableIterator<readonly [string, string]> {
    for (let i = 0; i < this.kinds.length; i++) {
      if (this.kinds[i] !== GONE) yield [this.nameAt(i), this.valueAt(i)];
    }
  }

  // ---- single fields -----------------------------------------------------------------------------------------------

  /** The index of the first field of this name from `start` on, or -1. */
  private find(name: string, start: number): number {
    const { marks, text, kinds, added } = this;
    const marked = marks.length / MARKS;
    for (let i = start; i < marked; i++) {
      const at = i * MARKS;
      if (marks[at + 1] - marks[at] !== name.length || kinds[i] === GONE) continue;
      if (spells(text, marks[at], name)) return i;
    }
    for (let i = Math.max(start, marked); i < kinds.length; i++) {
      if (kinds[i] !== GONE && equalsIgnoringCase(added[(i - marked) * 2], name)) return i;
    }
    return -1;
  }

  private nameAt(index: number): string {
    const { marks } = this;
    const at = index * MARKS;
    if (at < marks.length) return this.text.substring(marks[at], marks[at + 1]);
    return this.added[(index - marks.length / MARKS) * 2];
  }

  private valueAt(index: number): string {
    const { marks } = this;
    const at = index * MARKS;
    if (at >= marks.length) return this.addedValue(index);
    return this.replaced?.[index] ?? this.text.substring(marks[at + 2], marks[at + 3]);
  }

  private addedValue(index: number): string {
    const at = (index - this.marks.length / MARKS) * 2;
    const value = this.added[at + 1];
    return this.kinds[index] === MADE ? value.slice(this.added[at].length + 2, -2) : value;
  }

  private replaceValue(index: number, value: string): void {
    const marked = this.marks.length / MARKS;
    if (index >= marked) this.added[(index - marked) * 2 + 1] = value;
    else (this.replaced ??= [])[index] = value;
  }

  private append(name: string, value: string, kind: number): void {
    this.added.push(name, value);
    this.kinds.push(kind);
    this.seen |= 1 << kind;
    if (isPassedOn(kind) && this.lines !== null) this.lines += `${name}: ${value}\r\n`;
  }

  /** Those as well that fold onto the name where their underscores are kept (GHSA-f59h-q822-g45g): see `foldsOnto`. */
  private removeAllBut(kept: number, name: string): void {
    for (let i = 0; i < this.kinds.length; i++) {
      if (i !== kept && this.kinds[i] !== GONE && this.isFolded(i, name)) this.removeAt(i);
    }
  }

  private isFolded(index: number, name: string): boolean {
    const { marks, text, added } = this;
    const at = index * MARKS;
    if (at < marks.length) return marks[at + 1] - marks[at] === name.length && foldsOnto(text, marks[at], name);
    const own = added[(index - marks.length / MARKS) * 2];
    return own.length === name.length && foldsOnto(own, 0, name);
  }

  private removeAt(index: number): void {
    if (isPassedOn(this.kinds[index])) this.lines = null;
    this.kinds[index] = GONE;
  }

  // ---- lines -------------------------------------------------------------------------------------------------------

  /** Neighbouring lines are cut out of the text in one piece. */
  private putTogetherLines(): string {
    const { kinds, marks, text, replaced, added } = this;
    const marked = marks.length / MARKS;
    let lines = '';
    let from = 0;
    let to = 0;
    for (let i = 0; i < marked; i++) {
      if (!isPassedOn(kinds[i])) continue;
      const value = replaced?.[i];
      const start = marks[i * MARKS];
      if (start !== to || value !== undefined) {
        lines += text.substring(from, to);
        from = start;
      }
      to = marks[i * MARKS + 3] + 2;
      // White space behind the value is not part of it.
      while (text.charCodeAt(to - 1) !== LF) to++;
      if (value === undefined) continue;
      lines += `${this.nameAt(i)}: ${value}\r\n`;
      from = to;
    }
    lines += text.substring(from, to);
    for (let i = marked; i < kinds.length; i++) {
      if (kinds[i] === MADE) lines += added[(i - marked) * 2 + 1];
      else if (isPassedOn(kinds[i])) lines += `${this.nameAt(i)}: ${this.valueAt(i)}\r\n`;
    }
    return lines;
  }
}

function isPassedOn(kind: number): boolean {
  return kind === ORDINARY || kind === DATE || kind === MADE;
}

/** All that reaches a wire passes here or a parser, so a header can never smuggle in a second one (CVE-2022-31150). */
function assertField(name: string, value: string): void {
  if (!isToken(name)) throw new TypeError(`not a header name: ${JSON.stringify(name)}`);
  if (!isFieldValue(value)) throw new TypeError(`not a valid value for the header ${name}`);
}
