/** Finds the configuration when none is named. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** In this order; the first that is there counts. */
const STANDARD_NAMES = ['gateway.yaml', 'gateway.yml', 'gateway.json', 'gateway.config.ts'];

/** The name of the configuration in a folder, or null when there is none. */
export function findConfigFile(folder: string): string | null {
  return STANDARD_NAMES.find((name) => existsSync(join(folder, name))) ?? null;
}
