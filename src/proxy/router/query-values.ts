/**
 * The parameters of one query, as `URLSearchParams` and so policies and most upstreams read them: form-urlencoded, `+`
 * is a space, escapes are UTF-8, and a `%` that begins no escape stands for itself. Of each name the first counts.
 *
 * Taken apart on the first question and once, however many rules ask: what a request costs stays linear in its length.
 */
export class QueryValues {
  private query = '';
  private values: Map<string, string> | null = null;

  /** Begins with another query. */
  reset(query: string): void {
    this.query = query;
    this.values = null;
  }

  /** The first value of this name, or undefined. */
  get(name: string): string | undefined {
    if (this.query === '') return undefined;
    this.values ??= takeApart(this.query);
    return this.values.get(name);
  }
}

function takeApart(query: string): Map<string, string> {
  const values = new Map<string, string>();
  for (let start = 0; start < query.length;) {
    let end = query.indexOf('&', start);
    if (end === -1) end = query.length;
    let equals = query.indexOf('=', start);
    if (equals === -1 || equals > end) equals = end;
    if (end > start) {
      const name = decode(query.slice(start, equals));
      if (!values.has(name)) values.set(name, decode(query.slice(equals + 1, end)));
    }
    start = end + 1;
  }
  return values;
}

function decode(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!spaced.includes('%')) return spaced;
  const bytes = Buffer.from(spaced, 'utf8');
  let length = 0;
  for (let i = 0; i < bytes.length; i++) {
    const escaped = bytes[i] === 0x25 ? hexByte(bytes, i + 1) : -1;
    bytes[length++] = escaped === -1 ? bytes[i] : escaped;
    if (escaped !== -1) i += 2;
  }
  return bytes.toString('utf8', 0, length);
}

/** The byte that two hexadecimal digits at the index spell, or -1. */
function hexByte(bytes: Buffer, index: number): number {
  if (index + 1 >= bytes.length) return -1;
  const high = hexDigit(bytes[index]);
  const low = hexDigit(bytes[index + 1]);
  return high === -1 || low === -1 ? -1 : high * 16 + low;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const folded = code | 0x20;
  return folded >= 0x61 && folded <= 0x66 ? folded - 0x57 : -1;
}
