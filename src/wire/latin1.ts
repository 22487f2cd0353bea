/** Bytes as text, one character a byte: what heads are parsed from and written as. */

/** What encodes and decodes latin1 alone, without looking the encoding up by name each time. */
interface Latin1Memory {
  latin1Slice(start: number, end: number): string;
  latin1Write(text: string, offset: number, length: number): number;
}

/** `bytes[from, to)` as a flat one-byte string. */
export function latin1(bytes: Buffer, from: number, to: number): string {
  return (bytes as Buffer & Latin1Memory).latin1Slice(from, to);
}

/** Puts the text at the beginning of `bytes`, which has room for it. */
export function writeLatin1(bytes: Buffer, text: string): void {
  (bytes as Buffer & Latin1Memory).latin1Write(text, 0, text.length);
}

/**
 * The same text in one piece. What was put together with `+` is kept as its parts by the engine and put together each
 * time that it is written; text that is written again and again should not be.
 */
export function flat(text: string): string {
  return latin1(Buffer.from(text, 'latin1'), 0, text.length);
}
