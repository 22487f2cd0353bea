/**
 * Reads a configuration for a process that serves. What the configuration brings along as code is run on a thread of its
 * own: modules cannot be unloaded, so each reading gets a new one; and one that never finishes loading must not hold up
 * anybody.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type AnalyseRoutes, type LoadResult, loadConfig, parseConfig } from '../config/load.ts';
import type { PolicyFacts } from '../config/plan/policy-facts.ts';
import type { Problem } from '../config/problem.ts';
import type { GatewayConfig } from '../config/schema.ts';
import { builtinPolicies } from '../policies/index.ts';

export interface LoadRequest {
  /** The path of the file. What the configuration names is relative to its folder. */
  readonly file: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Instead of what is in the file. */
  readonly replacement?: { readonly text: string; readonly format: 'yaml' | 'json' };
}

/** A configuration that was read: plain data, but for `analyse`. */
export interface LoadedDocument {
  /** Null if there are errors: see `LoadResult`. */
  readonly config: GatewayConfig | null;
  readonly problems: readonly Problem[];
  /** Finds what only a closer look at all routes shows. */
  readonly analyse: () => Promise<readonly Problem[]>;
  readonly onlyCertificateProblems: boolean;
  /** The absolute paths of all files that it was made from, modules and what they import included. */
  readonly files: readonly string[];
  readonly secrets: readonly string[];
  /** What is to be known of the policies that came along as modules, by their absolute paths. */
  readonly modulePolicies: Readonly<Record<string, PolicyFacts>>;
  /** Identifies what was read. */
  readonly digest: string;
  /** Identifies the code that came along, other than that of the configuration itself; empty when there is none. */
  readonly codeDigest: string;
}

export interface LoadOptions {
  /** How long a module may take to load. Default 10 s. */
  readonly importLimitMs?: number;
}

/** What the thread gives back. */
export interface ThreadResult extends Omit<LoadedDocument, 'analyse' | 'digest' | 'codeDigest'> {
  readonly analysed: readonly Problem[];
  readonly hasModules: boolean;
  /** All code of the user that was run. */
  readonly code: readonly string[];
}

export type FromLoadThread =
  | { readonly kind: 'importing'; readonly path: string }
  | { readonly kind: 'imported' }
  | { readonly kind: 'loaded'; readonly result: ThreadResult };

const defaultImportLimitMs = 10_000;
const policyRegistry = new Map(builtinPolicies.map((policy) => [policy.name, policy]));

/** Loads what it needs when it is called: serving should not wait for it. */
const analyseRoutes: AnalyseRoutes = async (routes) => {
  const { findRouteProblems } = await import('../compile/route-findings.ts');
  return findRouteProblems(routes);
};

/** Never throws for what is in the configuration; what is wrong with it are `problems`. */
export async function loadDocument(request: LoadRequest, options: LoadOptions = {}): Promise<LoadedDocument> {
  const isModule = request.replacement === undefined && /^\.[cm]?[jt]s$/i.test(extname(request.file));
  const plain = isModule ? null : await loadPlain(request);
  return plain ?? loadOnThread(request, options.importLimitMs ?? defaultImportLimitMs);
}

/** @returns null when there are modules to be run. */
async function loadPlain(request: LoadRequest): Promise<LoadedDocument | null> {
  let hasModules = false;
  const loaded = await read(request, () => {
    hasModules = true;
    return Promise.reject(new Error('modules are run elsewhere'));
  });
  if (hasModules) return null;
  const { config, problems, analyse, onlyCertificateProblems, files, secrets } = loaded;
  const digest = digestOf(files, request.replacement?.text);
  const found = { config, problems, analyse, onlyCertificateProblems, files, secrets };
  return { ...found, modulePolicies: {}, digest, codeDigest: '' };
}

/** Reads the configuration itself. */
export function read(request: LoadRequest, importModule: (path: string) => Promise<unknown>): Promise<LoadResult> {
  const { file, env, replacement } = request;
  const options = { env, analyseRoutes, importModule };
  if (replacement === undefined) return loadConfig(file, policyRegistry, options);
  const { text, format } = replacement;
  return parseConfig(text, { ...options, registry: policyRegistry, fileName: file, format });
}

async function loadOnThread(request: LoadRequest, importLimitMs: number): Promise<LoadedDocument> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const worker = new Worker(new URL(`./load-thread.${extension}`, import.meta.url), {
    name: 'gatewright-load',
    workerData: request,
  });
  let timer: NodeJS.Timeout | undefined;
  try {
    const result = await new Promise<ThreadResult>((done, fail) => {
      const onMessage = (message: FromLoadThread): void => {
        clearTimeout(timer);
        if (message.kind === 'loaded') done(message.result);
        if (message.kind !== 'importing') return;
        const reason = `${message.path}: it has not finished loading after ${importLimitMs / 1000} s`;
        timer = setTimeout(() => fail(new Error(reason)), importLimitMs);
      };
      worker.on('message', onMessage);
      worker.on('error', fail);
      worker.on('exit', (code) => fail(new Error(`loading ended with code ${code}`)));
    });
    const { analysed, hasModules, code, ...loaded } = result;
    const files = [...new Set([...loaded.files, ...code])];
    const ownCode = hasModules ? code.filter((path) => path !== resolve(request.file)) : [];
    return {
      ...loaded,
      files,
      analyse: () => Promise.resolve(analysed),
      digest: digestOf(files, request.replacement?.text),
      codeDigest: hasModules ? digestOf(ownCode) : '',
    };
  } catch (error) {
    return unloadable(request.file, error instanceof Error ? error.message : String(error));
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}

function unloadable(file: string, message: string): LoadedDocument {
  const problem: Problem = { file, line: 1, column: 1, severity: 'error', code: 'MODULE', message, path: [] };
  return {
    config: null,
    problems: [problem],
    analyse: () => Promise.resolve([]),
    onlyCertificateProblems: false,
    files: [resolve(file)],
    secrets: [],
    modulePolicies: {},
    digest: '',
    codeDigest: '',
  };
}

/** Changes with what is in any of the files. @param replacement what is read instead of the first. */
export function digestOf(files: readonly string[], replacement?: string): string {
  const hash = createHash('sha256');
  for (const [index, path] of files.entries()) {
    const isReplaced = index === 0 && replacement !== undefined;
    const content = isReplaced ? Buffer.from(replacement) : readIfThere(path);
    // Lengths keep the parts apart (CVE-2023-35941).
    hash.update(`${path.length} ${path} ${content?.length ?? 'missing'} `).update(content ?? '');
  }
  return hash.digest('hex').slice(0, 32);
}

function readIfThere(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch {
    return null;
  }
}
