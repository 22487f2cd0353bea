/** Tests that talk to other programs say which; where one is missing they are skipped, which `.ci/run` does not accept. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Debian keeps servers such as nginx where only the administrator looks for programs. */
export const programPath = `${process.env['PATH'] ?? ''}${delimiter}/usr/sbin`;

function isInstalled(program: string): boolean {
  return programPath.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** For the `skip` option of a test: false when all of these can be run, otherwise the reason. */
export function unlessInstalled(...programs: readonly string[]): false | string {
  const missing = programs.filter((program) => !isInstalled(program));
  return missing.length === 0 ? false : `needs ${missing.join(' and ')}`;
}
