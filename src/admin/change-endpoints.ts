/** The endpoints that change what serves, or say what it would do. */
import { z } from '../util/schema.ts';
import { type ExplainRequest, explainRequestSchema, explainedSchema, outcomeSchema } from './api-schemas.ts';
import type { ControlPlane, ReloadOutcome, ReplaceOptions } from './control-plane.ts';
import { type Answer, type Endpoint, type Refusal, controlEndpoint } from './endpoint.ts';
import { explainRequest } from './explain-request.ts';

const JSON_TYPE = 'application/json';
const YAML_TYPE = 'application/yaml';

/** A hundred thousand routes are about a third of this. */
const maxConfigBytes = 64 * 1024 * 1024;
const maxBodyBytes = 64 * 1024;

const reloadEndpoint = controlEndpoint({
  method: 'POST',
  path: '/api/v1/reload',
  operationId: 'reload',
  summary: 'Reads the configuration file again and serves it, if it can be served.',
  answer: { type: JSON_TYPE, schema: outcomeSchema },
  refusals: ['CONFIG_REFUSED'],
  async handle(_, control) {
    return toAnswer(await control.reload('api'));
  },
});

const configQuery = z.strictObject({
  dryRun: z.enum(['0', '1']).default('0').describe('`1`: only say whether it could be served.'),
});

const configEndpoint = controlEndpoint<z.output<typeof configQuery>, string>({
  method: 'PUT',
  path: '/api/v1/config',
  operationId: 'replaceConfig',
  summary: 'Serves another configuration until the file changes. It is not written to the file.',
  headers: { 'If-Match': 'Only if this is the `ETag` of what serves.' },
  query: configQuery,
  body: { types: [YAML_TYPE, JSON_TYPE], maxBytes: maxConfigBytes, schema: null },
  answer: { type: JSON_TYPE, schema: outcomeSchema },
  refusals: ['CONFIG_CONFLICT', 'CONFIG_REFUSED', 'ADMIN_BUSY'],
  async handle({ query, body, headers, mediaType }, control) {
    const ifMatch = readIfMatch(headers['if-match'], control);
    if (typeof ifMatch === 'object' && ifMatch !== null) return ifMatch;
    const format: ReplaceOptions['format'] = mediaType === JSON_TYPE ? 'json' : 'yaml';
    return toAnswer(await control.replace(body, { format, ifMatch, dryRun: query.dryRun === '1' }));
  },
});

/** Never a digest, so that it is that of no configuration. */
const noDigest = '';

/** The digest that must serve; null for any (RFC 9110, section 13.1.1). */
function readIfMatch(field: string | undefined, { revision }: ControlPlane): string | null | Refusal {
  if (field === undefined || field.trim() === '*') return null;
  const tags = field.split(',').map((tag) => tag.trim());
  if (!tags.every((tag) => /^(?:W\/)?"[\x21\x23-\x7e]*"$/.test(tag))) {
    return { code: 'ADMIN_BAD_INPUT', detail: 'If-Match takes entity tags in quotes, or *.' };
  }
  // The comparison is the strong one, which weak tags never pass.
  const digests = tags.filter((tag) => tag.startsWith('"')).map((tag) => tag.slice(1, -1));
  return digests.includes(revision.digest) ? revision.digest : (digests.at(0) ?? noDigest);
}

function toAnswer({ result, revision, problems }: ReloadOutcome): Answer {
  const headers = { etag: `"${revision.digest}"` };
  switch (result) {
    case 'refused':
      return { code: 'CONFIG_REFUSED', more: { revision, problems }, headers };
    case 'conflict':
      return { code: 'CONFIG_CONFLICT', more: { revision }, headers };
    case 'applied':
    case 'unchanged':
    case 'valid':
      return { json: { result, revision, problems }, headers };
  }
}

const explainEndpoint = controlEndpoint<object, ExplainRequest>({
  method: 'POST',
  path: '/api/v1/explain',
  operationId: 'explain',
  summary: 'Says which route a request gets and why, and what would be done with it. Nothing is sent.',
  body: { types: [JSON_TYPE], maxBytes: maxBodyBytes, schema: explainRequestSchema },
  answer: { type: JSON_TYPE, schema: explainedSchema },
  handle: ({ body }, control) => explainRequest(control, body),
});

export const changeEndpoints: readonly Endpoint[] = [reloadEndpoint, configEndpoint, explainEndpoint];
