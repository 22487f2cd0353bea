/**
 * Checks who imports whom under `src/`.
 *
 * A unit is a folder of `src/` or a file directly in it. It may import itself and units of a lower rank; units of the
 * same rank are siblings and never import each other. So a change can only reach upwards, and any unit can be read
 * knowing the ones below it. Each third-party package is imported in exactly one file, which is where it can be
 * replaced. Dynamic imports, `import()` types and `new URL('./x.ts', import.meta.url)` (how a thread names its entry)
 * count like any other import.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, posix, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseSync, Visitor } from 'oxc-parser';

/** From the bottom to the top; units in one row are siblings. */
const ranks: readonly (readonly string[])[] = [
  ['util', 'errors'],
  ['contract'],
  ['http'],
  ['wire'],
  ['proxy', 'policies', 'balancers', 'stores', 'consumers', 'health', 'discovery', 'telemetry', 'config'],
  ['compile'],
  ['gateway'],
  ['workers', 'testing'],
  ['admin'],
  ['index', 'cli'],
];

/** Files that may import a module whose name is only known at run time: those that load what the user wrote. */
const loaders: ReadonlySet<string> = new Set(['config/import-module.ts']);

export interface SourceFile {
  /** Relative to `src/`, with `/`. */
  readonly path: string;
  readonly text: string;
}

interface Import {
  readonly line: number;
  /** The module specifier; null when it is not a plain string. */
  readonly specifier: string | null;
}

/** Every module that a file names, in any of the ways that a file can. */
function importsOf(file: SourceFile): Import[] {
  const { program, errors } = parseSync(file.path, file.text);
  if (errors.length > 0) throw new SyntaxError(`src/${file.path}: ${errors[0]?.message}`);
  const imports: Import[] = [];
  const add = (node: { start: number } | null, specifier: string | null): void => {
    if (node !== null) imports.push({ line: file.text.slice(0, node.start).split('\n').length, specifier });
  };
  const addLiteral = (node: { start: number; value: string } | null): void => add(node, node?.value ?? null);
  new Visitor({
    ImportDeclaration: (node) => addLiteral(node.source),
    ExportNamedDeclaration: (node) => addLiteral(node.source),
    ExportAllDeclaration: (node) => addLiteral(node.source),
    TSImportType: (node) => addLiteral(node.source),
    ImportExpression: ({ source }) =>
      add(source, source.type === 'Literal' && typeof source.value === 'string' ? source.value : null),
    NewExpression({ callee, arguments: [name, base] }) {
      if (callee.type !== 'Identifier' || callee.name !== 'URL' || base?.type !== 'MemberExpression') return;
      if (base.object.type !== 'MetaProperty' || name?.type !== 'Literal' || typeof name.value !== 'string') return;
      if (/\.[jt]s$/.test(name.value)) add(name, name.value);
    },
  }).visit(program);
  return imports;
}

/** `wire/pool.ts` belongs to `wire`, `contract.ts` to `contract`. */
function unitOf(path: string): string {
  return path.split('/')[0]?.replace(/\.ts$/, '') ?? '';
}

function rankOf(unit: string): number {
  return ranks.findIndex((row) => row.includes(unit));
}

/** `@scope/name/file` and `name/file` without the file. */
function packageOf(specifier: string): string {
  const parts = specifier.split('/');
  return parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
}

/** What is wrong with one relative import, or null. */
function problemOfRelative(from: string, specifier: string): string | null {
  const target = posix.join(posix.dirname(from), specifier);
  if (target.startsWith('../')) return `imports ${specifier}, which is not under src/`;
  if (!target.endsWith('.ts')) return `imports ${specifier}; a relative import names a .ts file`;
  const unit = unitOf(from);
  const other = unitOf(target);
  if (unit === other) return null;
  if (rankOf(other) === -1) return `imports ${specifier}, and the unit ${other} has no rank`;
  if (rankOf(other) < rankOf(unit)) return null;
  const why = rankOf(other) === rankOf(unit) ? `${other} is a sibling of ${unit}` : `${other} ranks above ${unit}`;
  return `imports ${specifier}, but ${why}`;
}

/** Every breach of the rules, as `src/file:line  sentence`; empty when all is well. */
export function checkLayers(files: readonly SourceFile[]): string[] {
  const problems: string[] = [];
  const importersOf = new Map<string, Set<string>>();
  for (const file of files) {
    if (rankOf(unitOf(file.path)) === -1) {
      problems.push(
        `src/${file.path}:1  the unit ${unitOf(file.path)} has no rank; give it one in scripts/check-layers.ts`,
      );
      continue;
    }
    for (const { line, specifier } of importsOf(file)) {
      const at = `src/${file.path}:${line}`;
      if (specifier === null) {
        if (!loaders.has(file.path)) problems.push(`${at}  imports a module whose name is not a plain string`);
      } else if (specifier.startsWith('.')) {
        const problem = problemOfRelative(file.path, specifier);
        if (problem !== null) problems.push(`${at}  ${problem}`);
      } else if (!isBuiltin(specifier)) {
        const name = packageOf(specifier);
        importersOf.set(name, (importersOf.get(name) ?? new Set()).add(file.path));
      }
    }
  }
  for (const [name, importers] of importersOf) {
    if (importers.size === 1) continue;
    problems.push(
      `the package ${name} is imported in ${importers.size} files: ${[...importers].toSorted().join(', ')}`,
    );
  }
  return problems;
}

function main(): void {
  const src = fileURLToPath(new URL('../src', import.meta.url));
  const files = readdirSync(src, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path: relative(src, path).split(sep).join('/'), text: readFileSync(path, 'utf8') }));
  const problems = checkLayers(files);
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
}

if (import.meta.main) main();
