/** The JSON Schema of a configuration: what an editor completes and checks, and what the reference is made from. */
import type { PolicyDefinition } from '../contract.ts';
import { z } from '../util/schema.ts';
import { standardPolicies } from './policy-names.ts';
import { MARKS, marksOf } from './schema-walk.ts';
import { gatewaySchema } from './schema.ts';
import { policyUseSchema } from './schema/route.ts';

export type JsonSchema = z.core.JSONSchema.BaseSchema;

/** Stands in the description of what is refused until it is built. */
export const NOT_AVAILABLE = 'Not available yet.';

const TARGET = 'draft-07';

/** Text that stands for a number or a truth value once it is interpolated: `port: ${env:PORT}`. */
const INTERPOLATED: JsonSchema = { type: 'string', pattern: '\\$\\{' };

/** The schema of a configuration file, with the options of these policies (draft 7, which editors know best). */
export function configJsonSchema(policies: readonly PolicyDefinition[]): JsonSchema {
  const schema = toJsonSchema(gatewaySchema);
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Gatewright configuration',
    ...schema,
    definitions: { policyUse: policyUse(policies) },
  };
}

/** The schema of what a user writes for a schema of ours, such as the options of a policy. */
export function toJsonSchema(schema: z.core.$ZodType): JsonSchema {
  const result = z.toJSONSchema(schema, {
    io: 'input',
    target: TARGET,
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => adapt(zodSchema, jsonSchema),
  });
  const { $schema: _, '~standard': __, ...plain } = result as JsonSchema & { '~standard'?: unknown };
  return plain;
}

function adapt(zodSchema: z.core.$ZodType, schema: JsonSchema): void {
  if (zodSchema === policyUseSchema) schema.$ref = '#/definitions/policyUse';
  for (const mark of MARKS) delete schema[mark];
  if (marksOf(zodSchema).includes('notAvailable') && schema.description?.includes(NOT_AVAILABLE) !== true) {
    schema.description = `${schema.description ?? ''} ${NOT_AVAILABLE}`.trimStart();
  }
  // The pattern says it already, and the format is none that JSON Schema knows.
  if (schema.format === 'starts_with') delete schema.format;
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  // `{}` as a default says only that all keys below have one.
  if (isEmptyObject(schema.default)) delete schema.default;
  const { type } = schema;
  if (schema.const !== undefined || schema.enum !== undefined) return;
  if (type === 'integer' || type === 'number' || type === 'boolean') acceptInterpolated(schema);
}

function acceptInterpolated(schema: JsonSchema): void {
  const { description, default: standard, ...rest } = schema;
  for (const key of Object.keys(rest)) delete schema[key];
  schema.anyOf = [rest, INTERPOLATED];
  if (description !== undefined) schema.description = description;
  if (standard !== undefined) schema.default = standard;
}

function isEmptyObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0;
}

function policyUse(policies: readonly PolicyDefinition[]): z.core.JSONSchema.JSONSchema {
  const available = new Map(policies.map((policy) => [policy.name, policy]));
  const names = [...new Set([...standardPolicies, ...available.keys()])].toSorted();
  const properties = names.map((name) => {
    const policy = available.get(name);
    if (policy === undefined) return [name, { description: NOT_AVAILABLE }];
    const { description: _, ...options } = toJsonSchema(policy.options);
    if (policy.combines === true) options.items = { $ref: '#/definitions/policyUse' };
    return [name, { description: policy.summary, anyOf: [options, { type: 'null' }] }];
  });
  return {
    description: 'The name of a policy, one with options, or a module.',
    anyOf: [
      { type: 'string', examples: [...available.keys()] },
      {
        type: 'object',
        properties: { use: { type: 'string', description: 'A module that default-exports a policy.' }, options: {} },
        required: ['use'],
        additionalProperties: false,
      },
      {
        type: 'object',
        properties: Object.fromEntries(properties) as Record<string, z.core.JSONSchema.JSONSchema>,
        minProperties: 1,
        maxProperties: 1,
        additionalProperties: false,
      },
    ],
  };
}
