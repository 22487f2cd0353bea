/** Texts in the numbers of a shared table. */

/** A double is exact for so many, and no number that is none (NaN) stands for any of them. */
export const bytesPerWord = 6;

/** As many of its characters as fit, on one line. */
export function cut(text: string, maxBytes: number): Buffer {
  const line = text.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ');
  const bytes = Buffer.from(line);
  if (bytes.length <= maxBytes) return bytes;
  return Buffer.from(bytes.toString('utf8', 0, maxBytes).replace(/\uFFFD+$/, ''));
}

/** @returns how many bytes there are, without which it cannot be read again. */
export function writeText(words: Float64Array, at: number, bytes: Buffer): number {
  for (let i = 0; i < bytes.length; i += bytesPerWord) {
    const length = Math.min(bytesPerWord, bytes.length - i);
    words[at + i / bytesPerWord] = bytes.readUIntLE(i, length);
  }
  return bytes.length;
}

export function readText(words: Float64Array, at: number, byteLength: number): string {
  const count = Math.ceil(byteLength / bytesPerWord);
  const bytes = Buffer.alloc(count * bytesPerWord);
  for (let i = 0; i < count; i++) bytes.writeUIntLE(words[at + i], i * bytesPerWord, bytesPerWord);
  return bytes.toString('utf8', 0, byteLength);
}
