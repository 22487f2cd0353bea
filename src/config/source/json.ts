/**
 * JSON (RFC 8259) with positions. `JSON.parse` tells neither where things are nor that a key is written twice, so the
 * text is scanned here; strings with escapes are left to `JSON.parse`.
 */
import { MAX_DEPTH, type SourceHandler, SourceError } from './handler.ts';

const LITERALS: ReadonlyMap<string, boolean | null> = new Map([
  ['true', true],
  ['false', false],
  ['null', null],
]);

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/y;
const WORD = /[A-Za-z0-9_$]+/y;

/**
 * Reads a JSON text into a handler.
 * @throws {SourceError} at the first place that is not JSON.
 */
export function readJson(text: string, handler: SourceHandler): void {
  new JsonReader(text, handler).read();
}

class JsonReader {
  private readonly text: string;
  private readonly handler: SourceHandler;
  private position = 0;

  constructor(text: string, handler: SourceHandler) {
    this.text = text;
    this.handler = handler;
  }

  read(): void {
    // A byte order mark is no part of JSON, but editors on some systems put one there (RFC 8259, section 8.1).
    if (this.text.charCodeAt(0) === 0xfeff) this.position = 1;
    this.value(0);
    this.skipSpace();
    if (this.position < this.text.length) this.fail('there is something after the end of the configuration');
  }

  private fail(message: string): never {
    throw new SourceError(this.text[this.position] === '/' ? 'JSON has no comments' : message, this.position);
  }

  private skipSpace(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.position);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.position++;
    }
  }

  private value(depth: number): void {
    this.skipSpace();
    const start = this.position;
    switch (this.text[start]) {
      case '{':
        this.object(depth);
        break;
      case '[':
        this.array(depth);
        break;
      case '"':
        this.handler.scalar(this.string(), start);
        break;
      case undefined:
        this.fail('the text ends where a value is expected');
        break;
      default:
        this.numberOrLiteral();
    }
  }

  private object(depth: number): void {
    if (depth >= MAX_DEPTH) this.fail('this is nested too deeply');
    this.handler.mapping(this.position++);
    this.skipSpace();
    if (this.text[this.position] === '}') {
      this.position++;
    } else {
      do {
        this.skipSpace();
        if (this.text[this.position] !== '"') this.fail('a key in double quotes is expected');
        const start = this.position;
        this.handler.key(this.string(), start);
        this.skipSpace();
        if (this.text[this.position] !== ':') this.fail('a colon is expected');
        this.position++;
        this.value(depth + 1);
      } while (this.continues('}'));
    }
    this.handler.end();
  }

  private array(depth: number): void {
    if (depth >= MAX_DEPTH) this.fail('this is nested too deeply');
    this.handler.list(this.position++);
    this.skipSpace();
    if (this.text[this.position] === ']') {
      this.position++;
    } else {
      do this.value(depth + 1);
      while (this.continues(']'));
    }
    this.handler.end();
  }

  /** After an element: true at a comma, false at the closing bracket. */
  private continues(closing: string): boolean {
    this.skipSpace();
    const found = this.text[this.position];
    if (found !== ',' && found !== closing) this.fail(`a comma or ${closing} is expected`);
    this.position++;
    if (found === closing) return false;
    this.skipSpace();
    if (this.text[this.position] === closing) this.fail(`JSON has no comma before ${closing}`);
    return true;
  }

  private string(): string {
    const start = this.position;
    let hasEscapes = false;
    for (let at = start + 1; ; at++) {
      const code = this.text.charCodeAt(at);
      if (code === 0x22) {
        this.position = at + 1;
        return hasEscapes ? this.decode(start) : this.text.slice(start + 1, at);
      }
      if (code === 0x5c) {
        hasEscapes = true;
        at++;
      } else if (!(code >= 0x20)) {
        // NaN: the end of the text.
        this.position = Number.isNaN(code) ? start : at;
        this.fail(Number.isNaN(code) ? 'this string does not end' : 'a string cannot contain a control character');
      }
    }
  }

  private decode(start: number): string {
    try {
      return JSON.parse(this.text.slice(start, this.position)) as string;
    } catch {
      this.position = start;
      return this.fail('this string has an escape that JSON does not know');
    }
  }

  private numberOrLiteral(): void {
    const start = this.position;
    NUMBER.lastIndex = start;
    const number = NUMBER.exec(this.text);
    if (number !== null) {
      this.position = NUMBER.lastIndex;
      this.handler.scalar(Number(number[0]), start);
      return;
    }
    WORD.lastIndex = start;
    const literal = LITERALS.get(WORD.exec(this.text)?.[0] ?? '');
    if (literal === undefined) {
      this.fail('a value is expected: a string in double quotes, a number, true, false, null, { or [');
    }
    this.position = WORD.lastIndex;
    this.handler.scalar(literal, start);
  }
}
