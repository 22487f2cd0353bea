/** Bytes as text, one character a byte: what heads are parsed from and written as. */

interface Latin1Sliceable {
  latin1Slice(start: number, end: number): string;
}

/**
 * `bytes[from, to)` as a flat one-byte string. Node's `latin1Slice` is what `toString('latin1', …)` ends up calling,
 * without looking the encoding up by name each time.
 */
export function latin1(bytes: Buffer, from: number, to: number): string {
  return (bytes as Buffer & Latin1Sliceable).latin1Slice(from, to);
}

/**
 * The same text in one piece. What was put together with `+` is kept as its parts by the engine and put together each
 * time that it is written; text that is written again and again should not be.
 */
export function flat(text: string): string {
  return latin1(Buffer.from(text, 'latin1'), 0, text.length);
}
