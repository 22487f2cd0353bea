/** Reads a configuration, finds everything that is wrong with it, and makes of it what a gateway is built from. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { OwnModule, PolicyDefinition } from '../contract.ts';
import { type Clock, systemClock } from '../util/clock.ts';
import {
  type ResolvedPolicies,
  RouteAssembler,
  assembleGateway,
  assembleListener,
  resolvePolicies,
} from './assemble.ts';
import { type ConsumerDocument, ConsumerEntries } from './consumer-entries.ts';
import { type ConfigFormat, readConfigDocument } from './config-document.ts';
import { ConsumerFiles, type ListFolder, listFolder } from './consumer-files.ts';
import { checkAddresses, checkAdmin, checkTrust } from './checks/addresses.ts';
import { type KnownCallers, checkAuthorization } from './checks/authorization.ts';
import { type CertificateSurroundings, checkClientTls, checkListenerTls } from './checks/certificates.ts';
import { type RouteSurroundings, checkBrokenRoute, checkRoute, checkTimeouts } from './checks/routes.ts';
import { checkConnections } from './checks/connections.ts';
import { checkCredentials } from './checks/credentials.ts';
import { checkClientCertificates } from './checks/client-certificates.ts';
import { checkIdentity } from './checks/identity.ts';
import { checkLimits } from './checks/limits.ts';
import { checkOverload } from './checks/overload.ts';
import { checkUpstreamHeaders } from './checks/upstream-headers.ts';
import { checkQuotas } from './checks/quotas.ts';
import { checkStoreFiles, checkStoreReferences, checkStores } from './checks/stores.ts';
import { checkUnused } from './checks/unused.ts';
import { checkUpstream } from './checks/upstreams.ts';
import { importModule as importFromDisk } from './import-module.ts';
import { type ImportModule, type LoadedPolicy, loadPolicyModules, soundModules } from './policy-modules.ts';
import { type PolicyRegistry, namesIn, writtenUses } from './policy-registry.ts';
import { PolicyResolver } from './policies.ts';
import { type Finding, type Path, type Problem, formatPath, sortProblems } from './problem.ts';
import { isMapping } from './is-mapping.ts';
import type { ConsumerConfig, GatewayConfig, ListenerConfig, RouteConfig } from './schema.ts';
import { type Sections, readSections } from './sections.ts';
import { type SourceDocument, type SourceText, toProblem, toProblems } from './source/document.ts';
import { Interpolations, reasonOf } from './source/interpolation.ts';

export type AnalyseRoutes = (
  routes: Readonly<Record<string, RouteConfig>>,
  threads: GatewayConfig['threads'],
) => Promise<readonly Finding[]>;

/** What a configuration is read with. What is left out is what a gateway on this machine uses. */
export interface LoadOptions {
  /** The policies that are built in. */
  readonly registry: PolicyRegistry;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Reads a text file at an absolute path; throws when it cannot. */
  readonly readFile?: (path: string) => string;
  /** Lists a folder of consumers at an absolute path. */
  readonly listFolder?: ListFolder;
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
  /** Gives its place in the text to what somebody else has found. */
  readonly locate: (finding: Finding) => Problem;
  /** The built-in policies that the configuration uses, by name. */
  readonly policies: ReadonlyMap<string, PolicyDefinition>;
  /** What the modules that it uses export, by absolute path. */
  readonly modules: ReadonlyMap<string, OwnModule>;
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
    locate: ({ severity, code, message, path }) => ({ file: '', line: 1, column: 1, severity, code, message, path }),
    policies: new Map(),
    modules: new Map(),
    files: [],
    redact: (text) => text,
    secrets: [],
  };
}

class Loader {
  private readonly options: ParseOptions;
  private readonly baseDir: string;
  private readonly files: Set<string>;
  private readonly source: SourceText;
  private readonly findings: Finding[] = [];
  private readonly consumers: ConsumerEntries;
  private readonly consumerFiles: ConsumerFiles;
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
    const sources = { env: options.env ?? process.env, readFile: this.readFile };
    this.source = { file: options.fileName, text, interpolations: new Interpolations(sources) };
    this.consumers = new ConsumerEntries({
      readFile: this.readFile,
      wallNow: (options.clock ?? systemClock).wallNow(),
    });
    const { fileName } = options;
    this.consumerFiles = new ConsumerFiles({ ...sources, fileName, listFolder: this.listFolder }, this.consumers);
  }

  /** Reads a file that the configuration names, and remembers that it depends on it. */
  private readonly readFile = (path: string): string => {
    const absolute = resolve(this.baseDir, path);
    this.files.add(absolute);
    return (this.options.readFile ?? readTextFile)(absolute);
  };

  private readonly listFolder: ListFolder = (path) => {
    const absolute = resolve(this.baseDir, path);
    this.files.add(absolute);
    return (this.options.listFolder ?? listFolder)(absolute);
  };

  async load(): Promise<LoadResult> {
    const document = await readConfigDocument(
      this.source,
      this.options.format,
      this.options.importModule ?? importFromDisk,
    );
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
    const stores = checkStoreReferences(sections, resolver.stores, this.findings);
    const listeners = this.checkFiles(sections);
    checkAddresses(listeners, sections.accepted.admin, this.findings);
    checkAdmin(sections.accepted.admin, this.findings);
    checkTrust(listeners, this.findings);
    checkConnections(listeners, this.findings);
    if (sections.isComplete) {
      const used = { upstreams: this.usedUpstreams, policies: resolver.usedNames, stores };
      checkUnused(sections, used, this.findings);
    }
    const before = this.findings.length;
    const consumers = this.readConsumers(sections, document);
    // Of what is in a database, or in a file that is wrong, nothing is known here.
    const isOpen = !sections.isComplete || this.findings.length > before;
    const hasAll = consumers !== null && !isOpen && sections.accepted.consumerSources?.database === undefined;
    if (hasAll) checkCredentials(policies.lists, consumers, this.findings);
    const callers = hasAll ? () => knownCallers(consumers) : null;
    checkAuthorization(policies.lists, callers, this.findings);
    checkLimits(policies.lists, callers, this.findings);
    checkOverload(sections, policies.lists, callers, this.findings);
    checkQuotas(sections, policies.lists, this.findings);
    const parts = { baseDir: this.baseDir, policies, routes, listeners, consumers };
    return this.result(document, assembleGateway(sections, parts));
  }

  /** The consumers of the configuration itself and of the files that it names; null for a section that is wrong. */
  private readConsumers({ accepted }: Sections, document: SourceDocument): readonly ConsumerConfig[] | null {
    const { consumers, consumerSources } = accepted;
    if (consumers === undefined || consumerSources === undefined) return null;
    const own: ConsumerDocument = {
      path: ['consumers'],
      findings: this.findings,
      placeOf: (path) => this.placeOf(document, path),
    };
    for (const name in consumers) this.consumers.add(name, consumers[name], own);
    for (const [index, file] of consumerSources.files.entries()) {
      const problem = this.consumerFiles.read(file);
      if (problem === null) continue;
      const path = ['consumerSources', 'files', index];
      this.findings.push({ severity: 'error', code: 'FILE', message: `${formatPath(path)}: ${problem}`, path });
    }
    return this.consumers.configs;
  }

  /** @param lists uses of policies, as written. */
  private async loadPolicies(lists: readonly unknown[]): Promise<void> {
    const { registry, importModule = importFromDisk } = this.options;
    const uses = [...writtenUses(lists)];
    this.policies = await registry.load(namesIn(uses));
    this.modules = await loadPolicyModules(uses, this.baseDir, importModule);
    for (const path of this.modules.keys()) this.files.add(path);
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
      checkClientCertificates(routes[name], around);
      checkUpstreamHeaders(routes[name], accepted.upstreams ?? {}, findings);
    }
    for (const [name, route] of sections.brokenRoutes) checkBrokenRoute(name, route, around);
    checkTimeouts(accepted.defaults?.timeouts ?? {}, ['defaults', 'timeouts'], findings);
    this.sound = broken.length === 0 ? routes : omit(routes, broken);
    return routes;
  }

  /** Checks upstreams and stores, and the files that they and listeners name. Returns the listeners, complete. */
  private checkFiles(sections: Sections): Record<string, ListenerConfig> {
    const { accepted } = sections;
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
      if (checksCertificates) checkClientTls(['upstreams', name, 'tls'], upstream.tls, around);
    }
    checkStores(sections, this.findings);
    if (checksCertificates) checkStoreFiles(sections, around);
    const listeners: Record<string, ListenerConfig> = {};
    for (const [name, listener] of Object.entries(accepted.listeners ?? {})) {
      if (checksCertificates) checkListenerTls(name, listener, around);
      listeners[name] = assembleListener(listener, this.baseDir);
    }
    return listeners;
  }

  private result(document: SourceDocument, config: GatewayConfig | null): LoadResult {
    const { interpolations } = this.source;
    const problems = sortProblems([
      ...document.problems,
      ...toProblems(this.findings, this.source, document),
      ...this.consumerFiles.problems,
    ]);
    const errors = problems.filter(({ severity }) => severity === 'error');
    const isServable = errors.every(({ code }) => code === 'BAD_CERTIFICATE');
    return {
      config: isServable ? config : null,
      problems,
      analyse: async () => {
        const findings = await this.options.analyseRoutes?.(this.sound, config?.threads ?? 'auto');
        return sortProblems(toProblems(findings ?? [], this.source, document));
      },
      onlyCertificateProblems: errors.length > 0 && isServable,
      locate: (finding) => toProblem(finding, this.source, document),
      policies: this.policies,
      modules: soundModules(this.modules),
      files: [...this.files],
      redact: (text) => this.consumerFiles.redact(interpolations.redact(text)),
      secrets: [...interpolations.secrets, ...this.consumerFiles.secrets],
    };
  }

  private placeOf(document: SourceDocument, path: Path): string {
    const { line, column } = document.locate(path, false);
    return `${this.source.file}:${line}:${column}`;
  }
}

/** As far as policies can name them. */
function knownCallers(consumers: readonly ConsumerConfig[]): KnownCallers {
  return {
    consumers: new Set(consumers.map(({ name }) => name)),
    groups: new Set(consumers.flatMap(({ groups }) => groups)),
  };
}

function omit<T>(record: Readonly<Record<string, T>>, names: readonly string[]): Record<string, T> {
  const omitted = new Set(names);
  return Object.fromEntries(Object.entries(record).filter(([name]) => !omitted.has(name)));
}
