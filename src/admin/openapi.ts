/** The OpenAPI 3.1 document of the admin API, made of the table that also does the dispatch, so that it cannot drift. */
import { type ErrorCode, errors } from '../errors.ts';
import { PROBLEM_MEDIA_TYPE } from '../http/problem.ts';
import { z } from '../util/schema.ts';
import { refusalSchema } from './api-schemas.ts';
import type { BodyRule, Endpoint } from './endpoint.ts';

/** What any endpoint may answer. */
const commonRefusals: readonly ErrorCode[] = ['ADMIN_BAD_INPUT', 'INTERNAL'];
const guardRefusals: readonly ErrorCode[] = ['ADMIN_UNAUTHORIZED', 'ADMIN_FORBIDDEN', 'ADMIN_TOO_MANY_ATTEMPTS'];
const bodyRefusals: readonly ErrorCode[] = ['BODY_TOO_LARGE', 'ADMIN_MEDIA_TYPE'];

export function openapiDocument(endpoints: readonly Endpoint[], version: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const endpoint of endpoints) {
    (paths[endpoint.path] ??= {})[endpoint.method.toLowerCase()] = operationOf(endpoint);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Gatewright admin API',
      version,
      description:
        'For operators. Whatever can be asked for with GET can be asked for with HEAD. Everything that is not right is ' +
        'answered with problem details (RFC 9457).',
    },
    // As seen from where the document was got.
    servers: [{ url: '/' }],
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: 'The `admin.token` of the configuration. Without one callers on the same machine need none.',
        },
      },
      schemas: { Problem: jsonSchemaOf(refusalSchema, 'output') },
    },
  };
}

function operationOf(endpoint: Endpoint): Record<string, unknown> {
  const { operationId, summary, isOpen = false, body, answer } = endpoint;
  const schema = answer.schema === null ? { type: 'string' } : jsonSchemaOf(answer.schema, 'output');
  const types = [answer.type, ...(answer.others ?? [])];
  const content = Object.fromEntries(types.map((type) => [type, { schema }]));
  const also = Object.entries(endpoint.also ?? {}).map(([status, description]) => [status, { description, content }]);
  const parameters = [
    ...pathParameters(endpoint.path),
    ...queryParameters(endpoint.query),
    ...headerParameters(endpoint.headers ?? {}),
  ];
  return {
    operationId,
    summary,
    ...(isOpen && { security: [] }),
    ...(parameters.length > 0 && { parameters }),
    ...(body !== null && { requestBody: { required: true, content: contentOf(body) } }),
    responses: {
      200: { description: 'It is so, or done.', content },
      ...(Object.fromEntries(also) as object),
      ...(endpoint.headers?.['If-None-Match'] !== undefined && { 304: { description: 'The client has it already.' } }),
      ...refusalsOf(endpoint),
    },
  };
}

/** By status; several codes may share one. */
function refusalsOf({ isOpen, body, refusals = [] }: Endpoint): Record<string, unknown> {
  const codes = [
    ...commonRefusals,
    ...(isOpen === true ? [] : guardRefusals),
    ...(body === null ? [] : bodyRefusals),
    ...refusals,
  ];
  const byStatus: Record<string, { description: string; content: unknown }> = {};
  for (const code of codes) {
    const { status, title } = errors[code];
    const sentence = `\`${code}\`: ${title}.`;
    const known = byStatus[status];
    if (known !== undefined) known.description += ` ${sentence}`;
    else {
      const content = { [PROBLEM_MEDIA_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } };
      byStatus[status] = { description: sentence, content };
    }
  }
  return byStatus;
}

function contentOf({ types, schema }: BodyRule): Record<string, unknown> {
  const form = schema === null ? {} : { schema: jsonSchemaOf(schema, 'input') };
  return Object.fromEntries(types.map((type) => [type, form]));
}

function pathParameters(path: string): unknown[] {
  return Array.from(path.matchAll(/\{(\w+)\}/g), ([, name]) => {
    return { name, in: 'path', required: true, schema: { type: 'string' } };
  });
}

function queryParameters(query: z.ZodType): unknown[] {
  const { properties = {} } = jsonSchemaOf(query, 'input') as { properties?: Record<string, { description?: string }> };
  return Object.entries(properties).map(([name, { description, ...schema }]) => {
    return { name, in: 'query', description, schema };
  });
}

function headerParameters(headers: Readonly<Record<string, string>>): unknown[] {
  return Object.entries(headers).map(([name, description]) => ({
    name,
    in: 'header',
    description,
    schema: { type: 'string' },
  }));
}

function jsonSchemaOf(schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> {
  const {
    $schema: _,
    '~standard': __,
    ...plain
  } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Record<string, unknown>;
  return plain;
}
