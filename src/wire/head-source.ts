import { latin1 } from './latin1.ts';

/**
 * What a head is parsed from: the same characters as text and as bytes. To look at each of them takes a third of the time in bytes,
 * where they lie side by side; what is cut out is cut out of the text.
 */
export class HeadSource {
  readonly text: string;
  readonly bytes: Uint8Array;
  /** Where in `bytes` the text begins. */
  readonly base: number;

  private constructor(text: string, bytes: Uint8Array, base: number) {
    this.text = text;
    this.bytes = bytes;
    this.base = base;
  }

  /** `bytes[from, to)`, for as long as nothing else is read into them, behind what has come of the head before. */
  static after(before: string, bytes: Buffer, from: number, to: number): HeadSource {
    const text = latin1(bytes, from, to);
    return before === '' ? new HeadSource(text, bytes, from) : HeadSource.of(before + text);
  }

  /** A text of latin1. */
  static of(text: string): HeadSource {
    return new HeadSource(text, Buffer.from(text, 'latin1'), 0);
  }
}
