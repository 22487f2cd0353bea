/** What the admin API does not take, and what it says then. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { refusalSchema } from '../../src/admin/api-schemas.ts';
import { AdminApi, holds, json, token, withToken, yaml } from './admin-api.ts';

const another = 'admin: {token: "${env:GATEWRIGHT_ADMIN_TOKEN}"}\nroutes: {all: {respond: {body: other}}}\n';

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
      const allowed = path === '/api/v1/reload' ? 'POST' : 'GET, HEAD';
      assert.equal(answer.headers['allow'], answer.status === 405 ? allowed : undefined);
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
