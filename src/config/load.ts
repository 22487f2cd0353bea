/** Reads a configuration, finds everything that is wrong with it, and makes of it what a gateway is built from. */
import { readFileSync } from 'node:fs';
import { dirname, extname, resolve } from 'node:path';
import type { PolicyDefinition } from '../contract.ts';
import { type Clock, systemClock } from '../util/clock.ts';
import {
  type ResolvedPolicies,
  RouteAssembler,
  assembleAccessLog,
  assembleConsumer,
  assembleListener,
  assembleNotFound,
  assembleUpstream,
  resolvePolicies,
} from './assemble.ts';
import { checkAddresses, checkAdmin, checkTrust } from './checks/addresses.ts';
import { type CertificateSurroundings, checkListenerTls, checkUpstreamTls } from './checks/certificates.ts';
import { type RouteSurroundings, checkBrokenRoute, checkRoute, checkTimeouts } from './checks/routes.ts';
import { checkIdentity } from './checks/identity.ts';
import { checkUnused } from './checks/unused.ts';
import { checkUpstream } from './checks/upstreams.ts';
import { importModule as importFromDisk } from './import-module.ts';
import { type ImportModule, type LoadedPolicy, loadPolicyModules } from './policy-modules.ts';
import { type PolicyRegistry, namesIn, writtenUses } from './policy-registry.ts';
import { PolicyResolver } from './policies.ts';
import { type Finding, type Problem, formatPath, sortProblems } from './problem.ts';
import { isMapping } from './schema-walk.ts';
import type { GatewayConfig, ListenerConfig, RouteConfig } from './schema.ts';
import { type Sections, readSections } from './sections.ts';
import {
  type SourceDocument,
  type SourceText,
  readJsonDocument,
  readModuleDocument,
  readYamlDocument,
  toProblem,
} from './source/document.ts';
import { Interpolations, reasonOf } from './source/interpolation.ts';

export type ConfigFormat = 'yaml' | 'json' | 'module';

export type AnalyseRoutes = (routes: Readonly<Record<string, RouteConfig>>) => Promise<readonly Finding[]>;

/** What a configuration is read with. What is left out is what a gateway on this machine uses. */
export interface LoadOptions {
  /** The policies that are built in. */
  readonly registry: PolicyRegistry;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Reads a text file at an absolute path; throws when it cannot. */
  readonly readFile?: (path: string) => string;
  /** Imports the module at an absolute path. */
  readonly importModule?: ImportModule;
  readonly clock?: Pick<Clock, 'wallNow'>;
  /** Whether the files of certificates are read and checked; default true. A test has no need of them. */
  readonly checksCertificates?: boolean;
  /**
   * Looks at the routes more closely, when the result's `analyse` is called: what the router refuses, which can never
   * match, which tie. Gets those that are well-formed; the paths of what it finds begin with `routes` and the name of the
   * route.
   */
  readonly analyseRoutes?: AnalyseRoutes;
}

export interface ParseOptions extends LoadOptions {
  /** The path of the file, absolute or relative to the working folder; in problems it appears as it is here. */
  readonly fileName: string;
  /** By default told from the extension. */
  readonly format?: ConfigFormat;
}

export interface LoadResult {
  /**
   * What to build the gateway from; null if there is an error, other than certificates that cannot be used beside
   * others of their listener that can: those stay in it, and are served once their files are corrected.
   */
  readonly config: GatewayConfig | null;
  /** All that was found, in the order of the text, but for what `analyse` finds. */
  readonly problems: readonly Problem[];
  /**
   * Finds the problems of routes that a closer look shows (`LoadOptions.analyseRoutes`). For very many routes it takes
   * longer than reading them, so whoever is in a hurry to serve does that first: where this finds errors, compiling fails
   * as well.
   */
  readonly analyse: () => Promise<readonly Problem[]>;
  /** Whether there are errors, but all about certificates that `config` can be served without for now. */
  readonly onlyCertificateProblems: boolean;
  /** The built-in policies that the configuration uses, by name. */
  readonly policies: ReadonlyMap<string, PolicyDefinition>;
  /** The policies of the modules that it uses, by absolute path. */
  readonly modules: ReadonlyMap<string, PolicyDefinition>;
  /** The absolute paths of all files that it was made from. A change to one of them may change it. */
  readonly files: readonly string[];
  /** The text with the values of everything interpolated replaced by what was written. */
  readonly redact: (text: string) => string;
  /** Values that no log may show: what is likely secret of those that were interpolated, and what is by its meaning. */
  readonly secrets: readonly string[];
}

/** Reads the configuration in a file. Never throws for what is in it; that it cannot be read is a problem as well. */
export async function loadConfig(
  fileName: string,
  registry: PolicyRegistry,
  options: Omit<LoadOptions, 'registry'> = {},
): Promise<LoadResult> {
  const readFile = options.readFile ?? readTextFile;
  let text: string;
  try {
    text = readFile(resolve(fileName));
  } catch (error) {
    const message = `the configuration cannot be read (${reasonOf(error)})`;
    return refused([{ file: fileName, line: 1, column: 1, severity: 'error', code: 'FILE', message, path: [] }]);
  }
  return parseConfig(text, { ...options, registry, fileName });
}

/** Reads a configuration from its text. Never throws for what is in it. */
export async function parseConfig(text: string, options: ParseOptions): Promise<LoadResult> {
  return new Loader(text, options).load();
}

function readTextFile(path: string): string {
  return readFileSync(path, 'utf8');
}

function refused(problems: readonly Problem[]): LoadResult {
  return {
    config: null,
    problems,
    analyse: () => Promise.resolve([]),
    onlyCertificateProblems: false,
    policies: new Map(),
    modules: new Map(),
    files: [],
    redact: (text) => text,
    secrets: [],
  };
}

function formatOf(fileName: string): ConfigFormat {
  const extension = extname(fileName).toLowerCase();
  if (extension === '.json') return 'json';
  return /^\.[cm]?[jt]s$/.test(extension) ? 'module' : 'yaml';
}

class Loader {
  private readonly options: ParseOptions;
  private readonly baseDir: string;
  private readonly files: Set<string>;
  private readonly source: SourceText;
  private readonly findings: Finding[] = [];
  private readonly usedUpstreams = new Set<string>();
  /** See `LoadResult.policies`. */
  private policies: ReadonlyMap<string, PolicyDefinition> = new Map();
  /** See `LoadResult.modules`, with those that could not be loaded. */
  private modules: ReadonlyMap<string, LoadedPolicy> = new Map();
  /** The routes without errors, complete. */
  private sound: Readonly<Record<string, RouteConfig>> = {};

  constructor(text: string, options: ParseOptions) {
    this.options = options;
    const file = resolve(options.fileName);
    this.baseDir = dirname(file);
    this.files = new Set([file]);
    const interpolations = new Interpolations({ env: options.env ?? process.env, readFile: this.readFile });
    this.source = { file: options.fileName, text, interpolations };
  }

  /** Reads a file that the configuration names, and remembers that it depends on it. */
  private readonly readFile = (path: string): string => {
    const absolute = resolve(this.baseDir, path);
    this.files.add(absolute);
    return (this.options.readFile ?? readTextFile)(absolute);
  };

  async load(): Promise<LoadResult> {
    const document = await this.readDocument();
    if (document.value === undefined) return this.result(document, null);
    if (document.value === null) {
      this.findings.push({ severity: 'warning', code: 'EMPTY', message: 'the file is empty', path: [] });
    }
    const { interpolations } = this.source;
    const sections = readSections(document.value, interpolations, this.findings);
    const named = isMapping(sections.written['policies']) ? sections.written['policies'] : {};
    await this.loadPolicies([...Object.values(named), ...sections.policyLists.flatMap((list) => list.uses)]);
    const resolver = new PolicyResolver({
      builtin: this.options.registry.names,
      definitions: this.policies,
      named,
      modules: this.modules,
      baseDir: this.baseDir,
      interpolations,
      findings: this.findings,
    });
    const policies = resolvePolicies(sections, resolver, this.findings);
    const routes = this.checkRoutes(sections, policies);
    const listeners = this.checkFiles(sections);
    checkAddresses(listeners, sections.accepted.admin, this.findings);
    checkAdmin(sections.accepted.admin, this.findings);
    checkTrust(listeners, this.findings);
    if (sections.isComplete) {
      checkUnused(sections, { upstreams: this.usedUpstreams, policies: resolver.usedNames }, this.findings);
    }
    return this.result(document, this.assemble(sections, policies, routes, listeners));
  }

  /** @param lists uses of policies, as written. */
  private async loadPolicies(lists: readonly unknown[]): Promise<void> {
    const { registry, importModule = importFromDisk } = this.options;
    const uses = [...writtenUses(lists)];
    this.policies = await registry.load(namesIn(uses));
    this.modules = await loadPolicyModules(uses, this.baseDir, importModule);
    for (const path of this.modules.keys()) this.files.add(path);
  }

  private async readDocument(): Promise<SourceDocument> {
    const { source, options } = this;
    const format = options.format ?? formatOf(options.fileName);
    if (format !== 'module') return format === 'json' ? readJsonDocument(source) : readYamlDocument(source);
    try {
      const module = await (options.importModule ?? importFromDisk)(resolve(options.fileName));
      const exported: unknown = isMapping(module) ? module['default'] : undefined;
      if (isMapping(exported)) return readModuleDocument(source, exported);
      return this.badModule('it must export a configuration: write `export default defineGateway({…})`', null);
    } catch (error) {
      return this.badModule(`it cannot be loaded: ${error instanceof Error ? error.message : String(error)}`, error);
    }
  }

  private badModule(message: string, error: unknown): SourceDocument {
    const file = this.options.fileName;
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

  /** Checks every route by itself. Returns all, complete. */
  private checkRoutes(sections: Sections, policies: ResolvedPolicies): Record<string, RouteConfig> {
    const { accepted, names } = sections;
    const { findings, usedUpstreams } = this;
    const around: RouteSurroundings = {
      upstreams: new Set(names.upstreams),
      usedUpstreams,
      listeners: new Set(names.listeners),
      acceptedListeners: accepted.listeners ?? {},
      defaultTotal: accepted.defaults?.timeouts.total,
      findings,
    };
    const assembler = new RouteAssembler(sections, policies);
    const declared = accepted.routes ?? {};
    const routes: Record<string, RouteConfig> = {};
    const broken: string[] = [];
    for (const name in declared) {
      if (!checkRoute(name, declared[name], around)) broken.push(name);
      routes[name] = assembler.assemble(name, declared[name]);
    }
    for (const [name, route] of sections.brokenRoutes) checkBrokenRoute(name, route, around);
    checkTimeouts(accepted.defaults?.timeouts ?? {}, ['defaults', 'timeouts'], findings);
    this.sound = broken.length === 0 ? routes : omit(routes, broken);
    return routes;
  }

  /** Checks upstreams, and the files that they and listeners name. Returns the listeners, complete. */
  private checkFiles({ accepted }: Sections): Record<string, ListenerConfig> {
    const { clock = systemClock, checksCertificates = true } = this.options;
    const around: CertificateSurroundings = {
      readFile: this.readFile,
      interpolations: this.source.interpolations,
      wallNow: clock.wallNow(),
      findings: this.findings,
    };
    if (accepted.identity !== undefined) checkIdentity(accepted.identity, this.findings);
    for (const [name, upstream] of Object.entries(accepted.upstreams ?? {})) {
      checkUpstream(name, upstream, this.findings);
      if (checksCertificates) checkUpstreamTls(name, upstream.tls, around);
    }
    const listeners: Record<string, ListenerConfig> = {};
    for (const [name, listener] of Object.entries(accepted.listeners ?? {})) {
      if (checksCertificates) checkListenerTls(name, listener, around);
      listeners[name] = assembleListener(listener, this.baseDir);
    }
    return listeners;
  }

  /** The configuration, or null when a section is missing because it is wrong. */
  private assemble(
    sections: Sections,
    policies: ResolvedPolicies,
    routes: Record<string, RouteConfig>,
    listeners: Record<string, ListenerConfig>,
  ): GatewayConfig | null {
    const { baseDir } = this;
    const { admin, threads, consumers, identity, upstreams, telemetry } = sections.accepted;
    if (admin === undefined || threads === undefined || consumers === undefined) return null;
    if (upstreams === undefined || telemetry === undefined) return null;
    return {
      baseDir,
      listeners,
      admin,
      threads,
      identity: identity ?? null,
      consumers: Object.entries(consumers).map(([name, consumer]) => assembleConsumer(name, consumer)),
      upstreams: Object.fromEntries(
        Object.entries(upstreams).map(([name, upstream]) => [name, assembleUpstream(upstream, baseDir)]),
      ),
      routes,
      notFound: assembleNotFound(sections, policies),
      defaultPolicies: policies.defaults.length,
      telemetry: {
        accessLog: assembleAccessLog(telemetry.accessLog, baseDir),
        debug: telemetry.debug ?? null,
      },
    };
  }

  private result(document: SourceDocument, config: GatewayConfig | null): LoadResult {
    const { interpolations } = this.source;
    const problems = sortProblems([...document.problems, ...this.toProblems(this.findings, document)]);
    const errors = problems.filter(({ severity }) => severity === 'error');
    const isServable = errors.every(({ code }) => code === 'BAD_CERTIFICATE');
    return {
      config: isServable ? config : null,
      problems,
      analyse: async () => {
        const findings = await this.options.analyseRoutes?.(this.sound);
        return sortProblems(this.toProblems(findings ?? [], document));
      },
      onlyCertificateProblems: errors.length > 0 && isServable,
      policies: this.policies,
      modules: new Map(
        [...this.modules].flatMap(([path, policy]) => ('definition' in policy ? [[path, policy.definition]] : [])),
      ),
      files: [...this.files],
      redact: (text) => interpolations.redact(text),
      secrets: interpolations.secrets,
    };
  }

  private toProblems(findings: readonly Finding[], document: SourceDocument): Problem[] {
    const { file, interpolations } = this.source;
    // Nothing else is said of a value that was to come from somewhere and did not.
    const lost = new Set(
      document.problems.flatMap(({ code, path }) => (code === 'INTERPOLATION' ? [formatPath(path)] : [])),
    );
    return findings
      .filter(({ path }) => lost.size === 0 || !lost.has(formatPath(path)))
      .map((finding) => toProblem(finding, file, document, interpolations));
  }
}

function omit<T>(record: Readonly<Record<string, T>>, names: readonly string[]): Record<string, T> {
  const omitted = new Set(names);
  return Object.fromEntries(Object.entries(record).filter(([name]) => !omitted.has(name)));
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
