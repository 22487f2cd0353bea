import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { headers } from '../../src/policies/headers.ts';
import { FakeExchange, createPolicy, runThrough } from '../support/fake-exchange.ts';

function problemsOf(options: unknown): string[] {
  const result = headers.options.safeParse(options);
  return result.success ? [] : result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

suite('headers', () => {
  test('removes, then sets, then adds, on the request', async () => {
    const policy = createPolicy(headers, {
      request: { remove: ['Cookie'], set: { 'X-Env': 'prod' }, add: { 'X-Tag': ['b', 'c'], 'x-env': 'extra' } },
    });
    const exchange = new FakeExchange({ headers: { cookie: ['a=1', 'b=2'], 'x-env': ['dev', 'test'], 'x-tag': 'a' } });
    await runThrough([policy], exchange);
    assert.equal(exchange.requestHeaders.has('cookie'), false);
    assert.deepEqual(exchange.requestHeaders.getAll('x-env'), ['prod', 'extra']);
    assert.deepEqual(exchange.requestHeaders.getAll('x-tag'), ['a', 'b', 'c']);
  });

  test('changes the response as well, and only the one that it is told', async () => {
    const policy = createPolicy(headers, {
      response: { remove: ['server'], set: { 'Cache-Control': 'no-store' }, add: { 'set-cookie': 'c=3' } },
    });
    const exchange = new FakeExchange({ headers: { server: 'of the request' } });
    const response = { headers: { Server: 'demo/1', 'set-cookie': ['a=1', 'b=2'], 'cache-control': 'public' } };
    const { headers: got } = await runThrough([policy], exchange, response);
    assert.deepEqual(
      [...got],
      [
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
        ['cache-control', 'no-store'],
        ['set-cookie', 'c=3'],
      ],
    );
    assert.equal(exchange.requestHeaders.get('server'), 'of the request');
  });

  test('costs nothing in a phase that it has nothing to do in', () => {
    const policy = createPolicy(headers, { request: { set: { a: '1' } } });
    assert.deepEqual(Object.keys(policy), ['onRequest']);
    assert.deepEqual(Object.keys(createPolicy(headers, { response: { remove: ['a'] } })), ['onResponse']);
  });

  test('changes the reply of a policy after it', async () => {
    const policy = createPolicy(headers, { response: { set: { 'x-a': '1' } } });
    const refusing = { onRequest: () => ({ status: 403 }) };
    const result = await runThrough([policy, refusing], new FakeExchange());
    assert.equal(result.status, 403);
    assert.equal(result.headers.get('x-a'), '1');
  });

  // Whoever sets these decides where a message ends: request smuggling by configuration.
  const framing = [
    'content-length',
    'Transfer-Encoding',
    'connection',
    'keep-alive',
    'proxy-connection',
    'te',
    'trailer',
    'upgrade',
    'expect',
    'HTTP2-Settings',
  ];
  for (const name of framing) {
    test(`refuses to touch ${name}, in either message and in every way`, () => {
      for (const side of ['request', 'response']) {
        for (const changes of [{ set: { [name]: '1' } }, { add: { [name]: ['1'] } }, { remove: [name] }]) {
          const [problem, ...others] = problemsOf({ [side]: changes });
          assert.match(problem, new RegExp(`^${side}\\.[^:]*: the gateway alone decides on "${name}"`));
          assert.deepEqual(others, []);
        }
      }
    });
  }

  test('refuses host and says where it is set', () => {
    assert.deepEqual(problemsOf({ request: { set: { Host: 'x' } } }), [
      'request.set.Host: "host" is set by "rewrite.host" of the route or "hostHeader" of the upstream',
    ]);
  });

  for (const name of [
    'Via',
    'Forwarded',
    'x-forwarded-for',
    'x-forwarded-proto',
    'x-forwarded-host',
    'x-forwarded-port',
  ]) {
    test(`refuses ${name} on the request, where it would be overwritten`, () => {
      assert.match(problemsOf({ request: { remove: [name] } })[0], /the gateway itself sets/);
      assert.deepEqual(problemsOf({ response: { remove: [name] } }), []);
    });
  }

  for (const name of ['', 'a b', 'a:', ':path', 'a\r\nb', 'caf\u00e9', 'a\u0000', '(x)']) {
    test(`refuses ${JSON.stringify(name)} as a name`, () => {
      assert.match(problemsOf({ request: { set: { [name]: '1' } } })[0], /is not a header name/);
      assert.match(problemsOf({ response: { remove: [name] } })[0], /is not a header name/);
    });
  }

  for (const value of ['a\r\nset-cookie: b', 'a\nb', '\u0000', 'a\u007f', '\u2028', ' a', 'a\t']) {
    test(`refuses ${JSON.stringify(value)} as a value`, () => {
      assert.match(problemsOf({ request: { set: { a: value } } })[0], /^request\.set\.a: a header value/);
      assert.equal(problemsOf({ response: { add: { a: ['fine', value] } } }).length, 1);
    });
  }

  test('refuses a name that is set twice or set and removed, since one of the two would silently win', () => {
    assert.deepEqual(problemsOf({ request: { set: { 'X-A': '1', 'x-a': '2' } } }), [
      'request: "x-a" is named twice in "set" and "remove"',
    ]);
    assert.deepEqual(problemsOf({ request: { set: { 'x-a': '1' }, remove: ['X-A'] } }), [
      'request: "x-a" is named twice in "set" and "remove"',
    ]);
  });

  test('refuses to do nothing', () => {
    assert.deepEqual(problemsOf({}), [': say what to change: "request", "response" or both']);
    assert.deepEqual(problemsOf({ response: { set: {} } }), ['response: name a header to set, add or remove']);
  });
});
