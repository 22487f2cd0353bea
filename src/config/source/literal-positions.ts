/**
 * Where the keys of a configuration in TypeScript are, as well as that can be told without running it: the object
 * literal that is exported is read, and whatever is not a literal (a call, a name, a spread) is passed over.
 */
import type { SourceHandler } from './handler.ts';

/** Reads the exported object literal into a handler; nothing if there is none. Never throws. */
export function readLiteral(text: string, handler: SourceHandler): void {
  const start = startOfLiteral(text);
  if (start !== -1) new LiteralReader(text, start, handler).value(0);
}

/** The offset of the `{` of the exported configuration, or -1. */
function startOfLiteral(text: string): number {
  const exported = /^[ \t]*export\s+default\s+(?:defineGateway\s*\(\s*)?(\{|[A-Za-z_$][\w$]*)/m.exec(text);
  if (exported === null) return -1;
  const [whole, first] = exported;
  if (first === '{') return exported.index + whole.length - 1;
  const declared = new RegExp(
    `\\b(?:const|let|var)\\s+${first.replaceAll('$', '\\$')}\\b[^={]*=\\s*(?:defineGateway\\s*\\(\\s*)?\\{`,
  );
  const declaration = declared.exec(text);
  return declaration === null ? -1 : declaration.index + declaration[0].length - 1;
}

const TRIVIA = /(?:\s+|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*/y;
const KEY = /(?:([A-Za-z_$][\w$]*|[0-9]+)|"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)')\s*(?=[:,}])/y;
const OPENING = '([{';
const CLOSING = ')]}';

/** More deeply nested literals are passed over. */
const MAX_DEPTH = 64;

class LiteralReader {
  private readonly text: string;
  private readonly handler: SourceHandler;
  private position: number;

  constructor(text: string, position: number, handler: SourceHandler) {
    this.text = text;
    this.position = position;
    this.handler = handler;
  }

  /** Reads a value and whatever follows it up to the next comma or the end of what it is in. */
  value(depth: number): void {
    this.skipTrivia();
    const start = this.position;
    const first = this.text[start];
    if (first === '{' && depth < MAX_DEPTH) this.object(depth);
    else if (first === '[' && depth < MAX_DEPTH) this.array(depth);
    else this.handler.scalar(null, start);
    this.skipExpression();
  }

  private object(depth: number): void {
    this.handler.mapping(this.position++);
    while (this.isInside('}')) {
      KEY.lastIndex = this.position;
      const key = KEY.exec(this.text);
      if (key === null) {
        this.skipExpression();
        continue;
      }
      this.handler.key(key[1] ?? key[2] ?? key[3], this.position);
      const start = this.position;
      this.position = KEY.lastIndex;
      if (this.text[this.position] === ':') {
        this.position++;
        this.value(depth + 1);
      } else {
        this.handler.scalar(null, start);
      }
    }
    this.handler.end();
  }

  private array(depth: number): void {
    this.handler.list(this.position++);
    while (this.isInside(']')) this.value(depth + 1);
    this.handler.end();
  }

  /** Passes over commas; false, and past it, at the closing bracket or the end of the text. */
  private isInside(closing: string): boolean {
    this.skipTrivia();
    while (this.text[this.position] === ',') {
      this.position++;
      this.skipTrivia();
    }
    const isAtEnd = this.position >= this.text.length || CLOSING.includes(this.text[this.position]);
    if (this.text[this.position] === closing) this.position++;
    return !isAtEnd;
  }

  private skipTrivia(): void {
    TRIVIA.lastIndex = this.position;
    TRIVIA.exec(this.text);
    this.position = TRIVIA.lastIndex;
  }

  /** To the comma or closing bracket that ends the expression. */
  private skipExpression(): void {
    let depth = 0;
    while (this.position < this.text.length) {
      this.skipTrivia();
      const character = this.text[this.position];
      if (character === undefined) return;
      if (character === '"' || character === "'" || character === '`') {
        this.skipString(character);
        continue;
      }
      if (depth === 0 && (character === ',' || CLOSING.includes(character))) return;
      if (OPENING.includes(character)) depth++;
      else if (CLOSING.includes(character)) depth--;
      this.position++;
    }
  }

  private skipString(quote: string): void {
    this.position++;
    while (this.position < this.text.length && this.text[this.position] !== quote) {
      this.position += this.text[this.position] === '\\' ? 2 : 1;
    }
    // A string that does not end, ends with the text: past it the patterns would begin again at its start.
    this.position = Math.min(this.position + 1, this.text.length);
  }
}
