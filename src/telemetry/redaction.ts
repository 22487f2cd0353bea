/** Keeps what the operator named in `redact` out of the access log (CONFIG, section 1). */

/** What stands where a value was. */
export const redacted = '***';

const deepestEncoding = 4;

/** Immutable. Errs on the side of hiding too much. */
export class Redaction {
  private readonly headers: ReadonlySet<string>;
  private readonly parameters: ReadonlySet<string>;
  private readonly lengths: ReadonlySet<number>;

  /** @param names of headers, and of query parameters with a `?` in front; case does not count. */
  constructor(names: readonly string[]) {
    const isParameter = (name: string): boolean => name.startsWith('?');
    this.headers = new Set(names.filter((name) => !isParameter(name)).map((name) => name.toLowerCase()));
    this.parameters = new Set(names.filter(isParameter).map((name) => canonicalName(name.substring(1))));
    this.lengths = new Set([...this.parameters].map(({ length }) => length));
  }

  hidesHeader(name: string): boolean {
    return this.headers.has(name.toLowerCase());
  }

  /**
   * A query with the values of the named parameters replaced. A parameter counts as named under every spelling that some
   * server would read as that name: percent-encoded, in other case, with `[]` behind it, and behind `;` as behind `&`.
   */
  query(query: string): string {
    if (query === '' || this.parameters.size === 0) return query;
    let result = '';
    let kept = 0;
    for (let start = 0; start < query.length;) {
      const nameEnd = endOf(query, start, isEndOfName);
      const end = endOf(query, nameEnd, isSeparator);
      if (nameEnd < end && this.hidesParameter(query, start, nameEnd)) {
        result += query.substring(kept, nameEnd + 1) + redacted;
        kept = end;
      }
      start = end + 1;
    }
    return kept === 0 ? query : result + query.substring(kept);
  }

  private hidesParameter(query: string, start: number, end: number): boolean {
    // A plain name of another length is settled without a closer look, and so are most.
    if (!this.lengths.has(end - start) && isPlainName(query, start, end)) return false;
    return this.parameters.has(canonicalName(query.substring(start, end)));
  }

  /** A header's value; if that is a URL, as in `Referer`, its query is treated like that of the request. */
  headerValue(name: string, value: string): string {
    if (this.hidesHeader(name)) return redacted;
    const question = value.indexOf('?');
    return question === -1 ? value : value.substring(0, question + 1) + this.query(value.substring(question + 1));
  }
}

function table(characters: string): Uint8Array {
  const accepted = new Uint8Array(256);
  for (const character of characters) accepted[character.charCodeAt(0)] = 1;
  return accepted;
}

const isSeparator = table('&;#');
const isEndOfName = table('&;#=');
const isPlainCharacter = table('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.');

/** The index of the next character that is in the table, or the end. */
function endOf(text: string, start: number, wanted: Uint8Array): number {
  let i = start;
  while (i < text.length && wanted[text.charCodeAt(i)] !== 1) i++;
  return i;
}

/** Whether the name is its own only spelling, but for case. */
function isPlainName(text: string, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    if (isPlainCharacter[text.charCodeAt(i)] !== 1) return false;
  }
  return true;
}

/** The name that servers may take this spelling for. */
function canonicalName(spelling: string): string {
  let name = spelling;
  for (let i = 0; i < deepestEncoding && name.includes('%'); i++) name = decodePercent(name);
  const bracket = name.indexOf('[');
  if (bracket > 0) name = name.substring(0, bracket);
  return name.replaceAll('+', ' ').trim().toLowerCase();
}

/** Decodes what can be decoded and leaves the rest, as servers do; control characters are dropped. */
function decodePercent(text: string): string {
  return text
    .replaceAll(/%([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    .replaceAll(/[\0-\x1f]/g, '');
}
