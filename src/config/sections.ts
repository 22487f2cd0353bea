/**
 * Holds the sections of a configuration against their schemas, every entry by itself: one that is wrong is left out and
 * does not keep the others from being looked at further, so that all problems come to light at once.
 */
import { z } from '../util/schema.ts';
import { readPlainConsumer } from './plain-consumer.ts';
import { readPlainRoute } from './plain-route.ts';
import { notAvailableYet, noteSecret } from './policies.ts';
import { type Finding, type Path, formatPath } from './problem.ts';
import { isMapping } from './is-mapping.ts';
import { entrySchemaOf, visitMarks } from './schema-walk.ts';
import { NAME_RULE, isName } from './schema/scalars.ts';
import { type GatewayDeclaration, type RouteDeclaration, gatewaySchema } from './schema.ts';
import { routeSchema } from './schema/route.ts';
import type { Interpolations } from './source/interpolation.ts';
import { unknownKey, validate } from './validate.ts';

type SectionName = keyof typeof gatewaySchema.shape;

/** The policies of a route, of the defaults or of `notFound`, as written. */
export interface PolicyList {
  /** Where: `['routes', name]`, `['defaults']` or `['notFound']`. */
  readonly holder: readonly string[];
  readonly uses: readonly unknown[];
}

export interface BrokenRoute {
  readonly parts: Partial<RouteDeclaration>;
  /** The keys that were written, whatever their values. */
  readonly keys: readonly string[];
}

/** The sections with those entries that their schemas accept. A section that was refused as a whole is missing. */
export interface Sections {
  readonly accepted: Partial<GatewayDeclaration>;
  /** The names of all entries, the wrong ones included: what may be referred to. */
  readonly names: Readonly<Record<'listeners' | 'upstreams' | 'stores', readonly string[]>>;
  /** All lists of policies that are not empty, as written and wherever they stand. */
  readonly policyLists: readonly PolicyList[];
  /** What can be said of routes that were not accepted: those of their parts that are right by themselves. */
  readonly brokenRoutes: ReadonlyMap<string, BrokenRoute>;
  /** Whether every entry was accepted. Otherwise nothing can be said of what is not used. */
  readonly isComplete: boolean;
  /** The configuration as written. */
  readonly written: Readonly<Record<string, unknown>>;
}

export function readSections(config: unknown, interpolations: Interpolations, findings: Finding[]): Sections {
  const before = findings.length;
  const written = writtenSections(config, findings);
  const accepted: Record<string, unknown> = {};
  const reader = new SectionReader(interpolations, findings);
  for (const [name, schema] of Object.entries<z.core.$ZodType>(gatewaySchema.shape)) {
    const section = reader.read(written[name], name as SectionName, schema);
    if (section !== undefined) accepted[name] = section;
  }
  const isComplete = findings.slice(before).every(({ code }) => code === 'NOT_AVAILABLE' || code === 'SECRET_IN_CLEAR');
  return {
    accepted,
    names: {
      // Without a section there is its default entry.
      listeners: Object.keys(mappingOf(written['listeners'] ?? accepted['listeners'])),
      upstreams: Object.keys(mappingOf(written['upstreams'])),
      stores: Object.keys(mappingOf(written['stores'])),
    },
    policyLists: reader.policyLists,
    brokenRoutes: reader.brokenRoutes,
    isComplete,
    written,
  };
}

/** The top of the configuration, without keys that are not known. An empty file is a configuration without anything. */
function writtenSections(config: unknown, findings: Finding[]): Record<string, unknown> {
  if (config === null) return {};
  if (!isMapping(config)) {
    const message = 'a configuration is a mapping with keys such as listeners, upstreams and routes';
    findings.push({ severity: 'error', code: 'BAD_VALUE', message, path: [] });
    return {};
  }
  const known = Object.keys(gatewaySchema.shape);
  const written: Record<string, unknown> = {};
  for (const [name, section] of Object.entries(config)) {
    if (known.includes(name)) written[name] = section;
    else findings.push(unknownKey(name, [], known));
  }
  return written;
}

function mappingOf(value: unknown): Record<string, unknown> {
  return isMapping(value) ? value : {};
}

class SectionReader {
  readonly policyLists: PolicyList[] = [];
  readonly brokenRoutes = new Map<string, BrokenRoute>();
  private readonly interpolations: Interpolations;
  private readonly findings: Finding[];

  constructor(interpolations: Interpolations, findings: Finding[]) {
    this.interpolations = interpolations;
    this.findings = findings;
  }

  /** What the schema makes of a section; without those entries, if it has named entries, that are wrong. */
  read(section: unknown, name: SectionName, schema: z.core.$ZodType): unknown {
    const entrySchema = entrySchemaOf(schema);
    if (section === undefined || entrySchema === null) {
      this.collectPolicies(section, [name]);
      return this.validated(schema, section, [name]);
    }
    if (!isMapping(section)) {
      const message = `${name}: expected a mapping from names to what they stand for`;
      this.findings.push({ severity: 'error', code: 'BAD_VALUE', message, path: [name] });
      return undefined;
    }
    const entries: Record<string, unknown> = {};
    for (const key in section) {
      const path: readonly [string, string] = [name, key];
      if (!isName(key)) this.findings.push(badName(path));
      const entry =
        name === 'routes'
          ? this.readRoute(section[key], path)
          : ((name === 'consumers' ? readPlainConsumer(section[key]) : null) ??
            this.validated(entrySchema, section[key], path));
      if (entry !== undefined) entries[key] = entry;
    }
    return entries;
  }

  private readRoute(written: unknown, path: readonly [string, string]): RouteDeclaration | undefined {
    this.collectPolicies(written, path);
    const route = readPlainRoute(written) ?? this.validated(routeSchema, written, path);
    if (route === undefined && isMapping(written)) {
      this.brokenRoutes.set(path[1], { parts: soundParts(written), keys: Object.keys(written) });
    }
    return route;
  }

  private collectPolicies(holder: unknown, path: readonly string[]): void {
    const uses = isMapping(holder) ? holder['policies'] : undefined;
    if (Array.isArray(uses) && uses.length > 0) this.policyLists.push({ holder: path, uses });
  }

  private validated<T>(schema: z.core.$ZodType<T>, value: unknown, path: Path): T | undefined {
    return validateMarked(schema, value, path, this.interpolations, this.findings);
  }
}

/** As `validate`; what is marked as secret or as not available yet is noted as well. */
export function validateMarked<T>(
  schema: z.core.$ZodType<T>,
  value: unknown,
  path: Path,
  interpolations: Interpolations,
  findings: Finding[],
): T | undefined {
  visitMarks(schema, value, path, (mark, place, marked) => {
    if (mark === 'notAvailable') findings.push(notAvailableYet(place));
    else if (mark === 'secret') noteSecret(marked, place, interpolations, findings);
  });
  return validate(schema, value, path, interpolations, findings);
}

/** The parts of a route that are right by themselves. What is wrong with the others has been found already. */
function soundParts(route: Readonly<Record<string, unknown>>): Partial<RouteDeclaration> {
  const parts: Record<string, unknown> = {};
  for (const [key, schema] of Object.entries<z.core.$ZodType>(routeSchema.shape)) {
    const part = route[key] === undefined ? undefined : z.safeParse(schema, route[key]);
    if (part?.success === true) parts[key] = part.data;
  }
  return parts;
}

export function badName(path: Path): Finding {
  const message = `${formatPath(path)}: ${NAME_RULE}`;
  return { severity: 'error', code: 'BAD_NAME', message, path, atKey: true };
}
