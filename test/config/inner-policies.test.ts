/** Policies among the options of others: what `anyOf` is made of. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { configJsonSchema } from '../../src/config/json-schema.ts';
import type { PolicyUse } from '../../src/config/schema.ts';
import { explain } from '../../src/compile/explain/explain.ts';
import { explanationText } from '../../src/cli/explanation-text.ts';
import { headerPolicy } from '../support/header-policy.ts';
import { policyOf } from '../support/inline-policy.ts';
import { type TestOptions, allBuiltin, loadText, problemsOf, registryOf } from './load-text.ts';

const own = headerPolicy('own');
const definitions = new Map(
  [...allBuiltin, ...['apiKey', 'jwt', 'mtls'].map((name) => headerPolicy(name))].map((one) => [one.name, one]),
);
const options: TestOptions = {
  registry: registryOf(definitions.values()),
  env: { PIN: 'secret-pin' },
  importModule: async (path) => {
    if (path === '/gw/own.ts') return { default: own };
    if (path === '/gw/silent.ts') return { default: policyOf({}) };
    throw new Error(`no such module ${path}`);
  },
};

const route = (policies: string): string => `routes:\n  r:\n    respond: {}\n    policies: ${policies}\n`;
const problems = (text: string): Promise<string[]> => problemsOf(text, options);

async function usesOf(text: string): Promise<readonly PolicyUse[]> {
  const { config, problems: found } = await loadText(text, options);
  assert.deepEqual(
    found.filter(({ severity }) => severity === 'error'),
    [],
  );
  return config!.routes['r'].policies;
}

/** `anyOf(apiKey, jwt)`, by what they are called. */
function textOf({ label, options: inner }: PolicyUse): string {
  return Array.isArray(inner) ? `${label}(${inner.map(textOf).join(', ')})` : label;
}

suite('policies among the options of others', () => {
  test('can be everything that stands in a list of policies', async () => {
    const text = `policies: {partners: {jwt: {optional: false}}, both: {anyOf: [partners, mtls]}}\n${route(
      '[{anyOf: [apiKey, {jwt: {forward: true}}, partners, both, {use: ./own.ts}]}]',
    )}`;
    const uses = await usesOf(text);
    assert.deepEqual(uses.map(textOf), ['anyOf(apiKey, jwt, partners, both(partners, mtls), own)']);
    const [, jwt, , , module] = uses[0].options as readonly PolicyUse[];
    assert.deepEqual(jwt.options, { forward: true, optional: false });
    assert.equal(module.module, '/gw/own.ts');
    const { modules, files } = await loadText(text, options);
    assert.equal(modules.get('/gw/own.ts'), own);
    assert.ok(files.includes('/gw/own.ts'));
  });

  test('provide what needs somebody to be known', async () => {
    await usesOf(route('[{anyOf: [apiKey, jwt]}, {authorize: {deny: {consumers: ["*"]}}}]'));
    assert.deepEqual(await problems(route('[{authorize: {deny: {consumers: ["*"]}}}, {anyOf: [apiKey, jwt]}]')), [
      '4:16 error POLICY_ORDER authorize needs "consumer", which anyOf provides: put it after anyOf',
    ]);
  });

  test('are not lost by a warning about one of them: nobody would have to authenticate', async () => {
    const text = route('[{anyOf: [apiKey, {jwt: {pin: in-clear}}]}]');
    assert.deepEqual((await usesOf(text)).map(textOf), ['anyOf(apiKey, jwt)']);
    assert.match((await problems(text)).join(), /SECRET_IN_CLEAR/);
    assert.deepEqual((await loadText(route('[{anyOf: [apiKey, {jwt: {pin: "${env:PIN}"}}]}]'), options)).secrets, [
      'secret-pin',
    ]);
  });

  test('are all looked at, and told about where they stand', async () => {
    assert.deepEqual(await problems(route('[{anyOf: [apikey, {jwt: {optinal: true}}, {use: ./none.ts}, 7, []]}]')), [
      '4:25 error UNKNOWN_POLICY there is no policy "apikey" (did you mean "apiKey"?)',
      '4:40 error UNKNOWN_KEY unknown key "optinal" in routes.r.policies[0].anyOf[1].jwt (did you mean "optional"?)',
      '4:63 error POLICY_LOAD ./none.ts: it cannot be loaded: no such module /gw/none.ts',
      '4:75 error BAD_VALUE routes.r.policies[0].anyOf[3]: write the name of a policy, {name: options}, or {use: ./file.ts, options: …}',
      '4:78 error BAD_VALUE routes.r.policies[0].anyOf[4]: write the name of a policy, {name: options}, or {use: ./file.ts, options: …}',
    ]);
  });

  test('must authenticate, and must not be optional', async () => {
    assert.deepEqual(
      await problems(route('[{anyOf: [apiKey, compress, {use: ./silent.ts}, {authorize: {consumers: ["*"]}}]}]')),
      [
        '4:33 error BAD_VALUE routes.r.policies[0].anyOf[1]: compress does not authenticate, so it is no way to',
        '4:43 error BAD_VALUE routes.r.policies[0].anyOf[2]: inline does not authenticate, so it is no way to',
        '4:63 error BAD_VALUE routes.r.policies[0].anyOf[3]: authorize does not authenticate, so it is no way to',
      ],
    );
    const [message] = await problems(route('[{anyOf: [{jwt: {optional: true}}, apiKey]}]'));
    assert.match(
      message,
      /^4:25 error BAD_VALUE routes\.r\.policies\[0\]\.anyOf\[0\]: jwt is optional, which would let everybody in/,
    );
  });

  test('are several, but not very many', async () => {
    assert.match((await problems(route('[{anyOf: [apiKey]}]')))[0], /one alone needs no anyOf/);
    assert.match((await problems(route('[anyOf]')))[0], /^4:\d+ error /);
    assert.match((await problems(route('[{anyOf: apiKey}]')))[0], /expected a list/);
    assert.match((await problems(route(`[{anyOf: [${Array(17).fill('mtls').join()}]}]`)))[0], /at most 16/);
  });

  test('never contain themselves', async () => {
    const used = route('[a]');
    assert.deepEqual(await problems(`policies: {a: {anyOf: [a, mtls]}}\n${used}`), [
      '1:24 error BAD_VALUE policies.a.anyOf[0]: the policy a contains itself: a → a',
    ]);
    assert.deepEqual(
      await problems(`policies: {a: {anyOf: [b, mtls]}, b: {anyOf: [mtls, c]}, c: {anyOf: [mtls, a]}}\n${used}`),
      ['1:76 error BAD_VALUE policies.c.anyOf[1]: the policy a contains itself: a → b → c → a'],
    );
    await usesOf(`policies: {a: {anyOf: [b, b]}, b: {anyOf: [mtls, jwt]}}\n${used}`);
  });

  test('are not endlessly deep, whether they have names or not', async () => {
    const nested = (depth: number): string => (depth === 0 ? 'mtls' : `{anyOf: [${nested(depth - 1)}, jwt]}`);
    await usesOf(route(`[${nested(3)}]`));
    assert.match((await problems(route(`[${nested(4)}]`))).join(), /policies can be 3 deep in others, no more/);
    assert.match((await problems(route(`[${nested(20)}]`))).join(), /policies can be 3 deep in others, no more/);
    const names = ['a', 'b', 'c', 'd'].map(
      (name, index, all) => `${name}: {anyOf: [${all[index + 1] ?? 'jwt'}, mtls]}`,
    );
    for (const list of [names, names.toReversed()]) {
      assert.match((await problems(`policies: {${list.join(', ')}}\n${route('[a]')}`)).join(), /3 deep in others/);
    }
  });

  test('are explained with the one that has them', async () => {
    const { config } = await loadText(route('[{anyOf: [apiKey, {anyOf: [jwt, {use: ./own.ts}]}]}]'), options);
    const explanation = explain(
      config!,
      { method: 'GET', url: 'http://x/' },
      { definitionOf: ({ name, module }) => (module === null ? definitions.get(name) : undefined) },
    );
    assert.deepEqual(
      explanation.policies[0].of?.map(({ label, of }) => [label, of?.map((one) => one.module)]),
      [
        ['apiKey', undefined],
        ['anyOf', [null, '/gw/own.ts']],
      ],
    );
    assert.match(
      explanationText(explanation),
      / anyOf \(provides consumer; from route\)\n +apiKey \(provides consumer; from route\)\n +anyOf .*\n +jwt .*\n +own \(\/gw\/own\.ts; what it needs/,
    );
  });

  test('are policies for an editor as well', () => {
    const schema = configJsonSchema(allBuiltin);
    const { anyOf } = (schema.definitions as Record<string, unknown>)['policyUse'] as {
      anyOf: { properties: Record<string, unknown> }[];
    };
    assert.deepEqual(anyOf[2].properties['anyOf'], {
      description: definitions.get('anyOf')!.summary,
      anyOf: [
        { type: 'array', minItems: 2, maxItems: 16, items: { $ref: '#/definitions/policyUse' } },
        { type: 'null' },
      ],
    });
  });
});

suite('what authorize asks for', () => {
  const key = `apiKeys: [{hash: "sha256:${'0'.repeat(64)}"}]`;
  const consumers = `consumers: {mobile: {groups: [gold], ${key}}, web: {groups: [silver, gold]}}\n`;
  const authorizing = (rules: string, before = 'jwt', match = ''): string =>
    `${consumers}routes: {r: {${match}respond: {}, policies: [${before}, {authorize: ${rules}}]}}\n`;

  test('are consumers and groups that there are', async () => {
    assert.deepEqual(
      await problems(authorizing('{consumers: [mobile, "*"], groups: [gold], deny: {groups: [silver]}}')),
      [],
    );
    assert.deepEqual(
      await problems(authorizing('{consumers: [mobil], groups: [glod, gold], deny: {consumers: [wep], groups: [x]}}')),
      [
        '2:68 error UNKNOWN_CONSUMER routes.r.policies[1].authorize.consumers[0]: there is no consumer "mobil" (did you mean "mobile"?)',
        '2:85 error UNKNOWN_GROUP routes.r.policies[1].authorize.groups[0]: no consumer is in a group "glod" (did you mean "gold"?)',
        '2:117 error UNKNOWN_CONSUMER routes.r.policies[1].authorize.deny.consumers[0]: there is no consumer "wep" (did you mean "web"?)',
        '2:132 error UNKNOWN_GROUP routes.r.policies[1].authorize.deny.groups[0]: no consumer is in a group "x"',
      ],
    );
  });

  test('may be others where code of the user says who calls', async () => {
    assert.deepEqual(await problems(authorizing('{consumers: [other]}', '{use: ./own.ts}')), []);
    assert.deepEqual(await problems(authorizing('{consumers: [other]}', '{anyOf: [jwt, {use: ./own.ts}]}')), []);
  });

  test('are told about once where many use them by a name', async () => {
    const text = `${consumers}policies: {staff: {authorize: {groups: [x]}}}\nroutes: {a: {match: {path: /a}, respond: {}, policies: [jwt, staff]}, b: {match: {path: /b}, respond: {}, policies: [jwt, staff]}}\n`;
    assert.deepEqual(await problems(text), [
      '3:62 error UNKNOWN_GROUP routes.a.policies[1].groups[0]: no consumer is in a group "x"',
    ]);
  });

  test('is nothing that nobody can have', async () => {
    assert.deepEqual(await problems(authorizing('{scopes: [read], claims: {a: b}}', 'apiKey')), [
      '2:59 warning NEVER_ALLOWED routes.r.policies[1].authorize.scopes: credentials of apiKey have no scopes, so that everybody is refused',
      '2:75 warning NEVER_ALLOWED routes.r.policies[1].authorize.claims: credentials of apiKey have no claims, so that everybody is refused',
    ]);
    assert.match(
      (await problems(authorizing('{scopes: [read]}', '{anyOf: [apiKey, mtls]}'))).join(),
      /apiKey and mtls/,
    );
    assert.deepEqual(await problems(authorizing('{scopes: [read]}', '{anyOf: [apiKey, jwt]}')), []);
    assert.deepEqual(await problems(authorizing('{scopes: [read]}', '{use: ./own.ts}')), []);
    assert.deepEqual(await problems(authorizing('{deny: {scopes: [read]}}', 'apiKey')), []);
  });

  test('is compared with captures that there are', async () => {
    const match = 'match: {path: "/t/{tenant}/*"}, ';
    assert.deepEqual(await problems(authorizing('{claims: {t: "{tenant}"}}', 'jwt', match)), []);
    assert.deepEqual(await problems(authorizing('{deny: {claims: {t: {contains: "{tenat}"}}}}', 'jwt', match)), [
      '2:104 error UNKNOWN_CAPTURE routes.r.policies[1].authorize.deny.claims.t uses {tenat}, but the path of the route captures {tenant}, {*}',
    ]);
    assert.match((await problems(authorizing('{claims: {t: ["{x}"]}}', 'jwt'))).join(), /captures nothing/);
  });

  test('is something at all', async () => {
    assert.match((await problems(authorizing('{}')))[0], /say who may call, or who may not/);
    assert.deepEqual(await problems(authorizing('{consumer: [mobile]}')), [
      '2:56 error UNKNOWN_KEY unknown key "consumer" in routes.r.policies[1].authorize (did you mean "consumers"?)',
    ]);
    assert.match(
      (await problems(authorizing('{claims: {a: {equal: b}}}')))[0],
      /unknown key "equal" .*\(did you mean "equals"\?\)/,
    );
  });
});
