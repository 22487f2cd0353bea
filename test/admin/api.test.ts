/** What the admin API answers. */
import assert from 'node:assert/strict';
import type { Explanation } from '../../src/compile/explain/explanation.ts';
import { describe, it } from 'node:test';
import {
  explainedSchema,
  outcomeSchema,
  problemsSchema,
  refusalSchema,
  routesSchema,
  snapshotSchema,
  statusSchema,
  upstreamsSchema,
} from '../../src/admin/api-schemas.ts';
import { AdminApi, holds, json, withToken, yaml } from './admin-api.ts';

const another = 'admin: {token: "${env:GATEWRIGHT_ADMIN_TOKEN}"}\nroutes: {all: {respond: {body: other}}}\n';
const broken = 'routes: {all: {respond: {staus: 200}}}\n';

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
    const api = await AdminApi.start(t, undefined, { control: null });
    assert.equal(await api.outcome('/livez'), '200');
    assert.equal(await api.outcome('/readyz'), '503');
    for (const path of ['status', 'snapshot', 'routes', 'upstreams', 'problems', 'events', 'openapi.json']) {
      assert.equal(await api.outcome(`/api/v1/${path}`), '503 ADMIN_NOT_READY');
      assert.equal(await api.outcome(`/api/v1/${path}`, { headers: {} }), '401 ADMIN_UNAUTHORIZED');
    }
    api.server.attach(api.control);
    assert.equal(await api.outcome('/readyz'), '200');
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
  it('a request by the configuration that serves', async (t) => {
    const api = await AdminApi.start(t, 'routes: {tea: {match: {path: /tea, methods: [GET]}, respond: {status: 418}}}');
    const ask = async (method: string, url: string) => {
      const body = JSON.stringify({ method, url, headers: { 'x-a': ['1', '2'] } });
      const { status, json: answer } = await api.ask('/api/v1/explain', { method: 'POST', headers: json, body });
      assert.ok(holds(explainedSchema, answer));
      return [status, answer as unknown as Explanation] as const;
    };
    const [status, { outcome, route, action }] = await ask('GET', 'http://a/tea');
    assert.deepEqual([status, outcome.kind, route?.name, action?.kind], [200, 'route', 'tea', 'respond']);
    assert.equal((await ask('POST', 'http://a/tea'))[1].outcome.kind, 'method-not-allowed');
    assert.equal((await ask('GET', 'http://a/%zz'))[1].outcome.code, 'BAD_PATH');
    const question = { method: 'POST', headers: json, body: '{"method":"GET","url":"http://user:pass@a/tea"}' };
    assert.equal(await api.outcome('/api/v1/explain', question), '400 ADMIN_BAD_INPUT');
  });
});
