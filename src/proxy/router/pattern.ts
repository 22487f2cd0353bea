/**
 * The forms of a path in a route: `/a/b`, `/users/{id}`, `/files/{rest...}`, `/files/*`.
 *
 * A pattern is brought to the same canonical form as the path of a request, by the same code, so that a rule cannot fail
 * to protect a path only because it was spelt otherwise. What no canonical path can contain is an error.
 */
import { CanonicalTarget, canonicalizePath } from '../../http/path.ts';

/** A path pattern, taken apart. */
export class PathPattern {
  /** The path itself, canonical, if the pattern captures nothing; else null. */
  readonly exactPath: string | null;
  /** The names of the captured segments, in order. */
  readonly names: readonly string[];
  /** How what follows the segments is captured (`*` for a `*`), or null when nothing may follow. */
  readonly rest: string | null;
  /** Of exact paths, of which there are very many, made when needed, which is not to match them. */
  private parts: readonly (string | null)[] | null;

  constructor(exactPath: string | null, parts: readonly (string | null)[] | null, { names, rest }: CaptureNames) {
    this.exactPath = exactPath;
    this.parts = parts;
    this.names = names;
    this.rest = rest;
  }

  /** Between the slashes: canonical text, or null where one segment is captured. Without what `rest` captures. */
  get segments(): readonly (string | null)[] {
    this.parts ??= (this.exactPath ?? '').substring(1).split('/');
    return this.parts;
  }
}

/** Why something in a match cannot be, in words for the author of the configuration. */
export interface Invalid {
  readonly error: string;
}

/** Takes a pattern apart. Empty segments are an error unless the rule keeps those of the request. */
export function parsePathPattern(source: string, emptySegments: 'merge' | 'keep' = 'merge'): PathPattern | Invalid {
  if (!source.startsWith('/')) return { error: 'a path begins with /' };
  if (!CAPTURE_SYNTAX.test(source)) {
    const path = canonicalPath(source, emptySegments);
    return typeof path === 'string' ? new PathPattern(path, null, noCaptures) : path;
  }
  const captures = readCaptures(source.substring(1).split('/'));
  if ('error' in captures) return captures;
  const { literals, rest } = captures;
  // Any plain text may stand where something is captured.
  const sample = `/${literals.map((literal) => literal ?? 'x').join('/')}`;
  const path = canonicalPath(sample, emptySegments);
  if (typeof path !== 'string') return path;
  const texts = path === sample ? literals : path.substring(1).split('/');
  const segments = texts.map((text, index) => (literals[index] === null ? null : text));
  return new PathPattern(null, rest === null ? segments : segments.slice(0, -1), captures);
}

/** Where patterns capture and what that is called; the same for many patterns that differ in their literals alone. */
export interface CaptureShape {
  /** How many segments the pattern has, without what `rest` captures. */
  readonly depth: number;
  /** Which of them are captured, in order, the first is 0; as many as `names`. */
  readonly places: readonly number[];
  readonly names: readonly string[];
  readonly rest: string | null;
}

/** null for a pattern that captures nothing. */
export function captureShapeOf({ exactPath, segments, names, rest }: PathPattern): CaptureShape | null {
  if (exactPath !== null) return null;
  const places = Array.from(segments.keys()).filter((place) => segments[place] === null);
  return { depth: segments.length, places, names, rest };
}

/**
 * What a pattern captures from a path that it matches.
 * @param path its segments are those that were matched, with path parameters.
 */
export function captureParams({ depth, places, names, rest }: CaptureShape, path: string): Record<string, string> {
  const params: Record<string, string> = {};
  let captured = 0;
  let slash = 0;
  for (let place = 0; place < depth; place++) {
    const next = path.indexOf('/', slash + 1);
    const end = next === -1 ? path.length : next;
    if (captured < places.length && places[captured] === place) {
      params[names[captured++]] = path.substring(slash + 1, end);
    }
    slash = end;
  }
  if (rest !== null) params[rest] = path.substring(slash + 1);
  return params;
}

const CAPTURE_SYNTAX = /[{}*]/;
const CAPTURE = /^\{([A-Za-z_][A-Za-z0-9_]*)(\.\.\.)?\}$/;

interface CaptureNames {
  readonly names: readonly string[];
  readonly rest: string | null;
}

interface Captures extends CaptureNames {
  /** The parts between slashes as they were written, null for what is captured, the rest included. */
  readonly literals: readonly (string | null)[];
}

const noCaptures: CaptureNames = { names: [], rest: null };

function readCaptures(parts: readonly string[]): Captures | Invalid {
  const literals: (string | null)[] = [];
  const names: string[] = [];
  for (const part of parts) {
    const capture = readCapture(part);
    if (capture === null) {
      literals.push(part);
      continue;
    }
    if ('error' in capture) return capture;
    if (names.includes(capture.name)) return { error: `{${capture.name}} is there twice` };
    literals.push(null);
    if (!capture.isRest) names.push(capture.name);
    else if (literals.length === parts.length) return { literals, names, rest: capture.name };
    else return { error: `${part} stands for all that follows, so nothing can follow it` };
  }
  return { literals, names, rest: null };
}

interface Capture {
  readonly name: string;
  readonly isRest: boolean;
}

/** null for a part without a capture. */
function readCapture(part: string): Capture | Invalid | null {
  if (!CAPTURE_SYNTAX.test(part)) return null;
  if (part === '*') return { name: '*', isRest: true };
  const match = CAPTURE.exec(part);
  if (match !== null) {
    const [, name = '', dots] = match;
    return name === '__proto__'
      ? { error: 'a capture cannot be called __proto__' }
      : { name, isRest: dots !== undefined };
  }
  if (part.includes('*')) return { error: `${part}: * must be a segment of its own, at the end, as in /files/*` };
  return { error: `${part} is no segment of its own such as {id} or {rest...}` };
}

const trial = new CanonicalTarget();
const DOT_SEGMENT = /\/(?:\.|%2e){1,2}(?:\/|$)/i;
const NON_ASCII = /[^\u0000-\u007f]+/g;

/** The path as requests have it, with as many segments. */
function canonicalPath(path: string, emptySegments: 'merge' | 'keep'): string | Invalid {
  // Nearly all are canonical already, and there may be very many.
  if (canonicalizePath(path, trial) && trial.path === path && trial.unmergedMatchPath === path) return path;
  if (DOT_SEGMENT.test(path)) return { error: 'dot segments are resolved before matching' };
  // A request has no character outside ASCII that is not encoded.
  if (!canonicalizePath(path.replace(NON_ASCII, percentEncode), trial)) {
    return { error: `no request has it: ${trial.reason}` };
  }
  if (trial.hasEmptySegments && emptySegments === 'merge') {
    return { error: 'empty segments (//) are merged before matching, unless `emptySegments: keep` is set' };
  }
  if (trial.unmergedPath !== trial.unmergedMatchPath) {
    return { error: 'path parameters (;x=1) are set aside before matching' };
  }
  return trial.unmergedPath;
}

function percentEncode(text: string): string {
  return Array.from(Buffer.from(text, 'utf8'), (byte) => `%${byte.toString(16).toUpperCase()}`).join('');
}
