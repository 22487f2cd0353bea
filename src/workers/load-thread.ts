/** The thread that runs the code that a configuration brings along, once, to see what it is: see load-document.ts. */
import { registerHooks } from 'node:module';
import { sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import { importModule } from '../config/import-module.ts';
import { factsOf } from '../config/plan/policy-facts.ts';
import { type FromLoadThread, type LoadRequest, read } from './load-document.ts';

const code = new Set<string>();

/** Everything of the user's that is loaded from now on, whatever it is imported by. */
registerHooks({
  load(url, context, next) {
    if (url.startsWith('file:')) {
      const path = fileURLToPath(url);
      if (!path.includes(`${sep}node_modules${sep}`)) code.add(path);
    }
    return next(url, context);
  },
});

function tell(message: FromLoadThread): void {
  parentPort!.postMessage(message);
}

/** What is being run is said before, since a thread that never comes back cannot say it later. */
async function runModule(path: string): Promise<unknown> {
  tell({ kind: 'importing', path });
  try {
    return await importModule(path);
  } finally {
    tell({ kind: 'imported' });
  }
}

const { config, problems, analyse, onlyCertificateProblems, files, secrets, modules } = await read(
  workerData as LoadRequest,
  runModule,
);
const analysed = await analyse();
const own = fileURLToPath(new URL('..', import.meta.url));
tell({
  kind: 'loaded',
  result: {
    config,
    problems,
    analysed,
    onlyCertificateProblems,
    files,
    secrets,
    modulePolicies: Object.fromEntries([...modules].map(([path, policy]) => [path, factsOf(policy)])),
    hasModules: modules.size > 0,
    // What the gateway itself loads late is not the user's.
    code: [...code].filter((path) => !path.startsWith(own)),
  },
});
