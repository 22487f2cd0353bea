/** The header fields of one message (RFC 9110, section 5), in the order and spelling of the wire. */
import type { HeaderList } from '../contract.ts';
import { NOMINATED, fieldKind } from './field-kind.ts';
import { equalsIgnoringCase, isFieldValue, isToken } from './grammar.ts';

export class HeaderFields implements HeaderList {
  /** Name, value, name, value … */
  readonly list: string[] = [];
  /** The kind of each field (field-kind.ts), one entry for two of `list`. */
  readonly kinds: number[] = [];

  static from(fields: Iterable<readonly [name: string, value: string]>): HeaderFields {
    const headers = new HeaderFields();
    for (const [name, value] of fields) headers.add(name, value);
    return headers;
  }

  /** Adds a field that a parser has already validated and classified. */
  push(name: string, value: string, kind: number): void {
    this.list.push(name, value);
    this.kinds.push(kind);
  }

  get(name: string): string | undefined {
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
    for (let i = 0; i < list.length; i += 2) {
      if (!equalsIgnoringCase(list[i], name)) continue;
      list[i + 1] = value;
      // The client may have nominated its own field in `Connection`; this one is the gateway's (CVE-2024-45410).
      this.kinds[i / 2] = fieldKind(name, 0, name.length);
      this.removeFrom(i + 2, name);
      return;
    }
    this.push(name, value, fieldKind(name, 0, name.length));
  }

  add(name: string, value: string): void {
    assertField(name, value);
    this.push(name, value, fieldKind(name, 0, name.length));
  }

  remove(name: string): void {
    this.removeFrom(0, name);
  }

  /** The value of the first field of a kind, or undefined. */
  getKind(kind: number): string | undefined {
    const index = this.kinds.indexOf(kind);
    return index === -1 ? undefined : this.list[index * 2 + 1];
  }

  /** The values of all fields of a kind, joined as RFC 9110, section 5.3 allows for lists; empty when there is none. */
  joinKind(kind: number): string {
    let joined = '';
    for (let i = 0; i < this.kinds.length; i++) {
      if (this.kinds[i] === kind) joined += joined === '' ? this.list[i * 2 + 1] : `, ${this.list[i * 2 + 1]}`;
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
      if (this.kinds[i] === 0 && equalsIgnoringCase(this.list[i * 2], name)) this.kinds[i] = NOMINATED;
    }
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
    this.list.splice(index * 2, 2);
    this.kinds.splice(index, 1);
  }
}

/** All that reaches a wire passes here or a parser, so a header can never smuggle in a second one (CVE-2022-31150). */
function assertField(name: string, value: string): void {
  if (!isToken(name)) throw new TypeError(`not a header name: ${JSON.stringify(name)}`);
  if (!isFieldValue(value)) throw new TypeError(`not a valid value for the header ${name}`);
}
