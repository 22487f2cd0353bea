/**
 * The forms of a path in a route: `/a/b`, `/users/{id}`, `/files/{rest...}`, `/files/*`.
 *
 * A pattern is brought to the same canonical form as the path of a request, by the same code, so that a rule cannot fail
 * to protect a path only because it was spelt otherwise. What no canonical path can contain is an error.
 */
import { CanonicalTarget, canonicalizePath } from '../../http/path.ts';

/** A path pattern, taken apart. */
export interface PathPattern {
  /** As it was written. */
  readonly source: string;
  /** Between the slashes: canonical text, or null where one segment is captured. Without what `rest` captures. */
  readonly segments: readonly (string | null)[];
  /** The names of the captured segments, in order. */
  readonly names: readonly string[];
  /** How what follows the segments is captured (`*` for a `*`), or null when nothing may follow. */
  readonly rest: string | null;
}

/** Why something in a match cannot be, in words for the author of the configuration. */
export interface Invalid {
  readonly error: string;
}

/** Takes a pattern apart. Empty segments are an error unless the rule keeps those of the request. */
export function parsePathPattern(source: string, emptySegments: 'merge' | 'keep' = 'merge'): PathPattern | Invalid {
  if (!source.startsWith('/')) return { error: 'a path begins with /' };
  const parts = source.slice(1).split('/');
  const names: string[] = [];
  const isCaptured: boolean[] = [];
  let rest: string | null = null;
  for (const [index, part] of parts.entries()) {
    const capture = readCapture(part);
    if (capture !== null && 'error' in capture) return capture;
    if (capture !== null && names.includes(capture.name)) return { error: `{${capture.name}} is there twice` };
    if (capture?.isRest === true) {
      if (index < parts.length - 1) return { error: `${part} stands for all that follows, so nothing can follow it` };
      rest = capture.name;
      parts.pop();
    } else {
      if (capture !== null) names.push(capture.name);
      isCaptured.push(capture !== null);
    }
  }
  const segments = readSegments(parts, isCaptured, emptySegments);
  return 'error' in segments ? segments : { source, segments, names, rest };
}

/** Whether the pattern is one path. */
export function isExact(pattern: PathPattern): boolean {
  return pattern.rest === null && pattern.names.length === 0;
}

/**
 * What the pattern captures from a path that it matches.
 * @param path its segments are those that were matched, with path parameters.
 */
export function captureParams({ segments, names, rest }: PathPattern, path: string): Record<string, string> {
  const params: Record<string, string> = {};
  let captured = 0;
  let slash = 0;
  for (const segment of segments) {
    const next = path.indexOf('/', slash + 1);
    const end = next === -1 ? path.length : next;
    if (segment === null) params[names[captured++]!] = path.substring(slash + 1, end);
    slash = end;
  }
  if (rest !== null) params[rest] = path.substring(slash + 1);
  return params;
}

const CAPTURE = /^\{([A-Za-z_][A-Za-z0-9_]*)(\.\.\.)?\}$/;

interface Capture {
  readonly name: string;
  readonly isRest: boolean;
}

/** null for a part without a capture. */
function readCapture(part: string): Capture | Invalid | null {
  if (part === '*') return { name: '*', isRest: true };
  if (part.includes('*')) return { error: `${part}: * must be a segment of its own, at the end, as in /files/*` };
  if (!/[{}]/.test(part)) return null;
  const match = CAPTURE.exec(part);
  if (match === null)
    return { error: `${part} is no capture such as {id} or {rest...}, which is a segment of its own` };
  const [, name = '', dots] = match;
  if (name === '__proto__') return { error: 'a capture cannot be called __proto__' };
  return { name, isRest: dots !== undefined };
}

const trial = new CanonicalTarget();
const DOT_SEGMENT = /^(?:\.|%2e){1,2}$/i;

function readSegments(
  parts: readonly string[],
  isCaptured: readonly boolean[],
  emptySegments: 'merge' | 'keep',
): (string | null)[] | Invalid {
  if (parts.length === 0) return [];
  if (parts.some((part) => DOT_SEGMENT.test(part))) return { error: 'dot segments are resolved before matching' };
  // Any plain text may stand where a capture is. A request has no character outside ASCII that is not encoded.
  const path = `/${parts.map((part, index) => (isCaptured[index] ? 'x' : encodeNonAscii(part))).join('/')}`;
  if (!canonicalizePath(path, trial)) return { error: `no request has it: ${trial.reason}` };
  if (trial.hasEmptySegments && emptySegments === 'merge') {
    return { error: 'empty segments (//) are merged before matching, unless `emptySegments: keep` is set' };
  }
  if (trial.unmergedPath !== trial.unmergedMatchPath) {
    return { error: 'path parameters (;x=1) are set aside before matching' };
  }
  const segments = trial.unmergedPath.substring(1).split('/');
  return segments.map((segment, index) => (isCaptured[index] ? null : segment));
}

const encodeNonAscii = (text: string): string =>
  text.replace(/[^\u0000-\u007f]+/g, (characters) =>
    Array.from(Buffer.from(characters, 'utf8'), (byte) => `%${byte.toString(16).toUpperCase()}`).join(''),
  );
