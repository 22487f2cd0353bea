/** Whether a file can be the database of consumers, without making or changing anything. */
import { closeSync, constants, accessSync, openSync, readSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** What a file of SQLite begins with (https://www.sqlite.org/fileformat.html, section 1.3). */
const beginning = Buffer.from('SQLite format 3\0');

/** @returns what is wrong, in words that follow the path of the file; null when nothing is. */
export function databaseProblem(path: string): string | null {
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    // SQLite makes files of its own beside it.
    accessSync(dirname(path), constants.W_OK | constants.X_OK);
    if (stats === undefined) return null;
    if (!stats.isFile()) return 'is not a file';
    accessSync(path, constants.R_OK | constants.W_OK);
    return stats.size === 0 || beginsWell(path) ? null : 'is not a database';
  } catch (error) {
    return `cannot be opened (${error instanceof Error ? error.message : String(error)})`;
  }
}

function beginsWell(path: string): boolean {
  const file = openSync(path, 'r');
  try {
    const found = Buffer.alloc(beginning.length);
    return readSync(file, found) === beginning.length && found.equals(beginning);
  } finally {
    closeSync(file);
  }
}
