/**
 * Builds the package that is published into `dist/`: JavaScript and type declarations of `src/`, a `package.json` of
 * its own, and the texts a reader of the package expects. The root stays private: it carries the tools and the Node
 * that development uses, and nobody who installs Gatewright should download those.
 *
 * `node scripts/build.ts [FOLDER]`, by default `dist`.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What this script reads of the root's `package.json`. */
export interface RootPackage {
  readonly [field: string]: unknown;
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Fields that mean the same in the published package. */
const sharedFields = ['name', 'version', 'description', 'keywords', 'license', 'type', 'engines', 'dependencies'];

const javascriptOf = (source: string): string => source.replace(/^\.\/src\//, './').replace(/\.ts$/, '.js');
const declarationOf = (source: string): string => source.replace(/^\.\/src\//, './').replace(/\.ts$/, '.d.ts');

/** The `package.json` to publish: no development dependencies, no scripts, no Node binaries, built file names. */
export function publishedPackage(source: RootPackage): Record<string, unknown> {
  const exports = Object.entries(source.exports).map(([name, file]) => [
    name,
    file.endsWith('.ts') ? { types: declarationOf(file), default: javascriptOf(file) } : file,
  ]);
  const bin = Object.entries(source.bin).map(([name, file]) => [name, javascriptOf(file)]);
  const optional = Object.entries(source.optionalDependencies ?? {}).filter(
    ([name]) => !/^node-(bin-)?\w+-\w+$/.test(name),
  );
  return {
    ...Object.fromEntries(sharedFields.filter((field) => field in source).map((field) => [field, source[field]])),
    bin: Object.fromEntries(bin),
    exports: Object.fromEntries(exports),
    ...(optional.length > 0 && { optionalDependencies: Object.fromEntries(optional) }),
  };
}

/**
 * Names the built file where the source names itself: the compiler rewrites imports, but not the
 * `new URL('./thread.ts', import.meta.url)` with which a thread is started.
 */
export function rewriteUrls(javascript: string): string {
  return javascript.replace(/(new URL\(\s*(['"])\.[^'"]*)\.ts(\2,\s*import\.meta\.url)/g, '$1.js$3');
}

function rewriteUrlsIn(folder: string): void {
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.js')) continue;
    const file = join(folder, name);
    const text = readFileSync(file, 'utf8');
    const rewritten = rewriteUrls(text);
    if (rewritten !== text) writeFileSync(file, rewritten);
  }
}

function main(): void {
  const folder = resolve(process.argv[2] ?? join(root, 'dist'));
  rmSync(folder, { recursive: true, force: true });
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  // One checker: several would each read all declarations, which costs more than they share.
  const args = [tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', folder, '--checkers', '1'];
  const compiled = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (compiled.status !== 0) throw new Error('the sources do not compile');
  rewriteUrlsIn(folder);

  const source = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as RootPackage;
  const published = publishedPackage(source);
  writeFileSync(join(folder, 'package.json'), JSON.stringify(published, null, 2) + '\n');
  for (const text of ['README.md', 'CHANGELOG.md', 'LICENSE']) copyFileSync(join(root, text), join(folder, text));
  for (const file of Object.values(published['bin'] as Record<string, string>)) chmodSync(join(folder, file), 0o755);
  console.log(`built into ${folder}`);
}

if (import.meta.main) main();
