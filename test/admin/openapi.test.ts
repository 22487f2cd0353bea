/** The document that describes the admin API. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openapiSchema } from '../../src/admin/api-schemas.ts';
import { AdminApi, holds } from './admin-api.ts';

describe('the OpenAPI document', () => {
  const expected = [
    'DELETE /api/v1/bans/{network}',
    'DELETE /api/v1/consumers/{name}',
    'DELETE /api/v1/consumers/{name}/keys/{id}',
    'GET /',
    'GET /.well-known/jwks.json',
    'GET /api/v1/bans',
    'GET /api/v1/consumers',
    'GET /api/v1/consumers/{name}',
    'GET /api/v1/events',
    'GET /api/v1/limits',
    'GET /api/v1/limits/{limit}',
    'GET /api/v1/openapi.json',
    'GET /api/v1/problems',
    'GET /api/v1/routes',
    'GET /api/v1/snapshot',
    'GET /api/v1/status',
    'GET /api/v1/upstreams',
    'GET /livez',
    'GET /metrics',
    'GET /readyz',
    'POST /api/v1/bans',
    'POST /api/v1/consumers/{name}/keys',
    'POST /api/v1/explain',
    'POST /api/v1/limits/{limit}/reset',
    'POST /api/v1/reload',
    'PUT /api/v1/config',
    'PUT /api/v1/consumers/{name}',
  ];

  interface Operation {
    readonly operationId: string;
    readonly security?: unknown[];
    readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: object }[];
    readonly requestBody?: { readonly content: Record<string, { readonly schema?: object }> };
    readonly responses: Record<string, { readonly description: string; readonly content: Record<string, unknown> }>;
  }

  async function operationsOf(api: AdminApi): Promise<Map<string, Operation>> {
    const document = holds(openapiSchema, (await api.ask('/api/v1/openapi.json')).json);
    assert.equal(document['openapi'], '3.1.0');
    const paths = document['paths'] as Record<string, Record<string, Operation>>;
    return new Map(
      Object.entries(paths).flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const),
      ),
    );
  }

  it('has every endpoint, and each of them exists', async (t) => {
    const api = await AdminApi.start(t);
    const operations = await operationsOf(api);
    assert.deepEqual([...operations.keys()].toSorted(), expected);
    assert.equal(new Set([...operations.values()].map(({ operationId }) => operationId)).size, expected.length);
    for (const [name, { responses, security }] of operations) {
      const [method, path] = name.split(' ');
      // What streams is asked with HEAD, which is answered alike.
      const { status, headers } = await api.ask(path, { method: path.endsWith('events') ? 'HEAD' : method });
      const type = headers['content-type']?.split(';')[0] ?? '';
      assert.ok(type in responses[status].content, `${name} ${status} ${type}`);
      const isOpen = (await api.ask(path, { method, headers: {} })).status !== 401;
      assert.equal(isOpen, security?.length === 0, name);
      if (!isOpen) assert.match(responses['401'].description, /ADMIN_UNAUTHORIZED/);
    }
  });

  it('says what each takes', async (t) => {
    const operations = await operationsOf(await AdminApi.start(t));
    assert.deepEqual(
      operations.get('GET /api/v1/routes')?.parameters?.map(({ name, in: where, schema }) => [where, name, schema]),
      [
        ['query', 'limit', { type: 'integer', minimum: 1, maximum: 1000 }],
        ['query', 'offset', { type: 'integer', minimum: 0, maximum: 999_999_999 }],
        ['query', 'q', { type: 'string', maxLength: 256, default: '' }],
      ],
    );
    const put = operations.get('PUT /api/v1/config')!;
    assert.deepEqual(Object.keys(put.requestBody!.content), ['application/yaml', 'application/json']);
    assert.deepEqual(Object.keys(put.responses).toSorted(), [
      '200',
      '400',
      '401',
      '403',
      '412',
      '413',
      '415',
      '422',
      '429',
      '500',
      '503',
    ]);
  });
});
