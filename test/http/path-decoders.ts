/** Models of how servers read a path, each a way in which a gateway and its upstream have disagreed in the field. */

type Step = (path: string) => string;

const decode: Step = (path) =>
  path.replace(/%([0-9a-fA-F]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));

/** IIS: `%u0061` is `a`. */
const decodeUnicodeEscapes: Step = (path) =>
  path.replace(/%u([0-9a-fA-F]{4})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));

/** A UTF-8 decoder that does not look whether a form is the shortest (MS00-078). */
const decodeOverlong: Step = (path) =>
  decode(path)
    .replace(/[\xc0-\xdf]([\x80-\xbf])/g, (pair) =>
      String.fromCharCode(((pair.charCodeAt(0) & 0x1f) << 6) | (pair.charCodeAt(1) & 0x3f)),
    )
    .replace(/[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xff][\x80-\xbf]{3}/g, (sequence) =>
      String.fromCharCode(
        ((sequence.charCodeAt(sequence.length - 2) & 0x3f) << 6) | (sequence.charCodeAt(sequence.length - 1) & 0x3f),
      ),
    );

const stripParameters: Step = (path) => path.replace(/;[^/]*/g, '');
const mergeSlashes: Step = (path) => path.replace(/\/{2,}/g, '/');
const backslashes: Step = (path) => path.replaceAll('\\', '/');
const cutAtNul: Step = (path) => path.replace(/\0.*/s, '');
const cutAtFragment: Step = (path) => path.replace(/#.*/s, '');
const trimControls: Step = (path) => path.replace(/^[\0-\x1f\x7f]+|[\0-\x1f\x7f]+$/g, '');
const trimSegments: Step = (path) => path.split('/').map(trimControls).join('/');

/** RFC 3986, section 5.2.4. */
const resolveDots: Step = (path) => {
  const kept: string[] = [];
  const segments = path.split('/').slice(1);
  for (const [index, segment] of segments.entries()) {
    if (segment === '..') kept.pop();
    if (segment !== '..' && segment !== '.') kept.push(segment);
    else if (index === segments.length - 1) kept.push('');
  }
  return `/${kept.join('/')}`;
};

const pipelines: Readonly<Record<string, readonly Step[]>> = {
  'the bytes as they are': [],
  'resolved, then decoded': [resolveDots, decode],
  'decoded, then resolved': [decode, resolveDots],
  'decoded, merged, then resolved (nginx)': [decode, mergeSlashes, resolveDots],
  'decoded, resolved, then merged': [decode, resolveDots, mergeSlashes],
  'without parameters, decoded, merged, resolved (Tomcat)': [stripParameters, decode, mergeSlashes, resolveDots],
  'decoded, without parameters, resolved (Spring)': [decode, stripParameters, resolveDots, mergeSlashes],
  'resolved, then without parameters': [resolveDots, stripParameters, decode, mergeSlashes],
  'with backslashes for slashes': [decode, backslashes, mergeSlashes, resolveDots],
  'with IIS escapes': [decodeUnicodeEscapes, decode, backslashes, resolveDots],
  'with overlong UTF-8': [decodeOverlong, mergeSlashes, resolveDots],
  'as a C string': [decode, cutAtNul, resolveDots],
  'up to a fragment': [cutAtFragment, decode, resolveDots],
  trimmed: [decode, trimSegments, stripParameters, mergeSlashes, resolveDots],
};

export const isAdmin = (path: string): boolean => path === '/admin' || path.startsWith('/admin/');

/** The names of the decoders that read the path as `/admin` or something below it. */
export function readersOfAdmin(path: string): string[] {
  return Object.entries(pipelines)
    .filter(([, steps]) => isAdmin(steps.reduce((text, step) => step(text), path)))
    .map(([name]) => name);
}
