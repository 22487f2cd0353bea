/** No secret is in anything that the admin API says, wherever a configuration has one (CVE-2025-62232, CVE-2022-29266). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { hideIn } from '../../src/admin/hide-secrets.ts';
import { replaceSecrets } from '../../src/config/schema-walk.ts';
import { definePolicy, type PolicyDefinition } from '../../src/contract.ts';
import { z } from '../../src/util/schema.ts';
import { allBuiltin, registryOf } from '../config/load-text.ts';
import { AdminApi, token, withToken } from './admin-api.ts';

/** Every secret has this in it, in one spelling or another. */
const canary = 'CaNaRy';

/** Of an API key. */
const digest = `0123456789ab${'c'.repeat(52)}`;

const env = {
  GATEWRIGHT_ADMIN_TOKEN: token,
  HEADER_KEY: `${canary}-in-a-match`,
  BODY_SECRET: `${canary} with "quotes" and\nlines \\ $& é`,
  REDIRECT_TOKEN: `${canary}-in-a-redirect`,
  NOTE: `${canary}-in-an-unmarked-option`,
  HMAC_KEY: `${canary}-of-another-signature`,
  HARMLESS: 'no-secret-by-its-name-but-interpolated',
};

const secretText = () => z.string().meta({ secret: true });

const signed = definePolicy({
  name: 'signed',
  summary: 'Has secrets in every form.',
  options: z.strictObject({
    key: secretText(),
    nested: z.strictObject({ list: z.array(secretText()), plain: z.string() }).optional(),
    either: z
      .union([z.literal(false), z.strictObject({ pin: secretText().optional(), of: z.string() })])
      .default(false),
    changed: z
      .strictObject({ pin: secretText() })
      .transform(({ pin }) => [pin, 'x'])
      .optional(),
    password: z.string().optional(),
    note: z.string().optional(),
  }),
  provides: ['consumer'],
  create: () => ({}),
});

const text = `
admin: {token: "\${env:GATEWRIGHT_ADMIN_TOKEN}"}
telemetry: {debug: {secret: ${canary}-in-clear-of-the-debug-header}}
consumers:
  mobile:
    groups: [gold]
    apiKeys: [{hash: "sha256:${digest}", label: laptop, expires: 2027-12-31}]
    basic: {user: mobile-user, password: "{SHA}${canary}AAAAAAAAAAAAAAAAAAAAA="}
    hmac: [{keyId: mobile-1, secret: "\${env:HMAC_KEY}"}, {keyId: mobile-2, secret: ${canary}-of-a-signature}]
    certificates: [{fingerprint: "sha256:${'b'.repeat(64)}"}]
stores: {s: {type: redis, url: "redis://m", sentinels: ["h:1"], password: ${canary}-of-a-store, sentinelPassword: ${canary}-of-a-sentinel}}
upstreams: {u: {targets: ["http://127.0.0.1:1"]}}
routes:
  a:
    match: {headers: {x-key: "\${env:HEADER_KEY}"}, query: {q: {regex: "^\${env:HEADER_KEY}"}}}
    policies:
      - signed:
          key: ${canary}-in-clear
          nested: {list: ["\${file:/run/secrets/x}"], plain: shown-plain}
          either: {pin: ${canary}-in-a-choice, of: shown-of}
          changed: {pin: ${canary}-transformed}
          password: ${canary}-not-marked
          note: "see \${env:NOTE}"
      - use: ./custom.ts
        options: {anything: [{deep: ${canary}-of-a-module, pin: 1234, on: true}]}
    upstream: u
  b: {match: {path: /b}, respond: {headers: {x-key: "\${env:HEADER_KEY}"}, body: "\${env:BODY_SECRET}"}}
  c: {match: {path: /c}, redirect: {to: "https://x/\${env:REDIRECT_TOKEN}"}}
  d: {match: {path: /d}, redirect: {to: "https://user:${canary}@x/"}}
  e: {match: {path: /e}, respond: {body: "-----BEGIN PRIVATE KEY-----\\n${canary}\\n-----END PRIVATE KEY-----\\n"}}
  f:
    match: {path: /f, headers: {authorization: "Bearer ${canary}"}, query: {token: ${canary}, plain: shown}}
    policies: [{headers: {request: {set: {Authorization: "Bearer ${canary}", x-api-key: ${canary}, x-plain: shown}, add: {proxy-authorization: [${canary}, ${canary}]}}}}]
    respond: {}
  h:
    match: {path: /h}
    policies:
      - anyOf:
          - signed: {key: ${canary}-of-a-way, note: shown-note}
          - anyOf: [{use: ./custom.ts, options: {anything: [${canary}-of-a-way-in-a-way]}}, {signed: {key: "\${env:NOTE}"}}]
    respond: {}
notFound:
  policies: [{signed: {key: "\${env:REDIRECT_TOKEN}"}}]
`;

async function start(t: Parameters<typeof AdminApi.start>[0]): Promise<AdminApi> {
  const custom: PolicyDefinition = {
    ...signed,
    name: 'custom',
    options: z.strictObject({ anything: z.array(z.unknown()) }),
  };
  return AdminApi.start(
    t,
    text,
    {},
    {
      env,
      files: { '/run/secrets/x': `${canary}-of-a-file\n` },
      registry: registryOf([...allBuiltin, signed]),
      importModule: async () => ({ default: custom }),
    },
  );
}

function clean(shown: string, what: string): void {
  for (const part of [canary, token, digest, 'with \\"quotes\\"']) {
    assert.ok(!shown.includes(part), `${what} has ${JSON.stringify(part)}:\n${shown}`);
  }
}

describe('the admin API shows no secret', () => {
  it('in any answer of any endpoint, nor in the log', async (t) => {
    const api = await start(t);
    const problem = { file: 'g.yaml', line: 1, column: 1, severity: 'warning', code: 'UNUSED' } as const;
    api.control.findings = {
      refused: false,
      problems: [{ ...problem, message: `odd: ${env.HEADER_KEY} ${token}`, path: ['routes', 'a'] }],
    };
    const openapi = await api.ask('/api/v1/openapi.json');
    const paths = openapi.json['paths'] as Record<string, Record<string, unknown>>;
    const json = { ...withToken, 'content-type': 'application/json' };
    const yaml = { ...withToken, 'content-type': 'application/yaml' };
    for (const [path, methods] of Object.entries(paths)) {
      for (const method of Object.keys(methods).map((name) => name.toUpperCase())) {
        if (path.endsWith('/events')) continue;
        for (const headers of [withToken, json, yaml, {}, { authorization: `Bearer ${canary}` }]) {
          for (const body of method === 'GET'
            ? [undefined]
            : [undefined, '{}', token, JSON.stringify({ [token]: env.HEADER_KEY })]) {
            // Another configuration would have other secrets.
            const target = method === 'PUT' ? `${path}?dryRun=1` : path;
            const answer = await api.ask(target, { method, headers, ...(body !== undefined && { body }) });
            clean(answer.text + JSON.stringify(answer.headers), `${method} ${path} ${answer.status}`);
          }
        }
      }
    }
    // The wrong tokens above have locked the address out for a while.
    api.clock.advance(60_000);
    // Not d, which no gateway would serve.
    for (const path of ['a', 'b', 'c', 'e', 'f', 'g', 'h']) {
      const body = JSON.stringify({
        method: 'GET',
        url: `http://a/${path}`,
        headers: { authorization: ['no secret'] },
      });
      const explained = await api.ask('/api/v1/explain', { method: 'POST', headers: json, body });
      assert.equal(explained.status, 200);
      clean(explained.text, `explain of ${path}`);
    }
    clean((await api.ask(`/api/v1/${encodeURIComponent(token)}?x=${token}`)).text, 'a path');
    clean((await api.ask(`/api/v1/routes?${token}=1`)).text, 'a query');
    api.control.onReload = () => {
      throw Object.assign(new Error(`failed with ${env.BODY_SECRET} and ${token}`), {
        token,
        cause: new Error(env.HEADER_KEY),
      });
    };
    assert.equal(await api.outcome('/api/v1/reload', { method: 'POST' }), '500 INTERNAL');
    assert.match(api.log, /the admin API has failed/);
    clean(api.log, 'the log');
  });

  it('in a snapshot, which is otherwise all there', async (t) => {
    const api = await start(t);
    const { config } = (await api.ask('/api/v1/snapshot')).json as { config: typeof api.control.config };
    clean(JSON.stringify(config), 'the snapshot');
    const [first, second] = config.routes['a'].policies;
    assert.deepEqual(first.options, {
      key: '[secret]',
      nested: { list: ['[secret]'], plain: 'shown-plain' },
      either: { pin: '[secret]', of: 'shown-of' },
      changed: '[secret]',
      password: '[secret]',
      note: 'see ${env:NOTE}',
    });
    assert.deepEqual(second.options, { anything: [{ deep: '[secret]', pin: '[secret]', on: true }] });
    assert.deepEqual(config.routes['b'].respond, {
      status: 200,
      headers: { 'x-key': '${env:HEADER_KEY}' },
      body: '${env:BODY_SECRET}',
    });
    assert.deepEqual(config.routes['f'].match.query, [
      { name: 'token', equals: '[secret]' },
      { name: 'plain', equals: 'shown' },
    ]);
    const headers = config.routes['f'].policies[0].options as { request: { set: object } };
    assert.match(JSON.stringify(headers.request.set), /shown/);
    assert.equal(config.routes['d'].redirect?.to, 'https://[secret]@x/');
    const [, nested] = config.routes['h'].policies[0].options as { name: string; options: unknown }[];
    assert.deepEqual(config.routes['h'].policies[0], {
      name: 'anyOf',
      label: 'anyOf',
      module: null,
      options: [
        {
          name: 'signed',
          label: 'signed',
          module: null,
          options: { key: '[secret]', either: false, note: 'shown-note' },
        },
        nested,
      ],
    });
    assert.deepEqual(
      (nested.options as { options: unknown }[]).map(({ options }) => options),
      [{ anything: ['[secret]'] }, { key: '[secret]', either: false }],
    );
    assert.equal(config.admin.token, '[secret]');
    assert.deepEqual(config.telemetry.debug, { secret: '[secret]', maxAge: 300_000 });
    assert.equal((config.notFound.policies[0].options as { key: string }).key, '[secret]');
    const [mobile] = config.consumers;
    assert.deepEqual(mobile.apiKeys, [{ digest: '0123456789ab…', label: 'laptop', expiresAt: Date.UTC(2028, 0, 1) }]);
    assert.deepEqual(mobile.basic, { user: 'mobile-user', password: '[secret]' });
    assert.deepEqual(
      mobile.hmac.map(({ keyId, secret }) => [keyId, secret]),
      [
        ['mobile-1', '[secret]'],
        ['mobile-2', '[secret]'],
      ],
    );
    const { password, sentinelPassword } = config.stores['s'];
    assert.deepEqual([password, sentinelPassword], ['[secret]', '[secret]']);
    assert.deepEqual([mobile.groups, mobile.certificates], [['gold'], [{ fingerprint: 'b'.repeat(64) }]]);
    // Nothing is missing and nothing else has changed.
    const { routes, ...rest } = api.control.config;
    assert.deepEqual(Object.keys(config.routes), Object.keys(routes));
    assert.deepEqual(
      { ...config, routes: 0, admin: 0, notFound: 0, telemetry: 0, consumers: 0, stores: 0 },
      JSON.parse(JSON.stringify({ ...rest, routes: 0, admin: 0, notFound: 0, telemetry: 0, consumers: 0, stores: 0 })),
    );
  });

  it('to who searches for it', async (t) => {
    const api = await start(t);
    for (const q of [canary, canary.slice(0, 3), `${canary}-in-a-match`]) {
      const { total } = (await api.ask(`/api/v1/routes?q=${encodeURIComponent(q)}`)).json;
      assert.equal(total, 0, q);
    }
    assert.equal((await api.ask('/api/v1/routes?q=HEADER_KEY')).json['total'], 1);
  });

  it('in an event', async (t) => {
    const api = await start(t);
    api.control.tell('refused', {
      why: `because of ${env.BODY_SECRET}`,
      deep: [{ er: token }],
      url: `http://u:${canary}@h/`,
    });
    const { promise, resolve } = Promise.withResolvers<string>();
    const response = await fetch(`${api.url}/api/v1/events`, { headers: { ...withToken, 'last-event-id': 'x' } });
    let shown = '';
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    const read = async (): Promise<void> => {
      while (!shown.includes('data:')) shown += (await reader.read()).value ?? '';
      resolve(shown);
    };
    void read();
    const event = await promise;
    assert.match(event, /because of \$\{env:BODY_SECRET\}/);
    clean(event, 'an event');
    await reader.cancel();
  });
});

describe('hiding', () => {
  const hide = (shown: string): string => shown.replaceAll('sec"ret', '[x]').replaceAll('geheim', '[x]');
  const word = fc.constantFrom('a', 'sec"ret', 'geheim', 'x geheim y', 'sec\\"ret', '\n', '12');

  it('hides in every text of plain data and leaves the rest as it is', () => {
    const data = fc.jsonValue({ maxDepth: 4 }).chain((value) =>
      fc.record({
        value: fc.constant(value),
        words: fc.array(word),
        deep: fc.dictionary(fc.constantFrom('k', 'l'), fc.array(word)),
      }),
    );
    fc.assert(
      fc.property(data, (value) => {
        const expected: unknown = JSON.parse(JSON.stringify(value), (_, item: unknown) =>
          typeof item === 'string' ? hide(item) : item,
        );
        assert.deepEqual(JSON.parse(JSON.stringify(hideIn(value, hide))), expected);
      }),
    );
  });

  it('finds the one text among very many', () => {
    for (const secret of ['geheim', 'sec"ret']) {
      const rows = Array.from({ length: 5_000 }, (_, n) => ({
        n,
        deep: [{ text: n === 4_321 ? `x ${secret}` : 'x' }],
      }));
      const shown = hideIn({ rows: Object.fromEntries(rows.entries()) }, hide) as { rows: typeof rows };
      assert.deepEqual(shown.rows[4_321], { n: 4_321, deep: [{ text: 'x [x]' }] });
      assert.deepEqual(Object.values(shown.rows).toSpliced(4_321, 1), rows.toSpliced(4_321, 1));
    }
  });

  it('replaces what a schema marks, and what has not the form that it was marked in', () => {
    const marked = secretText();
    for (const [schema, value, expected] of [
      [z.strictObject({ a: marked, b: z.string() }), { a: 's', b: 'p' }, { a: '*', b: 'p' }],
      [z.record(z.string(), marked), { x: 's', y: 's' }, { x: '*', y: '*' }],
      [z.array(z.strictObject({ a: marked.optional() })), [{ a: 's' }, {}], [{ a: '*' }, {}]],
      [z.union([marked, z.strictObject({ a: z.string() })]), 's', '*'],
      [z.union([marked, z.strictObject({ a: z.string() })]), { a: 'p' }, { a: 'p' }],
      [z.union([z.enum(['x']), marked]), 'x', '*'],
      [z.strictObject({ a: marked }), { a: 's', added: 's' }, { a: '*', added: '*' }],
      [z.strictObject({ a: marked }), ['s'], '*'],
      [
        z.strictObject({ a: z.strictObject({ b: z.string() }), c: marked }),
        { a: { b: 'p' }, c: null },
        { a: { b: 'p' }, c: null },
      ],
      [z.strictObject({ a: z.string() }), ['p'], ['p']],
    ] as const) {
      assert.deepEqual(replaceSecrets(schema, value, '*'), expected);
    }
  });
});
