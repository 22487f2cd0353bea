/** Resolves what a configuration says about policies: which are meant, with which options, in which order. */
import { resolve } from 'node:path';
import type { PolicyDefinition } from '../contract.ts';
import { innerUses } from './inner-uses.ts';
import { type LoadedPolicy, functionFileIn } from './policy-modules.ts';
import { standardPolicies } from './policy-names.ts';
import { type Finding, type Path, formatPath } from './problem.ts';
import { isMapping } from './is-mapping.ts';
import { visitMarks } from './schema-walk.ts';
import type { StoreReference } from './checks/stores.ts';
import type { PolicyUse } from './schema.ts';
import type { Interpolations } from './source/interpolation.ts';
import { suggest } from './suggest.ts';
import { unknownKey, validate } from './validate.ts';

/** What the resolver needs to know of the configuration and its surroundings. */
export interface PolicySurroundings {
  /** The names of all built-in policies. */
  readonly builtin: readonly string[];
  /** The definitions of those built-in policies that the configuration uses, by name. */
  readonly definitions: ReadonlyMap<string, PolicyDefinition>;
  /** Named policies as written. */
  readonly named: Readonly<Record<string, unknown>>;
  /** By absolute path. */
  readonly modules: ReadonlyMap<string, LoadedPolicy>;
  readonly baseDir: string;
  readonly interpolations: Interpolations;
  readonly findings: Finding[];
}

/** A use whose policy is known, with the definition that it will be created from. */
export interface ResolvedUse {
  readonly use: PolicyUse;
  readonly definition: PolicyDefinition;
  readonly path: Path;
}

/** Deeper lists of policies in others are nothing that somebody could still read. */
const MAX_DEPTH = 3;

export class PolicyResolver {
  private readonly around: PolicySurroundings;
  /** null: has been resolved, and is wrong. */
  private readonly named = new Map<string, ResolvedUse | null>();
  readonly usedNames = new Set<string>();
  /** Named policies that are being resolved, each for the one before it. */
  private readonly resolving: string[] = [];
  /** How many policies have the one that is being resolved among their options. */
  private depth = 0;
  /** Where options name a store. */
  readonly stores: StoreReference[] = [];

  constructor(around: PolicySurroundings) {
    this.around = around;
  }

  /** Looks at every named policy, used or not. */
  resolveNamed(): void {
    for (const name of Object.keys(this.around.named)) {
      if (this.isStandard(name)) {
        const message = `policies.${name}: there is a policy of this name already; take another name`;
        this.report('BAD_NAME', message, ['policies', name], { atKey: true });
      }
      this.namedUse(name);
    }
  }

  /** Resolves the policies of a route, of the defaults or of `notFound`. Uses that are wrong are left out. */
  resolveList(list: unknown, path: Path): ResolvedUse[] {
    if (!Array.isArray(list)) return [];
    return list.flatMap((entry, index) => {
      const found = this.resolve(entry, [...path, index], true);
      return found === null ? [] : [found];
    });
  }

  private resolve(entry: unknown, path: Path, mayBeNamed: boolean): ResolvedUse | null {
    if (typeof entry === 'string') return this.byName(entry, undefined, path, path, mayBeNamed);
    if (!isMapping(entry)) {
      const message = `${formatPath(path)}: write the name of a policy, {name: options}, or {use: ./file.ts, options: …}`;
      return this.report('BAD_VALUE', message, path);
    }
    if (Object.hasOwn(entry, 'use')) return this.fromModule(entry, path);
    const [name, ...others] = Object.keys(entry);
    if (name === undefined || others.length > 0) {
      const message = `${formatPath(path)}: one policy is expected here, found ${others.length === 0 ? 'none' : 'several: begin each with its own dash'}`;
      return this.report('BAD_VALUE', message, path);
    }
    return this.byName(name, entry[name], [...path, name], path, mayBeNamed);
  }

  private byName(
    name: string,
    options: unknown,
    optionsPath: Path,
    path: Path,
    mayBeNamed: boolean,
  ): ResolvedUse | null {
    const { named, builtin, definitions } = this.around;
    if (mayBeNamed && Object.hasOwn(named, name)) {
      this.usedNames.add(name);
      if (this.resolving.includes(name)) return this.reportCycle(name, path);
      if (options === undefined || options === null) return this.atPlace(this.namedUse(name), path);
      const message = `${formatPath(path)}: the options of ${name} are under policies.${name}; here only its name can be written`;
      return this.report('BAD_VALUE', message, optionsPath, { atKey: true });
    }
    const definition = definitions.get(name);
    if (definition !== undefined) {
      return this.withOptions({ definition, module: null, label: name }, options, optionsPath, path);
    }
    if (this.isStandard(name)) {
      return this.report('NOT_AVAILABLE', `the policy ${name} is not available yet`, optionsPath, { atKey: true });
    }
    const known = [...builtin, ...(mayBeNamed ? Object.keys(named) : []), ...standardPolicies];
    const suggestion = suggest(name, known);
    // What was probably meant is not also to be told unused.
    if (suggestion !== undefined) this.usedNames.add(suggestion);
    const message = `there is no policy ${JSON.stringify(name)}`;
    return this.report('UNKNOWN_POLICY', message, optionsPath, {
      atKey: true,
      ...(suggestion !== undefined && { suggestion }),
    });
  }

  private isStandard(name: string): boolean {
    return this.around.builtin.includes(name) || (standardPolicies as readonly string[]).includes(name);
  }

  private namedUse(name: string): ResolvedUse | null {
    let found = this.named.get(name);
    if (found === undefined) {
      this.resolving.push(name);
      const resolved = this.resolve(this.around.named[name], ['policies', name], false);
      this.resolving.pop();
      found = resolved === null ? null : { ...resolved, use: { ...resolved.use, label: name } };
      this.named.set(name, found);
    }
    return found;
  }

  private atPlace(found: ResolvedUse | null, path: Path): ResolvedUse | null {
    return found === null ? null : { ...found, path };
  }

  private fromModule(entry: Record<string, unknown>, path: Path): ResolvedUse | null {
    const { modules, baseDir, findings } = this.around;
    for (const key of Object.keys(entry)) {
      if (key !== 'use' && key !== 'options') findings.push(unknownKey(key, path, ['use', 'options']));
    }
    const file = entry['use'];
    if (typeof file !== 'string') {
      return this.report('BAD_VALUE', `${formatPath(path)}.use: write the path of a module`, [...path, 'use']);
    }
    const module = resolve(baseDir, file);
    const loaded = modules.get(module) ?? { error: 'it cannot be loaded' };
    if ('error' in loaded) return this.report('POLICY_LOAD', `${file}: ${loaded.error}`, [...path, 'use']);
    if ('limitKey' in loaded) {
      const message = `${file}: its default export is a function and not a policy: write \`export default definePolicy({…})\``;
      return this.report('POLICY_LOAD', message, [...path, 'use']);
    }
    const { definition } = loaded;
    const { name } = definition;
    return this.withOptions({ definition, module, label: name }, entry['options'], [...path, 'options'], path);
  }

  private withOptions(
    policy: { readonly definition: PolicyDefinition; readonly module: string | null; readonly label: string },
    options: unknown,
    optionsPath: Path,
    path: Path,
  ): ResolvedUse | null {
    const { interpolations, findings } = this.around;
    const { definition, module, label } = policy;
    if (definition.combines === true) return this.withInner(policy, options, optionsPath, path);
    // `- compress:` with nothing behind it means the same as `- compress`.
    const written = options ?? {};
    const before = findings.length;
    try {
      const parsed = validate(definition.options, written, optionsPath, interpolations, findings);
      if (findings.length > before) return null;
      this.reportMarks(definition, written, optionsPath);
      if (module === null && !this.hasItsFunction(parsed, optionsPath)) return null;
      const ownPaths = definition.ownPaths?.(parsed);
      const use = {
        name: definition.name,
        label,
        module,
        options: parsed,
        ...(ownPaths !== undefined && { ownPaths }),
      };
      return { use, definition, path };
    } catch {
      // The schema of a module is somebody's code. Its message may quote the options, so it is not shown.
      return this.report(
        'POLICY_LOAD',
        `the policy ${definition.name} failed while it looked at its options`,
        optionsPath,
      );
    }
  }

  /** The options are policies: each is resolved where it stands, and what is left of the schema is how many there may be. */
  private withInner(
    { definition, module, label }: { definition: PolicyDefinition; module: string | null; label: string },
    options: unknown,
    optionsPath: Path,
    path: Path,
  ): ResolvedUse | null {
    const { interpolations, findings } = this.around;
    const written = validate(definition.options, options, optionsPath, interpolations, findings);
    if (this.depth === MAX_DEPTH) return this.reportDepth(path);
    this.depth++;
    const inner = this.resolveList(options, optionsPath);
    this.depth--;
    const objections = inner.filter((one) => this.reportObjection(definition, one));
    // Without one of its policies it would be another one than was meant.
    if (!Array.isArray(written) || inner.length < written.length || objections.length > 0) return null;
    const use = { name: definition.name, label, module, options: inner.map((one) => one.use) };
    return depthOf(use) > MAX_DEPTH ? this.reportDepth(path) : { use, definition, path };
  }

  private reportObjection(outer: PolicyDefinition, { use, definition, path }: ResolvedUse): boolean {
    const objection = outer.objectionTo?.(definition, use.options) ?? null;
    if (objection === null) return false;
    this.report('BAD_VALUE', `${formatPath(path)}: ${objection}`, path);
    return true;
  }

  private hasItsFunction(options: unknown, path: Path): boolean {
    const file = functionFileIn(options);
    if (file === null) return true;
    const loaded = this.around.modules.get(resolve(this.around.baseDir, file)) ?? { error: 'it cannot be loaded' };
    if ('limitKey' in loaded) return true;
    const reason =
      'error' in loaded
        ? loaded.error
        : 'its default export is not a function: write `export default defineLimitKey(…)`';
    this.report('POLICY_LOAD', `${file}: ${reason}`, [...path, 'by', 'use']);
    return false;
  }

  private reportCycle(name: string, path: Path): null {
    const way = [...this.resolving.slice(this.resolving.indexOf(name)), name].join(' → ');
    return this.report('BAD_VALUE', `${formatPath(path)}: the policy ${name} contains itself: ${way}`, path);
  }

  private reportDepth(path: Path): null {
    return this.report('BAD_VALUE', `${formatPath(path)}: policies can be ${MAX_DEPTH} deep in others, no more`, path);
  }

  private reportMarks(definition: PolicyDefinition, options: unknown, path: Path): void {
    const { interpolations, findings } = this.around;
    visitMarks(definition.options, options, path, (mark, place, marked) => {
      if (mark === 'notAvailable') findings.push(notAvailableYet(place));
      else if (mark === 'store') this.stores.push({ name: String(marked), path: place });
      else noteSecret(marked, place, interpolations, findings);
    });
  }

  private report(code: Finding['code'], message: string, path: Path, more: Partial<Finding> = {}): null {
    this.around.findings.push({ severity: 'error', code, message, path, ...more });
    return null;
  }
}

/** How many policies are around the innermost one. */
function depthOf(use: PolicyUse): number {
  const inner = innerUses(use);
  return inner.length === 0 ? 0 : 1 + Math.max(...inner.map(depthOf));
}

/** The finding for something that is correct but not built yet. */
export function notAvailableYet(path: Path): Finding {
  return {
    severity: 'error',
    code: 'NOT_AVAILABLE',
    message: `${formatPath(path)} is not available yet`,
    path,
    atKey: true,
  };
}

/** Keeps a secret out of the log; one that stands in the configuration itself is a problem. */
export function noteSecret(value: unknown, path: Path, interpolations: Interpolations, findings: Finding[]): void {
  interpolations.markSecret(path, value);
  if (interpolations.at(path) !== undefined) return;
  const message = `${formatPath(path)} is a secret: take it from the environment (\${env:NAME}) or a file (\${file:path})`;
  findings.push({ severity: 'warning', code: 'SECRET_IN_CLEAR', message, path });
}

/** What each policy, beginning with the one at `from`, needs must be provided by one before it. */
export function checkOrder(uses: readonly ResolvedUse[], from: number, findings: Finding[]): void {
  const provided = new Set(uses.slice(0, from).flatMap(({ definition }) => definition.provides ?? []));
  for (let index = from; index < uses.length; index++) {
    const { definition, path } = uses[index];
    for (const need of definition.needs ?? []) {
      if (provided.has(need)) continue;
      const later = uses.slice(index + 1).find((use) => use.definition.provides?.includes(need));
      const what = JSON.stringify(need);
      const message =
        later === undefined
          ? `${definition.name} needs ${what}, which no policy before it provides`
          : `${definition.name} needs ${what}, which ${later.definition.name} provides: put it after ${later.definition.name}`;
      findings.push({ severity: 'error', code: 'POLICY_ORDER', message, path });
    }
    for (const capability of definition.provides ?? []) provided.add(capability);
  }
}
