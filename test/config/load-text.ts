/** Loads configurations from text, with surroundings that exist only for the test. */
import type { PolicyDefinition } from '../../src/contract.ts';
import { type LoadResult, type ParseOptions, parseConfig } from '../../src/config/load.ts';
import type { PolicyRegistry } from '../../src/config/policy-registry.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { builtinPolicies } from '../../src/policies/index.ts';

/** These policies as if they were built in. */
export function registryOf(definitions: Iterable<PolicyDefinition>): PolicyRegistry {
  const all = new Map(Array.from(definitions, (definition) => [definition.name, definition]));
  return {
    names: [...all.keys()],
    load: async (names) => {
      const wanted = new Set(names);
      return new Map([...all].filter(([name]) => wanted.has(name)));
    },
  };
}

/** The definitions of all policies that are really built in. */
export const allBuiltin: readonly PolicyDefinition[] = [
  ...(await builtinPolicies.load(builtinPolicies.names)).values(),
];

/** By absolute path; the configuration is in `/gw`. */
export type Files = Readonly<Record<string, string>>;

/** Reads from these files only; others are not there. */
function readFrom(files: Files): (path: string) => string {
  return (path) => {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error(`no such file ${path}`), { code: 'ENOENT' });
    return text;
  };
}

export interface TestOptions extends Partial<ParseOptions> {
  readonly files?: Files;
}

export async function loadText(text: string, { files = {}, ...options }: TestOptions = {}): Promise<LoadResult> {
  return parseConfig(text, {
    fileName: '/gw/gateway.yaml',
    registry: builtinPolicies,
    env: {},
    readFile: readFrom(files),
    importModule: async (path) => {
      throw new Error(`no such module ${path}`);
    },
    clock: { wallNow: () => Date.UTC(2030, 0, 1) },
    ...options,
  });
}

/** The problems as printed, without the name of the file and the padding. */
export async function problemsOf(text: string, options: TestOptions = {}): Promise<string[]> {
  const { problems } = await loadText(text, options);
  return problems.map((problem) =>
    formatProblem({ ...problem, file: '' })
      .slice(1)
      .replaceAll(/ {2}/g, ' '),
  );
}
