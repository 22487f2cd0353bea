/**
 * `${env:NAME}`, `${env:NAME:-default}` and `${file:path}` inside the strings of a configuration; `$${` stands for a
 * `${` that is meant literally. Whatever came in this way may be a secret, so it is remembered: messages and dumps show
 * what was written instead.
 */
import type { Path } from '../problem.ts';

export interface InterpolationSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Reads a file that a configuration names, relative to the configuration's folder. Throws when it cannot. */
  readonly readFile: (path: string) => string;
}

/** A secret in a file is a line; whoever names a large file means another one. */
const MAX_FILE_CHARACTERS = 64 * 1024;

/**
 * Shorter values are not looked for in messages: `1` or `web` would be found everywhere, and what is that short is
 * no secret. At the place where one was interpolated it is hidden all the same.
 */
const MIN_SECRET_CHARACTERS = 4;

const REFERENCE = /(\$?)\$\{([^}]*)\}?/g;
/** Variables whose values are likely secret; of others, such as a port, the log may speak. */
const SECRET_VARIABLE = /key|token|secret|pass|credential|auth|private|dsn/i;
const ENV = /^env:([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/;
const FILE = /^file:(.+)$/;

/** A text that something was interpolated in. */
interface Interpolated {
  readonly text: string;
  /** The whole text and every value that came into it, with what to show instead. */
  readonly shownAs: ReadonlyMap<string, string>;
}

/** Expands the strings of one configuration and remembers which they were. */
export class Interpolations {
  private readonly sources: InterpolationSources;
  private readonly byPath = new Map<string, Interpolated>();
  /** What each value that came in is to be shown as. */
  private readonly shownAs = new Map<string, string>();
  private readonly secretTexts = new Set<string>();

  constructor(sources: InterpolationSources) {
    this.sources = sources;
  }

  /**
   * The text with everything interpolated. `path` is where it stands; `refuse` is called with what is wrong.
   * Call it only for texts that contain `${`.
   */
  expand(template: string, path: Path, refuse: (message: string) => void): string {
    const shownAs = new Map<string, string>();
    const text = template.replaceAll(REFERENCE, (reference: string, escape: string, inner: string) => {
      if (escape !== '') return reference.slice(1);
      const value = reference.endsWith('}') ? this.resolve(inner, refuse) : this.unknown(reference, refuse);
      shownAs.set(value, reference);
      return value;
    });
    if (shownAs.size > 0) this.byPath.set(keyOf(path), { text, shownAs: shownAs.set(text, template) });
    return text;
  }

  private resolve(inner: string, refuse: (message: string) => void): string {
    const variable = ENV.exec(inner);
    if (variable !== null) {
      const [, name, otherwise] = variable;
      const value = this.sources.env[name];
      // As in a shell, `:-` stands in for an empty variable, too.
      if (otherwise !== undefined && (value === undefined || value === '')) return otherwise;
      if (value === undefined) refuse(`the environment variable ${name} is not set`);
      else if (SECRET_VARIABLE.test(name)) this.secretTexts.add(value);
      return this.remember(value ?? '', inner);
    }
    const file = FILE.exec(inner);
    if (file === null) return this.unknown(`\${${inner}}`, refuse);
    const content = this.fileContent(file[1], refuse);
    this.secretTexts.add(content);
    return this.remember(content, inner);
  }

  private remember(value: string, inner: string): string {
    if (value.length >= MIN_SECRET_CHARACTERS) this.shownAs.set(value, `\${${inner}}`);
    return value;
  }

  private fileContent(path: string, refuse: (message: string) => void): string {
    try {
      const text = this.sources.readFile(path);
      if (text.length > MAX_FILE_CHARACTERS) {
        refuse(`the file ${path} is too large for a value (${text.length} characters)`);
        return '';
      }
      if (text.includes('\ufffd')) {
        refuse(`the file ${path} is not UTF-8 text`);
        return '';
      }
      // Editors end the last line; a password does not contain that.
      return text.replace(/\r?\n$/, '');
    } catch (error) {
      refuse(`the file ${path} cannot be read (${reasonOf(error)})`);
      return '';
    }
  }

  private unknown(reference: string, refuse: (message: string) => void): string {
    refuse(
      `${reference} is not understood: write \${env:NAME}, \${env:NAME:-default} or \${file:path}, or $\${ for a literal \${`,
    );
    return '';
  }

  /** The text at a path if something was interpolated there. */
  at(path: Path): string | undefined {
    return this.byPath.get(keyOf(path))?.text;
  }

  /** Says that what stands at a path is secret, by its meaning and wherever it came from. */
  markSecret(path: Path, value: unknown): void {
    if (typeof value === 'string') this.secretTexts.add(value);
    for (const text of this.byPath.get(keyOf(path))?.shownAs.keys() ?? []) this.secretTexts.add(text);
  }

  /** The texts that no log may show: from files, from variables that are called like secrets, and those marked so. */
  get secrets(): string[] {
    return [...this.secretTexts].filter(({ length }) => length >= MIN_SECRET_CHARACTERS);
  }

  /** A message, if given about the value at a path, with everything that was interpolated hidden. */
  redact(message: string, path: Path = []): string {
    if (this.byPath.size === 0) return message;
    let plain = message;
    for (let length = path.length; length > 0; length--) {
      const here = this.byPath.get(keyOf(path.slice(0, length)));
      if (here !== undefined) plain = hide(plain, here.shownAs);
    }
    return hide(plain, this.shownAs);
  }
}

function hide(message: string, shownAs: ReadonlyMap<string, string>): string {
  let plain = message;
  // A longer value may contain a shorter one.
  for (const [value, shown] of [...shownAs].toSorted(([a], [b]) => b.length - a.length)) {
    if (value === '') continue;
    plain = plain.replaceAll(value, () => shown);
    // Quoted in a message, a value with quotes or line ends in it looks different.
    const quoted = JSON.stringify(value).slice(1, -1);
    if (quoted !== value) plain = plain.replaceAll(quoted, () => shown);
  }
  return plain;
}

function keyOf(path: Path): string {
  return JSON.stringify(path);
}

const READ_FAILURES: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of its path is no directory',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
};

/** Why a file cannot be read, without the path that the platform repeats. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) return error.message;
  return READ_FAILURES[code] ?? code;
}
