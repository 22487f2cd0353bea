/** A configuration as it was written: its value, and where in the text its parts are. */
import { type Finding, type Path, type Problem, formatPath } from '../problem.ts';
import { type SourceHandler, SourceError } from './handler.ts';
import type { Interpolations } from './interpolation.ts';
import { readJson } from './json.ts';
import { readLiteral } from './literal-positions.ts';
import { copyPlainValue } from './plain-value.ts';
import { LineIndex, type Position, PositionTree } from './positions.ts';
import { ValueBuilder } from './value-builder.ts';
import { YamlErrors, readYaml } from './yaml.ts';

export interface SourceDocument {
  readonly value: unknown;
  /** What was wrong with the text itself. When it could not be read at all the value is undefined. */
  readonly problems: readonly Problem[];
  locate(path: Path, atKey: boolean): Position;
}

/** What a text is, and how to read it. */
export interface SourceText {
  readonly file: string;
  readonly text: string;
  readonly interpolations: Interpolations;
}

/** Reads a YAML configuration. Never throws for what is in it. */
export function readYamlDocument(source: SourceText): SourceDocument {
  return readDocument(source, (makeHandler) => readYaml(source.text, makeHandler));
}

/** Reads a JSON configuration. Never throws for what is in it. */
export function readJsonDocument(source: SourceText): SourceDocument {
  return readDocument(source, (makeHandler) => {
    const handler = makeHandler();
    readJson(source.text, handler);
    return handler;
  });
}

type Read = <H extends SourceHandler>(makeHandler: () => H) => H;

function readDocument(source: SourceText, read: Read): SourceDocument {
  let builder: ValueBuilder;
  try {
    checkEncoding(source.text);
    builder = read(() => new ValueBuilder(source.interpolations));
  } catch (error) {
    if (error instanceof YamlErrors) return unreadable(source, error.errors);
    if (error instanceof SourceError) return unreadable(source, [error]);
    throw error;
  }
  let lines: LineIndex | undefined;
  let tree: PositionTree | undefined;
  const positionOf = (offset: number): Position => (lines ??= new LineIndex(source.text)).positionOf(offset);
  const locate = (path: Path, atKey: boolean): Position =>
    positionOf((tree ??= read(() => new PositionTree())).offsetOf(path, atKey));
  const problems = builder.findings.map(({ code, offset, message, path }): Problem => {
    const { line, column } = positionOf(offset);
    const plain = source.interpolations.redact(message);
    return { file: source.file, line, column, severity: 'error', code, message: plain, path };
  });
  return { value: builder.value, problems, locate };
}

/** What is not UTF-8 has become U+FFFD when the file was decoded; nobody has a use for that character in a configuration. */
function checkEncoding(text: string): void {
  const offset = text.indexOf('\ufffd');
  if (offset !== -1) throw new SourceError('this is not UTF-8: save the file in that encoding', offset);
}

/** A configuration that a module exports: its value, with positions as far as its text shows them. */
export function readModuleDocument(source: SourceText, exported: unknown): SourceDocument {
  const { value, findings } = copyPlainValue(exported, source.interpolations);
  const tree = new PositionTree();
  readLiteral(source.text, tree);
  const lines = new LineIndex(source.text);
  const locate = (path: Path, atKey: boolean): Position => lines.positionOf(tree.offsetOf(path, atKey));
  const problems = findings.map(({ code, message, path }): Problem => {
    const { line, column } = locate(path, code === 'BAD_NAME');
    const plain = `${formatPath(path)}: ${source.interpolations.redact(message, path)}`;
    return { file: source.file, line, column, severity: 'error', code, message: plain, path };
  });
  return { value, problems, locate };
}

/** A text that could not be read at all, with what is wrong at which offsets. */
function unreadable(source: SourceText, errors: readonly SourceError[]): SourceDocument {
  const lines = new LineIndex(source.text);
  const problems = errors.map((error): Problem => ({
    ...lines.positionOf(error.offset),
    file: source.file,
    severity: 'error',
    code: 'SYNTAX',
    message: error.message,
    path: [],
  }));
  return { value: undefined, problems, locate: () => ({ line: 1, column: 1 }) };
}

/** Gives findings their places in the text, and hides in them what was interpolated. */
export function toProblems(findings: readonly Finding[], source: SourceText, document: SourceDocument): Problem[] {
  // Nothing else is said of a value that was to come from somewhere and did not.
  const lost = new Set(
    document.problems.flatMap(({ code, path }) => (code === 'INTERPOLATION' ? [formatPath(path)] : [])),
  );
  return findings
    .filter(({ path }) => lost.size === 0 || !lost.has(formatPath(path)))
    .map((finding) => toProblem(finding, source, document));
}

export function toProblem(finding: Finding, { file, interpolations }: SourceText, document: SourceDocument): Problem {
  const { severity, code, path, atKey = false } = finding;
  return {
    ...document.locate(path, atKey),
    file,
    severity,
    code,
    message: interpolations.redact(finding.message, path),
    path,
    ...(finding.suggestion !== undefined && { suggestion: interpolations.redact(finding.suggestion, path) }),
  };
}
