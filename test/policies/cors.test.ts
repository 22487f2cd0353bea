import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { cors } from '../../src/policies/cors.ts';
import { FakeEnv, FakeExchange, type FakeRequest, createPolicy, runThrough } from '../support/fake-exchange.ts';
import type { FakeHeaders } from '../support/fake-headers.ts';

const SHOP = 'https://shop.example.com';

function preflight(
  origin: string | readonly string[],
  method = 'PUT',
  headers?: string | readonly string[],
): FakeRequest {
  return {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': method,
      ...(headers === undefined ? {} : { 'access-control-request-headers': headers }),
    },
  };
}

/** The fields about CORS that a client gets, and `vary`. */
async function answer(options: unknown, request: FakeRequest, upstream: FakeHeaders = {}) {
  const result = await runThrough([createPolicy(cors, options)], new FakeExchange(request), { headers: upstream });
  const fields: Record<string, string> = {};
  for (const [name, value] of result.headers) {
    const lower = name.toLowerCase();
    assert.equal(fields[lower], undefined, `${lower} comes twice`);
    fields[lower] = value;
  }
  return { ...result, fields };
}

suite('cors, for a preflight', () => {
  const options = {
    origins: [SHOP],
    methods: ['GET', 'PUT'],
    headers: ['x-a', 'x-b'],
    credentials: true,
    maxAge: '1h',
  };

  test('answers with what is allowed, and asks no upstream', async () => {
    const { reply, status, fields } = await answer(options, preflight(SHOP, 'PUT', 'x-a'));
    assert.notEqual(reply, null);
    assert.equal(status, 204);
    assert.deepEqual(fields, {
      vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
      'access-control-allow-origin': SHOP,
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'GET, PUT',
      'access-control-allow-headers': 'x-a, x-b',
      'access-control-max-age': '3600',
    });
  });

  test('answers another origin with 204 and no permission, and asks no upstream', async () => {
    const { reply, status, fields } = await answer(options, preflight('https://evil.example'));
    assert.notEqual(reply, null);
    assert.equal(status, 204);
    assert.deepEqual(fields, { vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers' });
  });

  test('takes two origins for none', async () => {
    const { fields } = await answer(options, preflight([SHOP, 'https://evil.example']));
    assert.equal(fields['access-control-allow-origin'], undefined);
  });

  test('allows by default the methods that the route accepts', async () => {
    const request = { ...preflight(SHOP), route: { methods: ['GET', 'PATCH'] } };
    const { fields } = await answer({ origins: [SHOP] }, request);
    assert.equal(fields['access-control-allow-methods'], 'GET, PATCH');
  });

  test('allows by default all methods on a route that accepts all, and the header content-type', async () => {
    const { fields } = await answer({ origins: [SHOP] }, preflight(SHOP, 'PATCH', 'content-type'));
    assert.equal(fields['access-control-allow-methods'], '*');
    assert.equal(fields['access-control-allow-headers'], 'content-type');
    assert.equal(fields['access-control-max-age'], '600');
  });

  test('says * where every origin may read and no credentials come along', async () => {
    const { fields } = await answer(
      { origins: ['*'], methods: ['*'], headers: ['*', 'authorization'] },
      preflight(SHOP),
    );
    assert.deepEqual(fields, {
      'access-control-allow-origin': '*',
      'access-control-allow-methods': '*',
      'access-control-allow-headers': '*, authorization',
      'access-control-max-age': '600',
    });
  });

  test('names what is asked for where credentials come along, since * is no wildcard then', async () => {
    const everything = { origins: ['*'], methods: ['*'], headers: ['*'], credentials: true };
    const { fields } = await answer(everything, preflight('https://a.example', 'PURGE', ['x-a,x-b', ' x-c ']));
    assert.equal(fields['access-control-allow-origin'], 'https://a.example');
    assert.equal(fields['access-control-allow-methods'], 'PURGE');
    assert.equal(fields['access-control-allow-headers'], 'x-a, x-b, x-c');
  });

  test('never takes * to cover authorization, as browsers do not', async () => {
    const everything = { origins: [SHOP], headers: ['*'], credentials: true };
    const { fields } = await answer(everything, preflight(SHOP, 'GET', 'x-a, Authorization'));
    assert.equal(fields['access-control-allow-headers'], 'x-a');
    const named = await answer({ ...everything, headers: ['*', 'authorization'] }, preflight(SHOP, 'GET', 'x-a'));
    assert.equal(named.fields['access-control-allow-headers'], 'authorization, x-a');
  });

  test('sends back nothing that is no method, header name or origin', async () => {
    const everything = { origins: ['*'], methods: ['*'], headers: ['*'], credentials: true };
    const odd = await answer(everything, preflight('https://a.example', 'GET, "x"', 'x-a, <b>, "c", d e, ,'));
    assert.equal(odd.fields['access-control-allow-methods'], undefined);
    assert.equal(odd.fields['access-control-allow-headers'], 'x-a');
    for (const origin of [
      'null',
      'evil',
      'https://a.example/<script>',
      'https://a.example, https://b.example',
      'a b',
    ]) {
      const { fields } = await answer(everything, preflight(origin));
      assert.equal(fields['access-control-allow-origin'], undefined, origin);
      assert.equal(fields['access-control-allow-credentials'], undefined, origin);
    }
  });

  test('allows the origin null only where it is listed', async () => {
    const listed = await answer({ origins: ['null'] }, preflight('null'));
    assert.equal(listed.fields['access-control-allow-origin'], 'null');
    const unlisted = await answer({ origins: [SHOP] }, preflight('null'));
    assert.equal(unlisted.fields['access-control-allow-origin'], undefined);
  });
});

suite('cors, for any other request', () => {
  test('lets it pass and says in the response whether the page may read it', async () => {
    const options = { origins: [SHOP], exposeHeaders: ['x-total', 'x-page'], credentials: true };
    const { reply, fields } = await answer(options, { headers: { origin: SHOP } }, { vary: 'Accept' });
    assert.equal(reply, null);
    assert.deepEqual(fields, {
      vary: 'Accept, Origin',
      'access-control-allow-origin': SHOP,
      'access-control-allow-credentials': 'true',
      'access-control-expose-headers': 'x-total, x-page',
    });
  });

  test('lets one of another origin pass without permission, replacing what the upstream says', async () => {
    const upstream = {
      'Access-Control-Allow-Origin': ['*', 'https://evil.example'],
      'Access-Control-Allow-Credentials': 'true',
      'Access-Control-Expose-Headers': 'x-secret',
    };
    const { reply, fields } = await answer(
      { origins: [SHOP] },
      { headers: { origin: 'https://evil.example' } },
      upstream,
    );
    assert.equal(reply, null);
    assert.deepEqual(fields, { vary: 'Origin' });
  });

  test('replaces permissions of the upstream, so that there is exactly one of each', async () => {
    const upstream = { 'Access-Control-Allow-Origin': ['*', SHOP], 'access-control-allow-credentials': 'true' };
    const { fields } = await answer({ origins: [SHOP] }, { headers: { origin: SHOP } }, upstream);
    assert.deepEqual(fields, { 'access-control-allow-origin': SHOP, vary: 'Origin' });
  });

  test('says Vary even without an origin, so that a cache keeps the two apart', async () => {
    assert.deepEqual((await answer({ origins: [SHOP] }, {})).fields, { vary: 'Origin' });
    assert.deepEqual((await answer({ origins: ['*'], credentials: true }, {})).fields, { vary: 'Origin' });
    assert.deepEqual((await answer({ origins: ['*'] }, {})).fields, { 'access-control-allow-origin': '*' });
  });

  test('lets pages read the refusal of a policy after it', async () => {
    const refusing = { onRequest: () => ({ status: 401 }) };
    const exchange = new FakeExchange({ headers: { origin: SHOP } });
    const { status, headers } = await runThrough([createPolicy(cors, { origins: [SHOP] }), refusing], exchange);
    assert.equal(status, 401);
    assert.equal(headers.get('access-control-allow-origin'), SHOP);
  });

  test('leaves an OPTIONS request that is no preflight to the upstream, where the route accepts OPTIONS', async () => {
    const request: FakeRequest = { method: 'OPTIONS', headers: { origin: SHOP } };
    assert.equal((await answer({ origins: [SHOP] }, request)).reply, null);
    assert.equal((await answer({ origins: [SHOP] }, { ...request, route: { methods: ['OPTIONS'] } })).reply, null);
  });

  test('answers an OPTIONS request that is no preflight with Allow, where the route does not accept OPTIONS', async () => {
    const request: FakeRequest = { method: 'OPTIONS', route: { methods: ['GET', 'POST'] } };
    const { status, fields } = await answer({ origins: [SHOP] }, request);
    assert.equal(status, 204);
    assert.deepEqual(fields, { allow: 'GET, POST, OPTIONS', vary: 'Origin' });
  });
});

suite('the options of cors', () => {
  test('allow every origin with credentials, but not without a warning', () => {
    const env = new FakeEnv();
    createPolicy(cors, { origins: ['*'], credentials: true }, env);
    assert.deepEqual(env.warnings, [
      'cors allows every origin with credentials: any web site can act as the user that visits it',
    ]);
    const quiet = new FakeEnv();
    createPolicy(cors, { origins: ['*'] }, quiet);
    createPolicy(cors, { origins: [SHOP], credentials: true }, quiet);
    assert.deepEqual(quiet.warnings, []);
  });

  const mistakes: readonly (readonly [options: object, path: string])[] = [
    [{}, 'origins'],
    [{ origins: [] }, 'origins'],
    [{ origins: [SHOP, 'shop.example.com'] }, 'origins.1'],
    [{ origins: [`${SHOP}/`] }, 'origins.0'],
    [{ origins: [SHOP], methods: [] }, 'methods'],
    [{ origins: [SHOP], methods: ['GET, PUT'] }, 'methods.0'],
    [{ origins: [SHOP], headers: ['x a'] }, 'headers.0'],
    [{ origins: [SHOP], maxAge: 3600 }, 'maxAge'],
    [{ origins: [SHOP], exposeHeaders: ['*'], credentials: true }, 'exposeHeaders'],
  ];
  for (const [options, path] of mistakes) {
    test(`refuse ${JSON.stringify(options)}, and say where`, () => {
      const result = cors.options.safeParse(options);
      assert.equal(result.success, false);
      assert.equal(result.error.issues[0].path.join('.'), path);
    });
  }
});

interface CorsFilter {
  readonly allowOrigins: string[];
  readonly allowMethods?: string[];
  readonly allowHeaders?: string[];
  readonly exposeHeaders?: string[];
  readonly allowCredentials?: boolean;
  readonly maxAge?: number;
}

interface GatewayApiCase {
  readonly name: string;
  readonly request: { readonly method: string; readonly path: string; readonly headers: Record<string, string> };
  readonly expect_response: {
    readonly status?: number;
    readonly status_any_of?: number[];
    readonly headers?: Record<string, string>;
    readonly header_any_of?: Record<string, string[]>;
    readonly absent_headers?: string[];
  };
}

/** Case HTTPRouteCORS of the Gateway API's conformance tests. */
suite('cors, as the Kubernetes Gateway API wants it', () => {
  const corpus = JSON.parse(readFileSync(new URL('../corpora/gateway-api-cases.json', import.meta.url), 'utf8'));
  const group = corpus.groups.find(({ id }: { id: string }) => id === 'HTTPRouteCORS');

  const filters = new Map<string, CorsFilter>();
  for (const rule of group.routes.flatMap((route: { rules: unknown[] }) => route.rules)) {
    filters.set(rule.matches[0].path.value, rule.filters[0].cors);
  }

  for (const { name, request, expect_response: expected } of group.cases as GatewayApiCase[]) {
    test(name, async () => {
      const filter = filters.get(request.path);
      assert.ok(filter !== undefined);
      const options = {
        origins: filter.allowOrigins,
        methods: filter.allowMethods,
        headers: filter.allowHeaders ?? [],
        exposeHeaders: filter.exposeHeaders ?? [],
        credentials: filter.allowCredentials ?? false,
        ...(filter.maxAge === undefined ? {} : { maxAge: `${filter.maxAge}s` }),
      };
      const { status, fields } = await answer(options, request);
      assert.ok((expected.status_any_of ?? [expected.status]).includes(status));
      for (const [field, value] of Object.entries(expected.headers ?? {})) {
        assert.equal(fields[field.toLowerCase()], value);
      }
      for (const [field, values] of Object.entries(expected.header_any_of ?? {})) {
        assert.ok(values.includes(fields[field.toLowerCase()]), `${field}: ${fields[field.toLowerCase()]}`);
      }
      for (const field of expected.absent_headers ?? []) assert.equal(fields[field.toLowerCase()], undefined);
    });
  }
});
