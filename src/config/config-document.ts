/** Reads the file of a configuration, whatever it is written in. */
import { extname, resolve } from 'node:path';
import type { ImportModule } from './policy-modules.ts';
import type { Problem } from './problem.ts';
import { isMapping } from './is-mapping.ts';
import {
  type SourceDocument,
  type SourceText,
  readJsonDocument,
  readModuleDocument,
  readYamlDocument,
} from './source/document.ts';

export type ConfigFormat = 'yaml' | 'json' | 'module';

/** @param given by default told from the extension. */
export async function readConfigDocument(
  source: SourceText,
  given: ConfigFormat | undefined,
  importModule: ImportModule,
): Promise<SourceDocument> {
  const format = given ?? formatOf(source.file);
  if (format !== 'module') return format === 'json' ? readJsonDocument(source) : readYamlDocument(source);
  try {
    const module = await importModule(resolve(source.file));
    const exported: unknown = isMapping(module) ? module['default'] : undefined;
    if (isMapping(exported)) return readModuleDocument(source, exported);
    return badModule(source.file, 'it must export a configuration: write `export default defineGateway({…})`', null);
  } catch (error) {
    return badModule(
      source.file,
      `it cannot be loaded: ${error instanceof Error ? error.message : String(error)}`,
      error,
    );
  }
}

function formatOf(fileName: string): ConfigFormat {
  const extension = extname(fileName).toLowerCase();
  if (extension === '.json') return 'json';
  return /^\.[cm]?[jt]s$/.test(extension) ? 'module' : 'yaml';
}

function badModule(file: string, message: string, error: unknown): SourceDocument {
  // The stack of a syntax error begins with the place, that of any other error has it somewhere.
  const place = error instanceof Error ? findPlace(error.stack ?? '', resolve(file)) : null;
  const problem: Problem = {
    file,
    line: place?.line ?? 1,
    column: place?.column ?? 1,
    severity: 'error',
    code: 'MODULE',
    message,
    path: [],
  };
  return { value: undefined, problems: [problem], locate: () => ({ line: 1, column: 1 }) };
}

/** The place in a file that the stack of an error names. */
function findPlace(stack: string, file: string): { line: number; column: number } | null {
  for (const line of stack.split('\n')) {
    if (!line.includes(file)) continue;
    const place = /:([0-9]+)(?::([0-9]+))?\)?$/.exec(line);
    if (place !== null) return { line: Number(place[1]), column: Number(place[2] ?? 1) };
  }
  return null;
}
