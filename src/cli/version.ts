/** Which version of the package this is. */
import { readFileSync } from 'node:fs';

/** The package that this file belongs to is two folders up from its source, and one up from where it is published. */
export function version(): string {
  for (const place of ['../package.json', '../../package.json']) {
    try {
      const { name, version: number } = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8')) as {
        name: string;
        version: string;
      };
      if (name === 'gatewright') return number;
    } catch {
      // Not here.
    }
  }
  return 'unknown';
}
