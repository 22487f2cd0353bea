/**
 * A small parser for what the gateway writes, independent of the gateway's own. It knows no leniency either: whatever the
 * gateway sends to an upstream or a client must be well-formed, so a deviation fails the test that receives it.
 */

/** Header fields in the order of the wire, names in lower case. */
export type Fields = readonly (readonly [name: string, value: string])[];

export interface Message {
  readonly startLine: string;
  readonly fields: Fields;
  /** One character a byte. */
  readonly body: string;
  readonly trailers: Fields;
  /** What follows the head: the length of the body, `chunked`, or `close` for up to the end of the connection. */
  readonly framing: number | 'chunked' | 'close';
}

export interface Head {
  readonly startLine: string;
  readonly fields: Fields;
  /** The offset behind the empty line. */
  readonly end: number;
}

export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage';
}

function fail(what: string, text: string): never {
  throw new MalformedMessage(`${what}: ${JSON.stringify(text.slice(0, 300))}`);
}

export function fieldValues(fields: Fields, name: string): string[] {
  return fields.filter(([field]) => field === name).map(([, value]) => value);
}

/** The one value of a field; undefined if there is none, an error if there are several. */
export function fieldValue(fields: Fields, name: string): string | undefined {
  const values = fieldValues(fields, name);
  if (values.length > 1) throw new MalformedMessage(`${name} occurs ${values.length} times`);
  return values[0];
}

/** The head at the beginning of the text, or null while it is not complete. */
export function parseHead(text: string): Head | null {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return null;
  const lines = text.slice(0, end).split('\r\n');
  for (const line of lines) if (/[\r\n\0]/.test(line)) fail('a control character in a head', text);
  return { startLine: lines[0], fields: lines.slice(1).map(parseField), end: end + 4 };
}

function parseField(line: string): readonly [string, string] {
  const match = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t -~\x80-\xff]*?)[ \t]*$/.exec(line);
  return match === null ? fail('a bad field', line) : [match[1].toLowerCase(), match[2]];
}

function framingOf(fields: Fields, otherwise: number | 'close'): Message['framing'] {
  const coding = fieldValue(fields, 'transfer-encoding');
  const length = fieldValue(fields, 'content-length');
  if (coding !== undefined && length !== undefined) throw new MalformedMessage('two ways of framing');
  if (coding !== undefined) return coding === 'chunked' ? 'chunked' : fail('a bad transfer coding', coding);
  if (length === undefined) return otherwise;
  return /^\d+$/.test(length) ? Number(length) : fail('a bad length', length);
}

interface Body {
  readonly body: string;
  readonly trailers: Fields;
  readonly end: number;
}

/** The body that begins at an offset, or null while it is not complete. */
function parseBody(text: string, from: number, framing: Message['framing'], ended: boolean): Body | null {
  if (framing === 'chunked') return parseChunks(text, from);
  if (framing === 'close') return ended ? { body: text.slice(from), trailers: [], end: text.length } : null;
  const end = from + framing;
  return text.length < end ? null : { body: text.slice(from, end), trailers: [], end };
}

function parseChunks(text: string, from: number): Body | null {
  let body = '';
  for (let at = from; ;) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd === -1) return null;
    const line = text.slice(at, lineEnd);
    if (!/^[0-9a-f]{1,13}$/i.test(line)) fail('a bad chunk line', line);
    const size = Number.parseInt(line, 16);
    at = lineEnd + 2;
    if (size === 0) return parseTrailers(text, at, body);
    if (text.length < at + size + 2) return null;
    if (text.slice(at + size, at + size + 2) !== '\r\n') fail('a bad end of a chunk', text.slice(at));
    body += text.slice(at, at + size);
    at += size + 2;
  }
}

function parseTrailers(text: string, from: number, body: string): Body | null {
  if (text.startsWith('\r\n', from)) return { body, trailers: [], end: from + 2 };
  const end = text.indexOf('\r\n\r\n', from);
  if (end === -1) return null;
  return { body, trailers: text.slice(from, end).split('\r\n').map(parseField), end: end + 4 };
}

/** A message and the text behind it. */
export interface Parsed<T extends Message = Message> {
  readonly message: T;
  readonly rest: string;
}

export interface RequestMessage extends Message {
  readonly method: string;
  readonly target: string;
}

/** The request at the beginning of the text, or null while it is not complete. */
export function parseRequest(text: string): Parsed<RequestMessage> | null {
  const head = parseHead(text);
  if (head === null) return null;
  const line = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~]+) HTTP\/1\.1$/.exec(head.startLine);
  if (line === null) fail('a bad request line', head.startLine);
  if (fieldValue(head.fields, 'host') === undefined) fail('no Host', text);
  const framing = framingOf(head.fields, 0);
  const body = parseBody(text, head.end, framing, false);
  if (body === null) return null;
  const { startLine, fields } = head;
  const message = {
    startLine,
    method: line[1],
    target: line[2],
    fields,
    body: body.body,
    trailers: body.trailers,
    framing,
  };
  return { message, rest: text.slice(body.end) };
}

export interface ResponseMessage extends Message {
  readonly status: number;
  readonly statusText: string;
  /** The interim responses that came before it. */
  readonly interim: readonly ResponseMessage[];
}

/**
 * The response at the beginning of the text, interim ones before it included, or null while it is not complete.
 * @param method of the request that it answers.
 * @param ended whether the other side has closed.
 */
export function parseResponse(text: string, method: string, ended: boolean): Parsed<ResponseMessage> | null {
  const interim: ResponseMessage[] = [];
  for (let rest = text; ;) {
    const head = parseHead(rest);
    if (head === null) return null;
    const line = /^HTTP\/1\.1 ([1-9]\d\d) ([\t -~\x80-\xff]*)$/.exec(head.startLine);
    if (line === null) fail('a bad status line', head.startLine);
    const { startLine, fields } = head;
    const status = Number(line[1]);
    const isInterim = status < 200;
    const isBodiless = isInterim || status === 204 || status === 304 || method === 'HEAD';
    const framing = isBodiless ? 0 : framingOf(fields, 'close');
    const body = parseBody(rest, head.end, framing, ended);
    if (body === null) return null;
    const before = isInterim ? [] : [...interim];
    const message = {
      startLine,
      status,
      statusText: line[2],
      fields,
      body: body.body,
      trailers: body.trailers,
      framing,
      interim: before,
    };
    rest = rest.slice(body.end);
    if (!isInterim || status === 101) return { message, rest };
    interim.push(message);
  }
}
