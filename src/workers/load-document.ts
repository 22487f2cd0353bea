/**
 * Reads a configuration for a process that serves. What the configuration brings along as code is run on a thread of its
 * own: modules cannot be unloaded, so each reading gets a new one; and one that never finishes loading must not hold up
 * anybody.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type ListFolder, listFolder } from '../config/consumer-files.ts';
import { type AnalyseRoutes, type LoadResult, loadConfig, parseConfig } from '../config/load.ts';
import { builtinNames } from '../config/policy-registry.ts';
import type { PolicyFacts } from '../config/plan/policy-facts.ts';
import type { Problem } from '../config/problem.ts';
import type { GatewayConfig } from '../config/schema.ts';
import type { PolicyDefinition } from '../contract.ts';
import { builtinPolicies } from '../policies/index.ts';

export interface LoadRequest {
  /** The path of the file. What the configuration names is relative to its folder. */
  readonly file: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Instead of what is in the file. */
  readonly replacement?: { readonly text: string; readonly format: 'yaml' | 'json' };
}

/** A configuration that was read: plain data, but for `analyse` and `policies`. */
export interface LoadedDocument {
  /** Null if there are errors: see `LoadResult`. */
  readonly config: GatewayConfig | null;
  readonly problems: readonly Problem[];
  /** Finds what only a closer look at all routes shows. */
  readonly analyse: () => Promise<readonly Problem[]>;
  /**
   * Finds what only shows when it is made, such as a file that a policy cannot use. For whoever does not serve it at once:
   * that makes it anyway.
   */
  readonly tryToMake: () => Promise<readonly Problem[]>;
  readonly onlyCertificateProblems: boolean;
  /** The absolute paths of all files that it was made from, modules and what they import included. */
  readonly files: readonly string[];
  readonly secrets: readonly string[];
  /** The built-in policies that it uses, by name. */
  readonly policies: ReadonlyMap<string, PolicyDefinition>;
  /** What is to be known of the policies that came along as modules, by their absolute paths. */
  readonly modulePolicies: Readonly<Record<string, PolicyFacts>>;
  /** Identifies what was read. */
  readonly digest: string;
  /** Identifies the code that came along, other than that of the configuration itself; empty when there is none. */
  readonly codeDigest: string;
}

export interface LoadOptions {
  /** How long a module may take to load, or its policies to be made. Default 10 s. */
  readonly importLimitMs?: number;
}

/** What the thread gives back. */
export interface ThreadResult extends Omit<
  LoadedDocument,
  'analyse' | 'tryToMake' | 'policies' | 'digest' | 'codeDigest'
> {
  readonly analysed: readonly Problem[];
  readonly hasModules: boolean;
  /** See `ReadFiles`. */
  readonly contents: ReadFiles['entries'];
}

export type FromLoadThread =
  /** Code of the user's is about to be run, so that it can be named if it never comes back. */
  | { readonly kind: 'running'; readonly path: string }
  | { readonly kind: 'ran'; readonly path: string }
  /** A file of the user's is loaded as code. */
  | { readonly kind: 'code'; readonly path: string }
  | { readonly kind: 'loaded'; readonly result: ThreadResult };

const defaultImportLimitMs = 10_000;

/** Loads what it needs when it is called: serving should not wait for it. */
const analyseRoutes: AnalyseRoutes = async (routes, threads) => {
  const { findRouteProblems } = await import('../compile/route-findings.ts');
  return findRouteProblems(routes, threads);
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
  const seen = new ReadFiles();
  const loaded = await read(request, seen, () => {
    hasModules = true;
    return Promise.reject(new Error('modules are run elsewhere'));
  });
  if (hasModules) return null;
  const { config, problems, analyse, onlyCertificateProblems, secrets, policies } = loaded;
  const files = filesOf(request, loaded.files);
  const found = { config, problems, analyse, onlyCertificateProblems, files, secrets, policies };
  const made = { modulePolicies: {}, digest: seen.digestOf(files), codeDigest: '' };
  return { ...found, ...made, tryToMake: () => problemsOfMaking(loaded) };
}

async function problemsOfMaking({ config, policies, secrets, locate }: LoadResult): Promise<readonly Problem[]> {
  if (config === null) return [];
  const { tryToMake } = await import('./try-to-make.ts');
  const { codeFrom } = await import('../gateway/code-from.ts');
  const finding = await tryToMake({ config, secrets, ...codeFrom(policies, new Map()) });
  return finding === null ? [] : [locate(finding)];
}

/** One that cannot be read is one that may change all the same. */
function filesOf({ file }: LoadRequest, files: readonly string[]): readonly string[] {
  return files.length === 0 ? [resolve(file)] : files;
}

/** Reads the configuration itself. @param seen is told of what was read. */
export function read(
  request: LoadRequest,
  seen: ReadFiles,
  importModule: (path: string) => Promise<unknown>,
): Promise<LoadResult> {
  const { file, env, replacement } = request;
  const options = { env, analyseRoutes, importModule, readFile: seen.readText, listFolder: seen.listFolder };
  if (replacement === undefined) return loadConfig(file, builtinPolicies, options);
  const { text, format } = replacement;
  seen.note(resolve(file), Buffer.from(text));
  return parseConfig(text, { ...options, registry: builtinPolicies, fileName: file, format });
}

async function loadOnThread(request: LoadRequest, importLimitMs: number): Promise<LoadedDocument> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const worker = new Worker(new URL(`./load-thread.${extension}`, import.meta.url), {
    name: 'gatewright-load',
    workerData: request,
  });
  const code = new Set<string>();
  try {
    const { analysed, hasModules, contents, ...loaded } = await resultOf(worker, code, importLimitMs);
    const seen = new ReadFiles();
    seen.add(contents);
    const files = [...new Set([...filesOf(request, loaded.files), ...code])];
    const ownCode = hasModules ? [...code].filter((path) => path !== resolve(request.file)) : [];
    return {
      ...loaded,
      files,
      policies: await builtinPolicies.load(loaded.config === null ? [] : builtinNames(loaded.config)),
      analyse: () => Promise.resolve(analysed),
      // The thread has done that.
      tryToMake: () => Promise.resolve([]),
      digest: seen.digestOf(files),
      codeDigest: hasModules ? seen.digestOf(ownCode.toSorted()) : '',
    };
  } catch (error) {
    return unloadable(request.file, code, error instanceof Error ? error.message : String(error));
  } finally {
    await worker.terminate();
  }
}

/**
 * Waits for what the thread has to say. Code of the user's that does not come back in time ends the waiting.
 * @param code gets the files of the user's that are loaded as code.
 */
function resultOf(worker: Worker, code: Set<string>, importLimitMs: number): Promise<ThreadResult> {
  const running = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  const result = new Promise<ThreadResult>((done, fail) => {
    const restartTimer = (): void => {
      clearTimeout(timer);
      const [first] = running;
      if (first === undefined) return;
      const reason = `${first}: it has not finished loading after ${importLimitMs / 1000} s`;
      timer = setTimeout(() => fail(new Error(reason)), importLimitMs);
    };
    worker.on('message', (message: FromLoadThread) => {
      if (message.kind === 'loaded') done(message.result);
      else if (message.kind === 'running') running.add(message.path);
      else if (message.kind === 'code') code.add(message.path);
      else running.delete(message.path);
      restartTimer();
    });
    worker.on('error', fail);
    worker.on('messageerror', fail);
    worker.on('exit', (status) => fail(new Error(endOf(status, [...running]))));
  });
  return result.finally(() => clearTimeout(timer));
}

/** Why the thread ended before it had done what it was made for. */
function endOf(code: number, [running]: readonly string[]): string {
  if (running === undefined) return `loading ended with code ${code}`;
  // Of the platform: there was nothing left to be done, and something was still waited for.
  const reason = code === 13 ? 'it waits for what never comes' : `it ended with code ${code}`;
  return `${running}: ${reason} while it was loaded`;
}

function unloadable(file: string, code: Iterable<string>, message: string): LoadedDocument {
  const files = [...new Set([resolve(file), ...code])];
  const problem: Problem = { file, line: 1, column: 1, severity: 'error', code: 'MODULE', message, path: [] };
  return {
    config: null,
    problems: [problem],
    analyse: () => Promise.resolve([]),
    tryToMake: () => Promise.resolve([]),
    onlyCertificateProblems: false,
    files,
    secrets: [],
    policies: new Map(),
    modulePolicies: {},
    digest: digestOf(files),
    codeDigest: '',
  };
}

/** What was read, by the absolute path of the file: a digest of its content, or that it was not there. */
export class ReadFiles {
  private readonly digests = new Map<string, string>();

  /** The text of a file, of which is noted what was in it at this moment. @throws when it cannot be read. */
  readonly readText = (path: string): string => {
    const bytes = readIfThere(path);
    this.note(path, bytes);
    return (bytes ?? readFileSync(path)).toString('utf8');
  };

  /** The consumer files of a folder. @throws when it cannot be read. */
  readonly listFolder: ListFolder = (path) => {
    const names = listFolder(path);
    if (names !== null) this.note(path, Buffer.from(JSON.stringify(names)));
    return names;
  };

  note(path: string, content: Uint8Array | null): void {
    this.digests.set(path, contentDigest(content));
  }

  get entries(): readonly (readonly [path: string, digest: string])[] {
    return [...this.digests];
  }

  add(entries: readonly (readonly [path: string, digest: string])[]): void {
    for (const [path, digest] of entries) this.digests.set(path, digest);
  }

  /** Changes with what was in any of the files; of those that were not read, with what is in them now. */
  digestOf(paths: readonly string[]): string {
    const hash = createHash('sha256');
    for (const path of paths) {
      const content = this.digests.get(path) ?? contentDigest(contentNow(path));
      // Lengths keep the parts apart (CVE-2023-35941).
      hash.update(`${path.length} ${path} ${content} `);
    }
    return hash.digest('hex').slice(0, 32);
  }
}

/** What `LoadedDocument.digest` is if the files are still what they were when they were read. */
export function digestOf(files: readonly string[]): string {
  return new ReadFiles().digestOf(files);
}

function contentDigest(content: Uint8Array | null): string {
  return content === null ? 'missing' : createHash('sha256').update(content).digest('hex');
}

/** What is noted of it. */
function contentNow(path: string): Buffer | null {
  const bytes = readIfThere(path);
  if (bytes !== null) return bytes;
  try {
    const names = listFolder(path);
    return names === null ? null : Buffer.from(JSON.stringify(names));
  } catch {
    return null;
  }
}

function readIfThere(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch {
    return null;
  }
}
