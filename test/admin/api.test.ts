/** What the admin API answers. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  explainedSchema,
  openapiSchema,
  outcomeSchema,
  problemsSchema,
  refusalSchema,
  routesSchema,
  snapshotSchema,
  statusSchema,
  upstreamsSchema,
} from '../../src/admin/api-schemas.ts';
import type { Schema } from '../../src/util/schema.ts';
import { AdminApi, token, withToken } from './admin-api.ts';

const json = { ...withToken, 'content-type': 'application/json' };
const yaml = { ...withToken, 'content-type': 'application/yaml' };
const another = 'admin: {token: "${env:GATEWRIGHT_ADMIN_TOKEN}"}\nroutes: {all: {respond: {body: other}}}\n';
const broken = 'routes: {all: {respond: {staus: 200}}}\n';

/** Parses strictly: what the document does not declare is an error. */
function holds<T>(schema: Schema<T>, value: unknown): T {
  return schema.parse(value);
}

describe('the admin API tells', () => {
  it('whether the process lives and is ready, as text and to everybody', async (t) => {
    const api = await AdminApi.start(t);
    const [live, ready] = [await api.ask('/livez', { headers: {} }), await api.ask('/readyz', { headers: {} })];
    assert.deepEqual([live.status, live.text, ready.status, ready.text], [200, 'live\n', 200, 'ready\n']);
    api.control.isReady = false;
    assert.equal((await api.ask('/readyz', { headers: {} })).status, 503);
  });

  it('how the gateway is', async (t) => {
    const api = await AdminApi.start(t);
    api.clock.advance(5_000);
    const status = holds(statusSchema, (await api.ask('/api/v1/status')).json);
    assert.deepEqual(
      [status.version, status.uptimeMs, status.ready, status.revision.digest, status.threads.length],
      ['1.2.3', 5_000, true, 'd-1', 1],
    );
    assert.deepEqual(status.listeners, [{ name: 'web', url: 'http://127.0.0.1:8080', connections: 3 }]);
  });

  it('what serves, with an entity tag to ask again by', async (t) => {
    const api = await AdminApi.start(t);
    const answer = await api.ask('/api/v1/snapshot');
    const { revision, config } = holds(snapshotSchema, answer.json);
    assert.equal(answer.headers.etag, '"d-1"');
    assert.equal(revision.number, 1);
    assert.deepEqual(config['admin'], { host: '127.0.0.1', port: 9901, token: '[secret]' });
    assert.deepEqual(Object.keys(config['routes'] as object), ['catalog', 'old', 'all']);
    for (const tag of ['"d-1"', 'W/"d-1"', '"x", "d-1"', '*']) {
      const again = await api.ask('/api/v1/snapshot', { headers: { ...withToken, 'if-none-match': tag } });
      assert.deepEqual([again.status, again.text, again.headers.etag], [304, '', '"d-1"'], tag);
    }
    const other = await api.ask('/api/v1/snapshot', { headers: { ...withToken, 'if-none-match': '"d-0"' } });
    assert.equal(other.status, 200);
  });

  it('which routes there are: in words, with what they do and what is wrong with each', async (t) => {
    const api = await AdminApi.start(t);
    const about = { file: 'g.yaml', line: 1, column: 2, severity: 'warning', code: 'ROUTE_SHADOWED' } as const;
    const problem = { ...about, message: 'never', path: ['routes', 'old'] };
    api.control.findings = { refused: false, problems: [problem] };
    const { routes, total } = holds(routesSchema, (await api.ask('/api/v1/routes')).json);
    assert.equal(total, 3);
    assert.deepEqual(
      routes.map(({ name, match, policies, action, problems }) => [name, match, policies, action, problems.length]),
      [
        ['all', 'every request', [], { respond: { status: 418 } }, 0],
        [
          'catalog',
          'GET, HEAD on api.example.com at /catalog/*, header x-version is "2"',
          ['requestId'],
          {
            upstream: [
              { upstream: 'catalog', weight: 90 },
              { upstream: 'next', weight: 10 },
            ],
          },
          0,
        ],
        ['old', 'every method at /old/*', [], { redirect: { to: 'https://new.example.com/{*}', status: 308 } }, 1],
      ],
    );
    api.control.findings = { refused: true, problems: [problem] };
    const after = holds(routesSchema, (await api.ask('/api/v1/routes?q=OLD')).json);
    assert.deepEqual(
      after.routes.map(({ problems }) => problems),
      [[]],
      'they are of another configuration',
    );
  });

  it('of very many routes only a page, and finds some by a text', async (t) => {
    const routes = Array.from(
      { length: 2_500 },
      (_, i) => `  r${String(i).padStart(4, '0')}: {match: {path: /p/${i}}, respond: {}}\n`,
    );
    const api = await AdminApi.start(t, `routes:\n${routes.join('')}`);
    const get = async (query: string): Promise<[number, number, string | undefined]> => {
      const answer = holds(routesSchema, (await api.ask(`/api/v1/routes${query}`, { headers: {} })).json);
      return [answer.total, answer.routes.length, answer.routes[0]?.name];
    };
    assert.deepEqual(await get(''), [2_500, 100, 'r0000']);
    assert.deepEqual(await get('?limit=1000&offset=2000'), [2_500, 500, 'r2000']);
    assert.deepEqual(await get('?q=%2Fp%2F2499'), [1, 1, 'r2499']);
    assert.deepEqual(await get('?q=R123&limit=2'), [10, 2, 'r1230']);
    assert.deepEqual(await get('?offset=2500'), [2_500, 0, undefined]);
  });

  it('which upstreams there are, how their targets are, and who uses them', async (t) => {
    const api = await AdminApi.start(t);
    const { upstreams } = holds(upstreamsSchema, (await api.ask('/api/v1/upstreams')).json);
    assert.deepEqual(
      upstreams.map(({ name, usedBy }) => [name, usedBy.routes]),
      [
        ['catalog', ['catalog']],
        ['next', ['catalog']],
        ['unused', []],
      ],
    );
    assert.deepEqual(upstreams[0].targets[1], { url: 'http://127.0.0.1:3002', weight: 3, connections: 3, inFlight: 2 });
  });

  it('what was found in the configuration', async (t) => {
    const api = await AdminApi.start(t);
    const { refused, problems } = holds(problemsSchema, (await api.ask('/api/v1/problems')).json);
    assert.deepEqual([refused, problems.map(({ code }) => code)], [false, ['UNUSED']]);
  });

  it('a browser what is here, without scripts and without being framed', async (t) => {
    const api = await AdminApi.start(t);
    const { status, headers, text } = await api.ask('/', { headers: {} });
    assert.deepEqual([status, headers['content-type']], [200, 'text/html; charset=utf-8']);
    assert.match(String(headers['content-security-policy']), /^default-src 'none';.* frame-ancestors 'none'$/);
    assert.match(text, /href="\/api\/v1\/openapi\.json"/);
  });

  it('to HEAD what it tells to GET, but for the body', async (t) => {
    const api = await AdminApi.start(t);
    for (const path of ['/livez', '/', '/api/v1/status', '/api/v1/routes', '/api/v1/events', '/nothing']) {
      const head = await api.ask(path, { method: 'HEAD' });
      assert.equal(head.text, '');
      if (path === '/api/v1/events') assert.equal(head.headers['content-type'], 'text/event-stream');
      else assert.equal(head.headers['content-length'], (await api.ask(path)).headers['content-length'], path);
    }
    assert.equal((await api.ask('/readyz', { method: 'HEAD' })).status, 200);
  });

  it('nothing before there is a control plane, but listens already', async (t) => {
    let isReady = false;
    const api = await AdminApi.start(t, undefined, { control: null, isReady: () => isReady });
    assert.equal(await api.outcome('/livez'), '200');
    assert.equal(await api.outcome('/readyz'), '503');
    isReady = true;
    assert.equal(await api.outcome('/readyz'), '200');
    for (const path of ['status', 'snapshot', 'routes', 'upstreams', 'problems', 'events', 'openapi.json']) {
      assert.equal(await api.outcome(`/api/v1/${path}`), '503 ADMIN_NOT_READY');
      assert.equal(await api.outcome(`/api/v1/${path}`, { headers: {} }), '401 ADMIN_UNAUTHORIZED');
    }
    api.server.attach(api.control);
    assert.equal(await api.outcome('/api/v1/status'), '200');
  });
});

describe('the admin API changes', () => {
  it('what serves, to what the file says now', async (t) => {
    const api = await AdminApi.start(t);
    const outcome = holds(outcomeSchema, (await api.ask('/api/v1/reload', { method: 'POST' })).json);
    assert.equal(outcome.result, 'unchanged');
    assert.deepEqual(api.control.asked, [{ reload: 'api' }]);
    api.control.onReload = () => ({ result: 'refused', revision: api.control.revision, problems: [] });
    assert.equal(await api.outcome('/api/v1/reload', { method: 'POST' }), '422 CONFIG_REFUSED');
  });

  it('what serves, to what it is sent', async (t) => {
    const api = await AdminApi.start(t);
    const put = async (body: string, query = '', headers: Record<string, string> = yaml): Promise<unknown> => {
      const answer = await api.ask(`/api/v1/config${query}`, { method: 'PUT', headers, body });
      if (answer.status === 200) return holds(outcomeSchema, answer.json).result;
      return `${answer.status} ${holds(refusalSchema, answer.json).code}`;
    };
    assert.equal(await put(another, '?dryRun=1'), 'valid');
    assert.equal(api.control.revision.number, 1);
    assert.equal(await put(broken), '422 CONFIG_REFUSED');
    assert.equal(await put(another, '', { ...yaml, 'if-match': '"d-0"' }), '412 CONFIG_CONFLICT');
    assert.equal(await put(another, '', { ...yaml, 'if-match': 'W/"d-1"' }), '412 CONFIG_CONFLICT');
    assert.equal(await put(another, '', { ...yaml, 'if-match': 'd-1' }), '400 ADMIN_BAD_INPUT');
    assert.equal(api.control.revision.number, 1);
    assert.equal(await put(another, '', { ...yaml, 'if-match': '"x", "d-1"' }), 'applied');
    assert.equal(await put(another, '?dryRun=0', { ...yaml, 'if-match': '*' }), 'applied');
    const asJson = JSON.stringify({ admin: { token: '${env:GATEWRIGHT_ADMIN_TOKEN}' }, routes: {} });
    assert.equal(await put(asJson, '', { ...json, 'content-type': 'Application/JSON; charset=UTF-8' }), 'applied');
    assert.equal(api.control.revision.number, 4);
    assert.deepEqual(api.control.asked.at(-1), { replace: asJson, format: 'json', ifMatch: null, dryRun: false });
  });

  it('nothing for a configuration with errors, and says where they are', async (t) => {
    const api = await AdminApi.start(t);
    const { json: refusal, headers } = await api.ask('/api/v1/config', { method: 'PUT', headers: yaml, body: broken });
    const { problems, revision, type } = holds(refusalSchema, refusal);
    assert.equal(type, 'urn:gatewright:error:CONFIG_REFUSED');
    assert.deepEqual(
      problems?.map(({ line, column, code, suggestion }) => [line, column, code, suggestion]),
      [[1, 26, 'UNKNOWN_KEY', 'status']],
    );
    assert.deepEqual([revision?.digest, headers.etag], ['d-1', '"d-1"']);
  });

  it('the token that it wants, when the configuration does', async (t) => {
    const api = await AdminApi.start(t);
    const body = 'admin: {token: another-token}\nroutes: {all: {respond: {}}}\n';
    await api.ask('/api/v1/config', { method: 'PUT', headers: yaml, body });
    assert.equal(await api.outcome('/api/v1/status'), '401 ADMIN_UNAUTHORIZED');
    assert.equal(await api.outcome('/api/v1/status', { headers: { authorization: 'Bearer another-token' } }), '200');
  });
});

describe('the admin API explains', () => {
  const body = JSON.stringify({ method: 'GET', url: 'http://a/x', headers: { 'x-a': ['1', '2'] }, listener: 'web' });

  it('a request by what it was given to explain with', async (t) => {
    const asked: unknown[] = [];
    const explain = (config: unknown, request: unknown): unknown => asked.push([config, request]) && { route: 'all' };
    const api = await AdminApi.start(t, undefined, { explain });
    const answer = await api.ask('/api/v1/explain', { method: 'POST', headers: json, body });
    assert.deepEqual([answer.status, holds(explainedSchema, answer.json)], [200, { route: 'all' }]);
    assert.deepEqual(asked, [[api.control.config, JSON.parse(body)]]);
  });

  it('nothing where it was given nothing', async (t) => {
    const api = await AdminApi.start(t);
    const question = { method: 'POST', headers: json, body };
    assert.equal(await api.outcome('/api/v1/explain', question), '501 ADMIN_NOT_AVAILABLE');
  });
});

describe('the admin API refuses', () => {
  for (const [what, path, question, expected] of [
    ['a path that there is not', '/api/v1/nothing', {}, '404 ADMIN_NOT_FOUND'],
    ['a path outside of the API', '/nothing', {}, '404 ADMIN_NOT_FOUND'],
    ['a path that is spelled otherwise', '/api/v1/%73tatus', {}, '404 ADMIN_NOT_FOUND'],
    ['a slash at the end', '/api/v1/status/', {}, '404 ADMIN_NOT_FOUND'],
    ['a method', '/api/v1/status', { method: 'DELETE' }, '405 METHOD_NOT_ALLOWED'],
    ['a preflight: there is no CORS', '/api/v1/reload', { method: 'OPTIONS' }, '405 METHOD_NOT_ALLOWED'],
    ['an unknown parameter', '/api/v1/routes?page=2', {}, '400 ADMIN_BAD_INPUT'],
    ['a parameter where there is none', '/api/v1/status?x=1', {}, '400 ADMIN_BAD_INPUT'],
    ['a parameter twice', '/api/v1/routes?limit=1&limit=2', {}, '400 ADMIN_BAD_INPUT'],
    ['a limit of none', '/api/v1/routes?limit=0', {}, '400 ADMIN_BAD_INPUT'],
    ['a limit beyond the largest', '/api/v1/routes?limit=1001', {}, '400 ADMIN_BAD_INPUT'],
    ['a limit that is no number', '/api/v1/routes?limit=1e2', {}, '400 ADMIN_BAD_INPUT'],
    ['a negative offset', '/api/v1/routes?offset=-1', {}, '400 ADMIN_BAD_INPUT'],
    [
      'a dry run of what',
      '/api/v1/config?dryRun=yes',
      { method: 'PUT', headers: yaml, body: another },
      '400 ADMIN_BAD_INPUT',
    ],
    [
      'a body where there is none',
      '/api/v1/reload',
      { method: 'POST', headers: json, body: '{}' },
      '400 ADMIN_BAD_INPUT',
    ],
    [
      'a body to GET',
      '/api/v1/status',
      { headers: { ...json, 'content-length': 2 }, body: '{}' },
      '400 ADMIN_BAD_INPUT',
    ],
    ['broken JSON', '/api/v1/explain', { method: 'POST', headers: json, body: '{"method":' }, '400 ADMIN_BAD_INPUT'],
    ['no body', '/api/v1/explain', { method: 'POST', headers: json }, '400 ADMIN_BAD_INPUT'],
    [
      'bytes that are not UTF-8',
      '/api/v1/explain',
      { method: 'POST', headers: json, body: Buffer.from([0xff]) },
      '400 ADMIN_BAD_INPUT',
    ],
    [
      'an unknown field',
      '/api/v1/explain',
      { method: 'POST', headers: json, body: '{"method":"GET","url":"/","x":1}' },
      '400 ADMIN_BAD_INPUT',
    ],
    [
      'a field that is missing',
      '/api/v1/explain',
      { method: 'POST', headers: json, body: '{"method":"GET"}' },
      '400 ADMIN_BAD_INPUT',
    ],
    [
      'a method in small letters',
      '/api/v1/explain',
      { method: 'POST', headers: json, body: '{"method":"get","url":"/"}' },
      '400 ADMIN_BAD_INPUT',
    ],
    [
      'JSON that says that it is text',
      '/api/v1/explain',
      { method: 'POST', headers: { ...withToken, 'content-type': 'text/plain' }, body: '{}' },
      '415 ADMIN_MEDIA_TYPE',
    ],
    [
      'JSON that says nothing',
      '/api/v1/explain',
      { method: 'POST', headers: withToken, body: '{}' },
      '415 ADMIN_MEDIA_TYPE',
    ],
    [
      'YAML where only JSON is taken',
      '/api/v1/explain',
      { method: 'POST', headers: yaml, body: '{}' },
      '415 ADMIN_MEDIA_TYPE',
    ],
    [
      'another charset',
      '/api/v1/config',
      { method: 'PUT', headers: { ...yaml, 'content-type': 'application/yaml; charset=latin1' }, body: 'x' },
      '415 ADMIN_MEDIA_TYPE',
    ],
    [
      'a compressed body',
      '/api/v1/config',
      { method: 'PUT', headers: { ...yaml, 'content-encoding': 'gzip' }, body: 'x' },
      '415 ADMIN_MEDIA_TYPE',
    ],
    [
      'a form',
      '/api/v1/config',
      { method: 'PUT', headers: { ...withToken, 'content-type': 'application/x-www-form-urlencoded' }, body: 'x' },
      '415 ADMIN_MEDIA_TYPE',
    ],
    [
      'a body that is too large',
      '/api/v1/explain',
      { method: 'POST', headers: json, body: 'x'.repeat(65_537) },
      '413 BODY_TOO_LARGE',
    ],
    [
      'a body that turns out to be too large',
      '/api/v1/explain',
      { method: 'POST', headers: { ...json, 'transfer-encoding': 'chunked' }, body: 'x'.repeat(65_537) },
      '413 BODY_TOO_LARGE',
    ],
  ] as const) {
    it(`${what} with ${expected}`, async (t) => {
      const api = await AdminApi.start(t);
      const answer = await api.ask(path, question);
      const { code } = holds(refusalSchema, answer.json);
      assert.equal(`${answer.status} ${code}`, expected);
      assert.equal(answer.headers['content-type'], 'application/problem+json');
      assert.equal(answer.headers['x-content-type-options'], 'nosniff');
      if (answer.status === 405)
        assert.equal(answer.headers['allow'], path === '/api/v1/reload' ? 'POST' : 'GET, HEAD');
      assert.deepEqual(api.control.asked, []);
    });
  }

  it('says which part of an input is wrong', async (t) => {
    const api = await AdminApi.start(t);
    const body = '{"method":"GET","url":"/","headers":{"a":1}}';
    const { errors } = holds(
      refusalSchema,
      (await api.ask('/api/v1/explain', { method: 'POST', headers: json, body })).json,
    );
    assert.deepEqual(
      errors?.map(({ path }) => path),
      [['headers', 'a']],
    );
  });

  it('says no more than that it failed when something throws, and says the rest to the log', async (t) => {
    const api = await AdminApi.start(t);
    api.control.onReload = () => {
      throw new Error(`no way with ${token}`);
    };
    const answer = await api.ask('/api/v1/reload', { method: 'POST' });
    assert.equal(holds(refusalSchema, answer.json).code, 'INTERNAL');
    assert.doesNotMatch(answer.text, /no way/);
    assert.match(api.log, /"error":.*no way with \[secret\]/);
    assert.equal(await api.outcome('/api/v1/status'), '200');
  });

  it('a second configuration while it receives one, and takes the next', async (t) => {
    const api = await AdminApi.start(t);
    const { promise, resolve } = Promise.withResolvers<void>();
    const replace = api.control.replace.bind(api.control);
    api.control.replace = async (...args) => {
      await promise;
      return replace(...args);
    };
    const question = { method: 'PUT', headers: yaml, body: another };
    const first = api.outcome('/api/v1/config', question);
    let second = '';
    // Which of them is first is for the kernel to say.
    while (second !== '503 ADMIN_BUSY') {
      second = await Promise.race([first, api.outcome('/api/v1/config?dryRun=1', question)]);
    }
    resolve();
    assert.equal(await first, '200');
    assert.equal(await api.outcome('/api/v1/config', question), '200');
  });
});

describe('the OpenAPI document', () => {
  const expected = [
    'GET /',
    'GET /api/v1/events',
    'GET /api/v1/openapi.json',
    'GET /api/v1/problems',
    'GET /api/v1/routes',
    'GET /api/v1/snapshot',
    'GET /api/v1/status',
    'GET /api/v1/upstreams',
    'GET /livez',
    'GET /readyz',
    'POST /api/v1/explain',
    'POST /api/v1/reload',
    'PUT /api/v1/config',
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
