/** Reads YAML 1.2 with positions: in slices where a text is large and allows it, otherwise as a whole. */
import { MAX_DEPTH, type SourceHandler, SourceError } from './handler.ts';
import { parseYamlEvents } from './yaml-events.ts';
import { EventReader } from './yaml-reader.ts';
import { findSlices, readSlices } from './yaml-slices.ts';

/** How many syntax errors are looked for. Behind the first few, what is found is mostly their consequence. */
const MAX_SYNTAX_ERRORS = 10;

/** What is wrong with a text, in its order. */
export class YamlErrors extends Error {
  readonly errors: readonly SourceError[];

  constructor(errors: readonly SourceError[]) {
    super('not YAML');
    this.errors = errors;
  }
}

/**
 * Reads a text into a handler of its own, which is returned.
 * @param makeHandler is called again when the reading has to begin anew.
 * @throws {YamlErrors} with every error that can be told apart from the consequences of another.
 */
export function readYaml<H extends SourceHandler>(text: string, makeHandler: () => H): H {
  return readInSlices(text, makeHandler) ?? readWhole(text, makeHandler());
}

function readInSlices<H extends SourceHandler>(text: string, makeHandler: () => H): H | null {
  const slices = findSlices(text);
  if (slices === null) return null;
  const handler = makeHandler();
  try {
    readSlices(text, slices, handler);
    return handler;
  } catch (error) {
    // What is wrong, and whether anything is, is for the reading as a whole to say.
    if (error instanceof SourceError) return null;
    throw error;
  }
}

function readWhole<H extends SourceHandler>(text: string, handler: H): H {
  let isParsed = false;
  try {
    const events = parseYamlEvents(text, MAX_DEPTH);
    isParsed = true;
    new EventReader(text, events, handler).read();
    return handler;
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    throw new YamlErrors(isParsed ? [error] : allErrors(text, error));
  }
}

/**
 * The parser stops at the first error. Blanking the line that it names and parsing again finds the others: as long as
 * each is further down, it is not a consequence of the blanking.
 */
function allErrors(text: string, first: SourceError): SourceError[] {
  const errors = [first];
  let rest = text;
  let last = first;
  while (errors.length < MAX_SYNTAX_ERRORS) {
    const start = rest.lastIndexOf('\n', Math.max(0, last.offset - 1)) + 1;
    const lineEnd = rest.indexOf('\n', last.offset);
    const end = lineEnd === -1 ? rest.length : lineEnd;
    rest = rest.slice(0, start) + ' '.repeat(end - start) + rest.slice(end);
    const next = errorIn(rest);
    // At the end of the text the parser misses what the first error hides, such as a closing bracket. The same again is
    // the same mistake, seen from its next line.
    if (next === null || next.offset <= end || next.offset >= text.trimEnd().length) return errors;
    if (next.message === last.message) return errors;
    errors.push(next);
    last = next;
  }
  return errors;
}

function errorIn(text: string): SourceError | null {
  try {
    parseYamlEvents(text, MAX_DEPTH);
    return null;
  } catch (error) {
    if (error instanceof SourceError) return error;
    throw error;
  }
}
