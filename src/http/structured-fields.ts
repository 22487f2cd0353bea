/**
 * Structured field values (RFC 9651, which RFC 8941 was before it has Dates and Display Strings), parsed strictly and
 * serialised. One pass over the text, so the time is linear in its length; what it may be long is bounded by whoever
 * has read it. Where the RFC lets a parser be lenient (padding of base64), this one is not: what signatures are made of
 * has one spelling.
 */

export type BareItem =
  /** Whole, at most 15 digits. */
  | { readonly kind: 'integer'; readonly value: number }
  /** At most 12 digits before the point, 3 behind it. */
  | { readonly kind: 'decimal'; readonly value: number }
  /** Printable ASCII. */
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'token'; readonly value: string }
  | { readonly kind: 'bytes'; readonly value: Uint8Array }
  | { readonly kind: 'boolean'; readonly value: boolean }
  /** Seconds since 1970. */
  | { readonly kind: 'date'; readonly value: number }
  /** Any Unicode text. */
  | { readonly kind: 'display'; readonly value: string };

export type Parameters = ReadonlyMap<string, BareItem>;

export interface Item {
  readonly value: BareItem;
  readonly parameters: Parameters;
}

export interface InnerList {
  readonly items: readonly Item[];
  readonly parameters: Parameters;
}

export type Member = Item | InnerList;
export type Dictionary = ReadonlyMap<string, Member>;

export function isInnerList(member: Member): member is InnerList {
  return 'items' in member;
}

/** @param text all values of the field, joined by commas. @returns null for what is none; empty text is an empty one. */
export function parseDictionary(text: string): Dictionary | null {
  return parsed(text, (reader) => reader.dictionary());
}

/** @param text all values of the field, joined by commas. @returns null for what is none; empty text is an empty one. */
export function parseList(text: string): readonly Member[] | null {
  return parsed(text, (reader) => reader.list());
}

/** @returns null for what is none. */
export function parseItem(text: string): Item | null {
  return parsed(text, (reader) => reader.item());
}

function parsed<T>(text: string, read: (reader: Reader) => T): T | null {
  try {
    const reader = new Reader(text);
    reader.skipSpaces();
    const value = read(reader);
    reader.skipSpaces();
    return reader.atEnd ? value : null;
  } catch (error) {
    if (error === malformed) return null;
    throw error;
  }
}

/** Thrown inside of this file only: one object for all, because what is hostile must not be expensive. */
const malformed = new SyntaxError('not a structured field');

const KEY = /[a-z*][a-z0-9_\-.*]*/y;
const TOKEN = /[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*/y;
/** The digits before and behind the point. */
const NUMBER = /-?([0-9]{1,15})(?:\.([0-9]{1,3}))?/y;
const STRING = /"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"/y;
const BYTES = /:([A-Za-z0-9+/]*={0,2}):/y;
const DISPLAY = /%"((?:[\x20\x21\x23\x24\x26-\x7e]|%[0-9a-f]{2})*)"/y;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

class Reader {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  get atEnd(): boolean {
    return this.at === this.text.length;
  }

  skipSpaces(): void {
    while (this.text[this.at] === ' ') this.at++;
  }

  /** RFC 9651, section 4.2.1. */
  list(): Member[] {
    const members: Member[] = [];
    while (!this.atEnd) {
      members.push(this.member());
      this.comma();
    }
    return members;
  }

  /** RFC 9651, section 4.2.2: of a key that is repeated the last one counts, in the place of the first. */
  dictionary(): Map<string, Member> {
    const members = new Map<string, Member>();
    while (!this.atEnd) {
      const key = this.match(KEY)[0];
      members.set(key, this.accept('=') ? this.member() : { value: isTrue, parameters: this.parameters() });
      this.comma();
    }
    return members;
  }

  item(): Item {
    return { value: this.bareItem(), parameters: this.parameters() };
  }

  private member(): Member {
    return this.accept('(') ? this.innerList() : this.item();
  }

  private innerList(): InnerList {
    const items: Item[] = [];
    for (;;) {
      this.skipSpaces();
      if (this.accept(')')) return { items, parameters: this.parameters() };
      items.push(this.item());
      const next = this.text[this.at];
      if (next !== ' ' && next !== ')') throw malformed;
    }
  }

  /** Between two members; there has to be one more behind it. */
  private comma(): void {
    this.skipBlanks();
    if (this.atEnd) return;
    if (!this.accept(',')) throw malformed;
    this.skipBlanks();
    if (this.atEnd) throw malformed;
  }

  private skipBlanks(): void {
    while (this.text[this.at] === ' ' || this.text[this.at] === '\t') this.at++;
  }

  private parameters(): Parameters {
    if (this.text[this.at] !== ';') return none;
    const parameters = new Map<string, BareItem>();
    while (this.accept(';')) {
      this.skipSpaces();
      const key = this.match(KEY)[0];
      parameters.set(key, this.accept('=') ? this.bareItem() : isTrue);
    }
    return parameters;
  }

  private bareItem(): BareItem {
    const first = this.text[this.at];
    switch (first) {
      case '"':
        return { kind: 'string', value: this.match(STRING)[1].replaceAll(/\\(.)/g, '$1') };
      case ':':
        return { kind: 'bytes', value: decodeBase64(this.match(BYTES)[1]) };
      case '?':
        return { kind: 'boolean', value: this.match(/\?([01])/y)[1] === '1' };
      case '@':
        this.at++;
        return { kind: 'date', value: this.integer() };
      case '%':
        return { kind: 'display', value: decodeDisplay(this.match(DISPLAY)[1]) };
      default:
        return first !== undefined && /[-0-9]/.test(first)
          ? this.number()
          : { kind: 'token', value: this.match(TOKEN)[0] };
    }
  }

  private number(): BareItem {
    const match: readonly (string | undefined)[] = this.match(NUMBER);
    const [text, whole = '', fraction] = match;
    if (/[0-9.]/.test(this.text[this.at] ?? '')) throw malformed;
    // 0 has no sign.
    const value = Number(text) || 0;
    if (fraction === undefined) return { kind: 'integer', value };
    if (whole.length > 12) throw malformed;
    return { kind: 'decimal', value };
  }

  private integer(): number {
    const number = this.number();
    if (number.kind !== 'integer') throw malformed;
    return number.value;
  }

  private accept(character: string): boolean {
    if (this.text[this.at] !== character) return false;
    this.at++;
    return true;
  }

  private match(pattern: RegExp): RegExpExecArray {
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.text);
    if (match === null) throw malformed;
    this.at = pattern.lastIndex;
    return match;
  }
}

const none: Parameters = new Map();
const isTrue: BareItem = Object.freeze({ kind: 'boolean', value: true });

/** Other spellings of the same bytes are refused: without padding, or with bits that mean nothing. */
function decodeBase64(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) throw malformed;
  return bytes;
}

function decodeDisplay(text: string): string {
  const bytes = text.replaceAll(/%([0-9a-f]{2})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 16)));
  try {
    return utf8.decode(Buffer.from(bytes, 'latin1'));
  } catch {
    throw malformed;
  }
}

// ---- serialising (RFC 9651, section 4.1) -----------------------------------------------------------------------------

export function serializeDictionary(dictionary: Dictionary): string {
  return Array.from(dictionary, ([key, member]) => {
    if (isInnerList(member)) return `${key}=${serializeInnerList(member)}`;
    const { value, parameters } = member;
    if (value.kind === 'boolean' && value.value) return key + serializeParameters(parameters);
    return `${key}=${serializeItem(member)}`;
  }).join(', ');
}

export function serializeList(list: readonly Member[]): string {
  return list.map(serializeMember).join(', ');
}

export function serializeMember(member: Member): string {
  return isInnerList(member) ? serializeInnerList(member) : serializeItem(member);
}

export function serializeInnerList({ items, parameters }: InnerList): string {
  return `(${items.map(serializeItem).join(' ')})${serializeParameters(parameters)}`;
}

export function serializeItem({ value, parameters }: Item): string {
  return serializeBareItem(value) + serializeParameters(parameters);
}

function serializeParameters(parameters: Parameters): string {
  let text = '';
  for (const [key, value] of parameters) {
    text += value.kind === 'boolean' && value.value ? `;${key}` : `;${key}=${serializeBareItem(value)}`;
  }
  return text;
}

/** @throws {RangeError} for a value that its kind cannot have: a defect of whoever has made it. */
export function serializeBareItem(item: BareItem): string {
  switch (item.kind) {
    case 'integer':
      return integerText(item.value);
    case 'decimal':
      return decimalText(item.value);
    case 'string':
      if (!/^[\x20-\x7e]*$/.test(item.value)) throw new RangeError('not a String of a structured field');
      return `"${/["\\]/.test(item.value) ? item.value.replaceAll(/["\\]/g, String.raw`\$&`) : item.value}"`;
    case 'token':
      if (!/^[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*$/.test(item.value)) {
        throw new RangeError('not a Token of a structured field');
      }
      return item.value;
    case 'bytes':
      return `:${Buffer.from(item.value).toString('base64')}:`;
    case 'boolean':
      return item.value ? '?1' : '?0';
    case 'date':
      return `@${integerText(item.value)}`;
    case 'display':
      return displayText(item.value);
  }
}

const LARGEST = 999_999_999_999_999;

function integerText(value: number): string {
  if (!Number.isInteger(value) || Math.abs(value) > LARGEST) {
    throw new RangeError('not an Integer of a structured field');
  }
  return String(value || 0);
}

function decimalText(value: number): string {
  const thousandths = Math.round(value * 1000);
  if (!Number.isFinite(value) || Math.abs(thousandths) > LARGEST) {
    throw new RangeError('not a Decimal of a structured field');
  }
  const text = (thousandths / 1000 || 0).toFixed(3).replace(/0{1,2}$/, '');
  return text;
}

function displayText(value: string): string {
  const encoded = Array.from(Buffer.from(value.toWellFormed()), (byte) => {
    const isPlain = byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x25;
    return isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, '0')}`;
  });
  return `%"${encoded.join('')}"`;
}
