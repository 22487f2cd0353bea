/** Looks into schemas: which keys are known at a path, and which values of a configuration carry a mark. */
import { z } from '../util/schema.ts';
import { isMapping } from './is-mapping.ts';
import type { Path } from './problem.ts';

/** The schema and what it wraps, from the outside in: defaults, optional values, transforms. */
function* layersOf(schema: z.core.$ZodType): Generator<z.core.$ZodType> {
  let layer: z.core.$ZodType | undefined = schema;
  while (layer !== undefined) {
    yield layer;
    layer = wrappedBy(layer);
  }
}

function wrappedBy(schema: z.core.$ZodType): z.core.$ZodType | undefined {
  if (schema instanceof z.ZodPipe) return schema.def.in;
  if (schema instanceof z.ZodLazy) return schema.def.getter();
  const isWrapper =
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodNonOptional ||
    schema instanceof z.ZodReadonly ||
    schema instanceof z.ZodCatch;
  return isWrapper ? schema.def.innerType : undefined;
}

/** The schema inside of all wrappers: what is written must be this. */
function coreOf(schema: z.core.$ZodType): z.core.$ZodType {
  let core = schema;
  for (const layer of layersOf(schema)) core = layer;
  return core;
}

/** The schema of each entry of a record, or null for anything else. */
export function entrySchemaOf(schema: z.core.$ZodType): z.core.$ZodType | null {
  const core = coreOf(schema);
  return core instanceof z.ZodRecord ? core.def.valueType : null;
}

/** The schemas that may apply to what is at a path; several where there is a choice. */
function schemasAt(schema: z.core.$ZodType, path: Path): z.core.$ZodType[] {
  let found = alternatives(schema);
  for (const key of path) {
    found = found.flatMap((candidate) => childOf(candidate, key)).flatMap((child) => alternatives(child));
  }
  return found;
}

function alternatives(schema: z.core.$ZodType): z.core.$ZodType[] {
  const core = coreOf(schema);
  return core instanceof z.ZodUnion ? core.def.options.flatMap((option) => alternatives(option)) : [core];
}

function childOf(schema: z.core.$ZodType, key: string | number): z.core.$ZodType[] {
  if (schema instanceof z.ZodObject) {
    const shape: Readonly<Record<string, z.core.$ZodType>> = schema.def.shape;
    return Object.hasOwn(shape, key) ? [shape[key]] : [];
  }
  if (schema instanceof z.ZodRecord) return [schema.def.valueType];
  return schema instanceof z.ZodArray ? [schema.def.element] : [];
}

/** The keys that a mapping at a path may have, in the order of their declaration. */
export function knownKeys(schema: z.core.$ZodType, path: Path): string[] {
  const objects = schemasAt(schema, path).filter((candidate) => candidate instanceof z.ZodObject);
  return [...new Set(objects.flatMap((object) => Object.keys(object.def.shape)))];
}

/** Metadata that a value's schema can carry and that concerns those who write the value. */
export type Mark = 'notAvailable' | 'secret' | 'store';

export const MARKS: readonly Mark[] = ['notAvailable', 'secret', 'store'];

/**
 * Calls `visit` for every value in a configuration whose schema has a mark. Where there is a choice of schemas, the one
 * that accepts the value counts.
 */
export function visitMarks(
  schema: z.core.$ZodType,
  value: unknown,
  path: Path,
  visit: (mark: Mark, path: Path, value: unknown) => void,
): void {
  if (value === undefined || !hasMarks(schema)) return;
  for (const mark of marksOf(schema)) visit(mark, path, value);
  const core = coreOf(schema);
  if (core instanceof z.ZodUnion) {
    const chosen = core.def.options.find((option) => z.safeParse(option, value).success);
    if (chosen !== undefined) visitMarks(chosen, value, path, visit);
  } else if (core instanceof z.ZodArray && Array.isArray(value)) {
    for (const [index, item] of value.entries()) visitMarks(core.def.element, item, [...path, index], visit);
  } else if (isMapping(value) && core instanceof z.ZodRecord) {
    for (const [key, item] of Object.entries(value)) visitMarks(core.def.valueType, item, [...path, key], visit);
  } else if (isMapping(value) && core instanceof z.ZodObject) {
    for (const [key, child] of markedFields(core)) {
      if (Object.hasOwn(value, key)) visitMarks(child, value[key], [...path, key], visit);
    }
  }
}

/**
 * A parsed value with everything that its schema marks as secret replaced, for showing it. A transform may have changed
 * the form that the schema was written for: whatever cannot be told to be no secret is replaced as well.
 */
export function replaceSecrets(schema: z.core.$ZodType, value: unknown, replacement: string): unknown {
  if (value === undefined || value === null || !marksWithin(schema).has('secret')) return value;
  if (marksOf(schema).includes('secret')) return replacement;
  const core = coreOf(schema);
  if (!hasFormOf(core, value)) return replacement;
  if (core instanceof z.ZodUnion) {
    const options: readonly z.core.$ZodType[] = core.def.options;
    return options
      .filter((option) => hasFormOf(coreOf(option), value))
      .reduce<unknown>((shown, option) => replaceSecrets(option, shown, replacement), value);
  }
  const replaceIn = (key: string | number, item: unknown): unknown => {
    const child = childOf(core, key).at(0);
    return child === undefined ? replacement : replaceSecrets(child, item, replacement);
  };
  if (Array.isArray(value)) return value.map((item, index) => replaceIn(index, item));
  return isMapping(value)
    ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, replaceIn(key, item)]))
    : value;
}

/** Whether a value may be one of a schema's, as far as its outermost form goes. */
function hasFormOf(core: z.core.$ZodType, value: unknown): boolean {
  if (core instanceof z.ZodUnion) return core.def.options.some((option) => hasFormOf(coreOf(option), value));
  if (core instanceof z.ZodArray) return Array.isArray(value);
  if (core instanceof z.ZodObject || core instanceof z.ZodRecord) return isMapping(value);
  return typeof value !== 'object';
}

/** The marks of a schema itself, not of what is inside of it. */
export function marksOf(schema: z.core.$ZodType): Mark[] {
  const metas = [...layersOf(schema)].map((layer) => z.globalRegistry.get(layer));
  return MARKS.filter((mark) => metas.some((meta) => meta?.[mark] === true));
}

/** What has been found out about a schema; a configuration has many values and few schemas. */
const within = new WeakMap<z.core.$ZodType, ReadonlySet<Mark>>();
const fields = new WeakMap<z.ZodObject, [string, z.core.$ZodType][]>();

/** The marks of a schema and of those inside of it. */
function marksWithin(schema: z.core.$ZodType): ReadonlySet<Mark> {
  const known = within.get(schema);
  if (known !== undefined) return known;
  const found = new Set<Mark>(marksOf(schema));
  // A schema that contains itself is looked at once.
  within.set(schema, found);
  for (const part of partsOf(coreOf(schema))) for (const mark of marksWithin(part)) found.add(mark);
  return found;
}

/** Whether a schema, or one inside of it, has a mark. */
function hasMarks(schema: z.core.$ZodType): boolean {
  return marksWithin(schema).size > 0;
}

function partsOf(core: z.core.$ZodType): readonly z.core.$ZodType[] {
  if (core instanceof z.ZodUnion) return core.def.options;
  if (core instanceof z.ZodArray) return [core.def.element];
  if (core instanceof z.ZodRecord) return [core.def.valueType];
  return core instanceof z.ZodObject ? Object.values<z.core.$ZodType>(core.def.shape) : [];
}

function markedFields(object: z.ZodObject): [string, z.core.$ZodType][] {
  let found = fields.get(object);
  if (found === undefined) {
    found = Object.entries<z.core.$ZodType>(object.def.shape).filter(([, child]) => hasMarks(child));
    fields.set(object, found);
  }
  return found;
}

const keysByMark = new Map<Mark, WeakMap<z.core.$ZodType, ReadonlySet<string>>>();

/**
 * The keys, wherever they are in a schema, whose values carry a mark or are lists or mappings of such: what can be said
 * of values that were parsed already, which the schema may no longer accept.
 */
export function markedKeys(schema: z.core.$ZodType, mark: Mark): ReadonlySet<string> {
  let known = keysByMark.get(mark);
  if (known === undefined) keysByMark.set(mark, (known = new WeakMap()));
  let keys = known.get(schema);
  if (keys === undefined) {
    const found = new Set<string>();
    collectMarkedKeys(schema, mark, found, new Set());
    known.set(schema, (keys = found));
  }
  return keys;
}

function collectMarkedKeys(
  schema: z.core.$ZodType,
  mark: Mark,
  found: Set<string>,
  seen: Set<z.core.$ZodType>,
): boolean {
  if (seen.has(schema)) return false;
  seen.add(schema);
  const core = coreOf(schema);
  if (core instanceof z.ZodObject) {
    for (const [key, child] of Object.entries<z.core.$ZodType>(core.def.shape)) {
      if (collectMarkedKeys(child, mark, found, new Set(seen))) found.add(key);
    }
    return marksOf(schema).includes(mark);
  }
  return (
    marksOf(schema).includes(mark) ||
    partsOf(core).filter((part) => collectMarkedKeys(part, mark, found, seen)).length > 0
  );
}
