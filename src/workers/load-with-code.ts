/** Runs the code that a configuration brings along, once, to see what it is, on a thread of its own: see load-document.ts. */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import { importModule } from '../config/import-module.ts';
import { factsOf } from '../config/plan/policy-facts.ts';
import type { LoadResult } from '../config/load.ts';
import type { Problem } from '../config/problem.ts';
import type { PolicyDefinition } from '../contract.ts';
import { codeFrom } from '../gateway/code-from.ts';
import { type FromLoadThread, type LoadRequest, read, ReadFiles } from './load-document.ts';
import { tryToMake } from './try-to-make.ts';

const request = workerData as LoadRequest;
const seen = new ReadFiles();
/** What the gateway itself loads late is not the user's. */
const own = fileURLToPath(new URL('..', import.meta.url));

/** Everything of the user's that is loaded from now on, whatever it is imported by. */
registerHooks({
  load(url, context, next) {
    if (url.startsWith('file:')) noteCode(fileURLToPath(url));
    return next(url, context);
  },
});

function noteCode(path: string): void {
  if (path.startsWith(own) || path.includes(`${sep}node_modules${sep}`)) return;
  seen.note(path, readFileSync(path));
  tell({ kind: 'code', path });
}

function tell(message: FromLoadThread): void {
  parentPort!.postMessage(message);
}

/** What is being run is said before, since a thread that never comes back cannot say it later. */
async function runModule(path: string): Promise<unknown> {
  tell({ kind: 'running', path });
  try {
    return await importModule(path);
  } finally {
    tell({ kind: 'ran', path });
  }
}

/** Here policies harm nobody if they cannot be made, or never come back. */
async function unmade({ config, policies, modules, secrets, locate }: LoadResult): Promise<Problem[]> {
  if (config === null || modules.size === 0) return [];
  const code = codeFrom(policies, modules);
  const finding = await tryToMake({
    config,
    secrets,
    ...code,
    definitionOf: (use) =>
      use.module === null ? code.definitionOf(use) : announced(code.definitionOf(use), use.module),
  });
  return finding === null ? [] : [locate(finding)];
}

function announced(definition: PolicyDefinition, path: string): PolicyDefinition {
  return {
    ...definition,
    create: (options, env, inner) => {
      tell({ kind: 'running', path });
      try {
        return definition.create(options, env, inner);
      } finally {
        tell({ kind: 'ran', path });
      }
    },
  };
}

const loaded = await read(request, seen, runModule);
const { config, problems, onlyCertificateProblems, files, secrets, modules } = loaded;
const analysed = await loaded.analyse();
const isSound = analysed.every(({ severity }) => severity !== 'error');
const refused = isSound ? await unmade(loaded) : [];
tell({
  kind: 'loaded',
  result: {
    config: refused.length === 0 ? config : null,
    problems: [...problems, ...refused],
    analysed,
    onlyCertificateProblems: onlyCertificateProblems && refused.length === 0,
    files,
    secrets,
    modulePolicies: Object.fromEntries(
      [...modules].flatMap(([path, exported]) => (typeof exported === 'function' ? [] : [[path, factsOf(exported)]])),
    ),
    hasModules: modules.size > 0,
    contents: seen.entries,
  },
});
