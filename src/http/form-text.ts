/**
 * Text in `application/x-www-form-urlencoded`, as `URLSearchParams` and so policies and most upstreams read a query: `+` is
 * a space, escapes are UTF-8, and a `%` that begins no escape stands for itself.
 */

/** What a name or a value means. */
export function decodeFormText(text: string): string {
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

/** The values of all parameters of this name, in order; null for none, which for most queries costs no more than a look. */
export function readParameters(query: string, name: string): string[] | null {
  let values: string[] | null = null;
  for (let start = 0; start < query.length;) {
    const end = endOfParameter(query, start);
    const nameEnd = endOfName(query, start, end);
    if (isNamed(query, start, nameEnd, name)) {
      values ??= [];
      values.push(decodeFormText(query.slice(nameEnd + 1, end)));
    }
    start = end + 1;
  }
  return values;
}

/** The query without the parameters of this name, and otherwise as it was. */
export function withoutParameters(query: string, name: string): string {
  const isOther = (parameter: string): boolean => {
    return !isNamed(parameter, 0, endOfName(parameter, 0, parameter.length), name);
  };
  return query.split('&').filter(isOther).join('&');
}

function endOfParameter(query: string, start: number): number {
  const end = query.indexOf('&', start);
  return end === -1 ? query.length : end;
}

function endOfName(query: string, start: number, end: number): number {
  const equals = query.indexOf('=', start);
  return equals === -1 || equals > end ? end : equals;
}

function isNamed(query: string, start: number, end: number, name: string): boolean {
  const length = end - start;
  // Escapes only make it longer.
  if (length < name.length) return false;
  if (length === name.length && query.startsWith(name, start)) return true;
  return decodeFormText(query.slice(start, end)) === name;
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
