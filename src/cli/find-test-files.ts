/** Which files `gatewright test` runs. */
import { readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** Tests for `node --test`; others for the gateway itself to read. */
const CODE = /\.[cm]?[jt]s$/;
const DATA = /\.(?:ya?ml|json)$/;

/**
 * What is run where no file is named. A folder of code has many tests that are not about a gateway, so of those in code
 * only the ones that are called after it.
 */
const FOUND = /^(?:.+\.test\.ya?ml|gateway(?:\..+)?\.test\.[cm]?[jt]s)$/;

export function isCode(file: string): boolean {
  return CODE.test(file);
}

/**
 * The tests that these names mean, folders searched with everything below; the working folder when there are none.
 * @throws {TypeError} for a name that no tests can be under.
 */
export function findTestFiles(named: readonly string[], cwd: string): string[] {
  if (named.length === 0) return search('', cwd);
  return named.flatMap((name) => {
    const stats = statSync(resolve(cwd, name), { throwIfNoEntry: false });
    if (stats === undefined) throw new TypeError(`there is no ${name}`);
    if (stats.isDirectory()) return search(name, cwd);
    if (!CODE.test(name) && !DATA.test(name)) throw new TypeError(`${name} is neither YAML nor code`);
    return [name];
  });
}

function search(folder: string, cwd: string): string[] {
  const files: string[] = [];
  for (const entry of readdirSync(resolve(cwd, folder), { withFileTypes: true })) {
    const { name } = entry;
    if (entry.isFile() && FOUND.test(name)) files.push(join(folder, name));
    if (entry.isDirectory() && name !== 'node_modules' && !name.startsWith('.')) {
      files.push(...search(join(folder, name), cwd));
    }
  }
  return files.toSorted();
}
