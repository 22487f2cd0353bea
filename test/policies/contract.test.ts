/** What every built-in policy holds, whatever it is for. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import type { Policy, PolicyDefinition } from '../../src/contract.ts';
import { isFieldValue } from '../../src/http/grammar.ts';
import { builtinPolicies } from '../../src/policies/index.ts';
import { z } from '../../src/util/schema.ts';
import { FakeEnv, FakeExchange, type FakeRequest, outcomeOf } from '../support/fake-exchange.ts';

/** Options with which each policy has something to do, the least that it needs first. */
const sampleOptions: Readonly<Record<string, readonly unknown[]>> = {
  requestId: [{}, { header: 'x-correlation-id', trust: true }],
  headers: [
    { request: { remove: ['x-debug'] } },
    {
      request: { set: { 'x-a': '1' } },
      response: { set: { 'x-b': '2' }, add: { vary: ['x-c', 'x-d'] }, remove: ['server'] },
    },
  ],
  anyOf: [['apiKey', 'jwt']],
  authorize: [
    { consumers: ['*'] },
    {
      consumers: ['a'],
      groups: ['b'],
      scopes: { all: ['c'], any: ['d', 'e'] },
      claims: { f: 'g', 'h.i': { contains: 'j' }, k: { atLeast: 1, atMost: 2 } },
      deny: { groups: ['l'], claims: { m: { startsWith: 'n', endsWith: 'o' } } },
    },
  ],
  cors: [
    { origins: ['https://a.example', 'https://*.b.example'] },
    { origins: ['*'] },
    { origins: ['*', 'null'], methods: ['*'], headers: ['*'], credentials: true, exposeHeaders: ['x-a'], maxAge: '1h' },
  ],
  ban: [
    { after: 1_000 },
    { after: 1, within: '1h', for: '1d', statuses: [404, 500], exempt: { addresses: ['::/0'] }, enforce: false },
  ],
  ipFilter: [{ deny: ['192.0.2.0/24'] }, { allow: ['192.0.2.10', '2001:db8::/32', 'unix:'], deny: ['::1'] }],
  // What is left differs from one request to the next, which is what the fields are about.
  rateLimit: [
    { rate: '1000/1m', headers: 'none' },
    { limit: 1000, window: '1s', algorithm: 'sliding-window', by: ['ip', 'header:origin'], headers: 'none' },
    { rates: { default: '1000/1s' }, algorithm: 'fixed-window', cost: 'header:digest', by: 'route', headers: 'none' },
    { rate: '1000/1s', cost: { before: 5, after: 'response-header:digest' }, by: 'value:x', headers: 'none' },
    { rate: '1000/1s', cost: { before: 'value:x', after: 'value:y', max: 7 }, headers: 'none' },
    { rate: '1/1d', enforce: false, exempt: { addresses: ['192.0.2.0/24'], groups: ['a'] } },
  ],
  quota: [
    { limit: 1_000_000_000_000, per: 'month', headers: 'none' },
    { limit: 1000, per: 'day', timezone: 'Europe/Berlin', by: 'claim:sub', headers: 'none' },
    { limits: { gold: 100_000, default: 1000 }, per: 'day', headers: 'none' },
  ],
  concurrency: [
    { limit: 10 },
    { limit: 'adaptive', min: 2, by: 'global' },
    { limit: 10, queue: 5, queueTimeout: '5s', by: 'global' },
  ],
  bodyLimit: [{ max: '1KiB' }],
  securityHeaders: [{}, { override: true, contentSecurityPolicy: "default-src 'self'", hsts: { maxAge: '1d' } }],
  apiKey: [{}, { header: 'x-key', query: 'api_key', cookie: 'key', forward: true, optional: true, realm: 'the "api"' }],
  basicAuth: [{}, { forward: true, optional: true, realm: 'the "api"', consumers: true }],
  mtls: [{}, { optional: true, sans: ['DNS:a.example'] }],
  introspection: [
    { url: 'https://issuer.example/introspect', clientId: 'gateway', clientSecret: 'secret' },
    {
      url: 'http://127.0.0.1:9/introspect',
      header: 'x-token',
      query: 'access_token',
      cacheFor: '0s',
      scopes: ['read'],
      forwardClaims: { 'x-user': 'sub' },
      optional: true,
    },
  ],
  forwardAuth: [
    { url: 'https://login.example/check' },
    {
      url: 'http://127.0.0.1:9/check',
      method: 'HEAD',
      sendHeaders: '*',
      copyHeaders: ['x-auth-request-user'],
      consumerHeader: 'x-auth-request-user',
      cookies: ['session', '_oauth2_proxy*'],
      cacheFor: '5s',
    },
  ],
  jwt: [
    { keys: [{ secret: 's'.repeat(32) }] },
    {
      providers: [{ issuer: 'https://a.example', keys: [{ secret: 's'.repeat(32) }], claims: { a: [1, 'b'] } }],
      optional: true,
      header: 'x-debug',
      cookie: 'token',
      query: 'token',
      scopes: 'read',
      forwardClaims: { 'x-user': 'sub' },
    },
  ],
  oidc: [
    { issuer: 'https://id.example', clientId: 'web', secret: 'x'.repeat(32) },
    { issuer: 'https://id.example', clientId: 'web', secret: 'x'.repeat(32), optional: true, forwardAccessToken: true },
  ],
  compress: [{}, { encodings: ['gzip'], types: ['*+json', 'text/*'], minBytes: '0B' }],
  identityToken: [{}, { header: 'authorization', audience: ['a', 'b'], lifetime: '5m', claims: { mail: 'email' } }],
  identityKeys: [{}, { maxAge: '1h' }],
  messageSignature: [{}, { components: ['@target-uri', 'date'], optional: true, forward: true, realm: 'orders' }],
};

const interestingNames = fc.constantFrom(
  'Origin',
  'Access-Control-Request-Method',
  'Access-Control-Request-Headers',
  'Accept-Encoding',
  'Cache-Control',
  'Content-Length',
  'Content-Type',
  'Content-Encoding',
  'ETag',
  'Vary',
  'X-Request-Id',
  'X-Correlation-Id',
  'Strict-Transport-Security',
  'Digest',
  'Content-Digest',
  'Signature',
  'Signature-Input',
  'X-Debug',
);
const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}$/);
const interestingValues = fc.constantFrom(
  'https://a.example',
  'https://x.b.example',
  'null',
  '*',
  'gzip',
  'br;q=0.5, zstd',
  'identity;q=0',
  'no-transform',
  'text/plain',
  'application/json; charset=utf-8',
  '1048576',
  '-1',
  '99999999999999999999',
  '"abc"',
  'PUT',
  'private="no-transform',
  '"\\',
  ',,,',
  ';q=;q=',
);
const anyValue = fc
  .oneof(
    interestingValues,
    fc.string({ unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)) }),
  )
  .filter(isFieldValue);
const headers = fc.array(fc.tuple(fc.oneof(interestingNames, token), anyValue), { maxLength: 12 });

const request: fc.Arbitrary<FakeRequest> = fc.record({
  method: fc.constantFrom('GET', 'HEAD', 'POST', 'OPTIONS', 'PATCH', 'X-ODD'),
  scheme: fc.constantFrom('http', 'https'),
  clientIp: fc.constantFrom(
    '192.0.2.10',
    '203.0.113.9',
    '2001:db8::7',
    '::ffff:192.0.2.10',
    '',
    'unknown',
    'not an address',
  ),
  headers,
  body: fc.uint8Array({ maxLength: 2048 }),
  route: fc.record({ methods: fc.constantFrom(null, ['GET'], ['GET', 'OPTIONS'], []) }),
});
const response = fc.record({ status: fc.constantFrom(200, 204, 206, 301, 304, 401, 404, 500), headers });

type Response = { status: number; headers: [string, string][] };

/** Runs every phase, whatever the ones before did, and says all that a client and an upstream could notice. */
async function* phases(policy: Policy, exchange: FakeExchange, upstream: Response) {
  const reply = await policy.onRequest?.(exchange);
  yield;
  exchange.respond(reply ?? upstream);
  await policy.onResponse?.(exchange);
  yield;
  const transform = policy.transformResponse?.(exchange) ?? null;
  transform?.destroy();
  yield;
  policy.onFinish?.(exchange, outcomeOf(exchange.status));
  const seen = {
    reply,
    request: [...exchange.requestHeaders],
    status: exchange.status,
    response: [...exchange.responseHeaders],
    transforms: transform !== null,
    requestBodyLimit: exchange.requestBodyLimit,
  };
  // An id is another one every time; that it is the same everywhere in an exchange is what counts.
  const id = exchange.requestId;
  return id === '' ? JSON.stringify(seen) : JSON.stringify(seen).replaceAll(JSON.stringify(id), '"THE ID"');
}

async function make(definition: PolicyDefinition, options: unknown): Promise<Policy> {
  return definition.create(definition.options.parse(options), new FakeEnv(), []);
}

async function runAlone(policy: Policy, exchange: FakeExchange, upstream: Response): Promise<string> {
  const steps = phases(policy, exchange, upstream);
  for (;;) {
    const step = await steps.next();
    if (step.done === true) return step.value;
  }
}

const builtin = [...(await builtinPolicies.load(builtinPolicies.names)).values()];

test('every built-in policy is named once, and is tested here', () => {
  assert.deepEqual(
    builtin.map(({ name }) => name),
    builtinPolicies.names,
    'each by the name that it gives itself',
  );
  assert.deepEqual(builtinPolicies.names.toSorted(), Object.keys(sampleOptions).toSorted());
});

for (const definition of builtin) {
  const [leastOptions, ...moreOptions] = sampleOptions[definition.name];

  suite(`the policy ${definition.name}`, () => {
    test('has a name for configurations and a sentence for the reference', () => {
      assert.match(definition.name, /^[a-z][A-Za-z]*$/);
      assert.match(definition.summary, /^[A-Z].*\.$/);
    });

    test('describes every option, for the reference and for editors', () => {
      const undescribed: string[] = [];
      collectUndescribed(z.toJSONSchema(definition.options, { io: 'input' }), definition.name, undescribed);
      assert.deepEqual(undescribed, []);
    });

    test('refuses an option that it does not know', () => {
      const result = definition.options.safeParse({ ...(leastOptions as object), unknownOption: 1 });
      assert.equal(result.success, false);
      assert.equal(result.error.issues[0].code, definition.combines === true ? 'invalid_type' : 'unrecognized_keys');
    });

    for (const nonsense of [null, true, 7, 'text', []]) {
      test(`refuses ${JSON.stringify(nonsense)} for its options`, () => {
        assert.equal(definition.options.safeParse(nonsense).success, false);
      });
    }

    for (const options of [leastOptions, ...moreOptions]) {
      suite(`with ${JSON.stringify(options)}`, () => {
        test('never throws and never makes an invalid header, whatever is sent', async () => {
          await fc.assert(
            fc.asyncProperty(request, response, async (sent, upstream) => {
              // The fake exchange validates every name and value that a policy or a reply sets.
              await runAlone(await make(definition, options), new FakeExchange(sent), upstream);
            }),
          );
        });

        test('does the same for an exchange whether or not another one is on its way', async () => {
          await fc.assert(
            fc.asyncProperty(request, response, request, response, async (sentA, upstreamA, sentB, upstreamB) => {
              const expectedA = await runAlone(await make(definition, options), new FakeExchange(sentA), upstreamA);
              const expectedB = await runAlone(await make(definition, options), new FakeExchange(sentB), upstreamB);
              const shared = await make(definition, options);
              const a = phases(shared, new FakeExchange(sentA), upstreamA);
              const b = phases(shared, new FakeExchange(sentB), upstreamB);
              for (;;) {
                const [stepA, stepB] = [await a.next(), await b.next()];
                if (stepA.done !== true || stepB.done !== true) continue;
                assert.equal(stepA.value, expectedA);
                assert.equal(stepB.value, expectedB);
                break;
              }
            }),
            { numRuns: 50 },
          );
        });

        test('can be created twice from the same options, and leaves them as they are', async () => {
          const parsed = Object.freeze(definition.options.parse(options));
          const before = JSON.stringify(parsed);
          const upstream: Response = { status: 200, headers: [['content-type', 'text/plain']] };
          const one = await runAlone(await definition.create(parsed, new FakeEnv(), []), new FakeExchange(), upstream);
          const other = await runAlone(
            await definition.create(parsed, new FakeEnv(), []),
            new FakeExchange(),
            upstream,
          );
          assert.equal(one, other);
          assert.equal(JSON.stringify(parsed), before);
        });

        test('bears that the client goes away before, between and after its hooks', async () => {
          const policy = await make(definition, options);
          const upstream: Response = { status: 200, headers: [['content-type', 'text/plain']] };
          const steps = 4;
          for (let abortAt = 0; abortAt < steps; abortAt++) {
            const exchange = new FakeExchange({ headers: { 'accept-encoding': 'gzip' } });
            const run = phases(policy, exchange, upstream);
            for (let step = 0; step < steps; step++) {
              if (step === abortAt) exchange.abort();
              await run.next();
            }
          }
        });

        test('bears that an exchange ends before it had a response, and that hooks come without the ones before', async () => {
          const policy = await make(definition, options);
          const unanswered = new FakeExchange();
          await policy.onRequest?.(unanswered);
          policy.onFinish?.(unanswered, outcomeOf(499));
          policy.onFinish?.(new FakeExchange(), outcomeOf(499));
          assert.equal(policy.transformResponse?.(new FakeExchange()) ?? null, null);
          await policy.onResponse?.(new FakeExchange());
        });
      });
    }
  });
}

function collectUndescribed(schema: unknown, path: string, undescribed: string[]): void {
  if (typeof schema !== 'object' || schema === null) return;
  for (const [key, value] of Object.entries(schema)) {
    if (key !== 'properties') {
      collectUndescribed(value, path, undescribed);
      continue;
    }
    for (const [name, property] of Object.entries(value as Record<string, { description?: string }>)) {
      if (property.description === undefined) undescribed.push(`${path}.${name}`);
      collectUndescribed(property, `${path}.${name}`, undescribed);
    }
  }
}
