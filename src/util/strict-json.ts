/**
 * JSON that all readers read alike: of an object with the same name twice one reader takes the first, another the last
 * (RFC 8259, section 4), and what one has checked is not what the other goes by.
 */

/**
 * The value.
 * @param maxDepth how many objects and lists may be within each other.
 * @throws {SyntaxError} for what is not JSON, has a name twice in an object, or is deeper. It says nothing of the text.
 */
export function parseStrictJson(text: string, maxDepth: number): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new SyntaxError('not JSON');
  }
  // Most texts have no name twice; to be certain of it all names have to be looked at.
  assertUnambiguous(text, maxDepth);
  return value;
}

/** Names seen in each of the objects that the place is in; null for a list. */
type Open = (Set<string> | null)[];

/** @param text is JSON, so it is only asked where its names and brackets are. */
function assertUnambiguous(text: string, maxDepth: number): void {
  const open: Open = [];
  let isName = false;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case QUOTE: {
        const end = endOfString(text, i);
        if (isName) note(open.at(-1)!, text.slice(i, end + 1));
        isName = false;
        i = end;
        break;
      }
      case OPEN_OBJECT:
      case OPEN_LIST:
        if (open.length === maxDepth) throw new SyntaxError('too deep');
        isName = text.charCodeAt(i) === OPEN_OBJECT;
        open.push(isName ? new Set() : null);
        break;
      case CLOSE_OBJECT:
      case CLOSE_LIST:
        open.pop();
        isName = false;
        break;
      case COMMA:
        isName = open.at(-1) !== null;
    }
  }
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

function endOfString(text: string, start: number): number {
  let end = start + 1;
  while (text.charCodeAt(end) !== QUOTE) end += text.charCodeAt(end) === BACKSLASH ? 2 : 1;
  return end;
}

/** @param quoted may have escapes in it: `"\u0061"` is `"a"`. */
function note(names: Set<string> | null, quoted: string): void {
  const name = quoted.includes('\\') ? (JSON.parse(quoted) as string) : quoted.slice(1, -1);
  if (names!.has(name)) throw new SyntaxError('a name twice in an object');
  names!.add(name);
}
