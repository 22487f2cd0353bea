/**
 * The YAML parser, imported here and nowhere else: a flat list of events that refer to the text by offsets.
 * (Why this parser: docs/decisions/configuration-parsers.md.)
 */
import { type Event, type ScalarEvent, YAMLException, getScalarValue, parseEvents } from 'js-yaml';
import { SourceError } from './handler.ts';

export { COLLECTION_STYLE, EVENT_ID, SCALAR_STYLE, type Event, type ScalarEvent } from 'js-yaml';

/** @throws {SourceError} at the first place that is not YAML, or too deep. */
export function parseYamlEvents(text: string, maxDepth: number): Event[] {
  try {
    return parseEvents(text, { maxDepth });
  } catch (error) {
    throw toSourceError(error);
  }
}

/** The text of a scalar, with its escapes and line ends resolved. @throws {SourceError} */
export function scalarText(text: string, event: ScalarEvent): string {
  try {
    return getScalarValue(text, event);
  } catch (error) {
    throw toSourceError(error);
  }
}

/** In plainer words than the parser's. */
const plainWords: ReadonlyMap<string, string> = new Map([
  [
    'deficient indentation',
    'this line is indented too little for the list, mapping or string above that is still open',
  ],
  [
    'bad indentation of a mapping entry',
    'this does not fit the mapping here: look at the indentation and for a missing quote or colon',
  ],
  [
    'bad indentation of a sequence entry',
    'this does not fit the list here: look at the indentation and for a missing quote',
  ],
  [
    'can not read a block mapping entry; a multiline key may not be an implicit key',
    'a key without a colon: write `key: value`',
  ],
  ['missed comma between flow collection entries', 'a comma is missing before this'],
  [
    'end of the stream or a document separator is expected',
    'this line is indented less than the first one, or does not belong here',
  ],
  ['tab characters must not be used in indentation', 'indent with spaces: a tab cannot indent YAML'],
]);

function toSourceError(error: unknown): unknown {
  if (!(error instanceof YAMLException)) return error;
  return new SourceError(plainWords.get(error.reason) ?? error.reason, error.mark?.position ?? 0);
}
