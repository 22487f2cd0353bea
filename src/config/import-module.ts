/** Imports what the user wrote: configurations in TypeScript and policies in files. */
import { statSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

/**
 * The namespace of the module at an absolute path. A module that has changed since it was imported is imported anew
 * (the platform keeps every version for as long as the process lives); what it imports itself is not.
 */
export async function importModule(path: string): Promise<unknown> {
  const url = pathToFileURL(path);
  url.searchParams.set('changed', String(statSync(path).mtimeMs));
  return import(url.href) as Promise<unknown>;
}
