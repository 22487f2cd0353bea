import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { builtinNames, policyUses } from '../../src/config/policy-registry.ts';
import { standardPolicies } from '../../src/config/policy-names.ts';
import { type PolicyDefinition, definePolicy } from '../../src/contract.ts';
import { builtinPolicies } from '../../src/policies/index.ts';
import { z } from '../../src/util/schema.ts';
import { duration } from '../../src/util/units.ts';
import { type TestOptions, loadText, problemsOf, registryOf } from './load-text.ts';

const tenant = definePolicy({
  name: 'tenant',
  summary: 'For tests.',
  options: z.strictObject({ header: z.string(), wait: duration().prefault('1s') }),
  create: () => ({}),
});

function policy(name: string, rest: Partial<PolicyDefinition> = {}): PolicyDefinition {
  return { name, summary: 'For tests.', options: z.strictObject({}), create: () => ({}), ...rest };
}

const modules: TestOptions = {
  importModule: async (path) => {
    if (path === '/gw/policies/tenant.ts') return { default: tenant };
    if (path === '/gw/none.ts') return { default: { name: 'none' } };
    if (path === '/gw/throws.ts') throw new Error('Unexpected token\nin line 3');
    throw new Error(`Cannot find module ${path}`);
  },
};

const route = (policies: string): string => `routes:\n  r:\n    respond: {}\n    policies: ${policies}\n`;

suite('policy uses', () => {
  test('can be a name, a name with options, or a module', async () => {
    const {
      config,
      problems,
      modules: loaded,
      files,
    } = await loadText(
      route(
        '[requestId, {bodyLimit: {max: 1KiB}}, {compress: }, {use: ./policies/tenant.ts, options: {header: x-tenant}}]',
      ),
      modules,
    );
    assert.deepEqual(
      problems.filter(({ severity }) => severity === 'error'),
      [],
    );
    const uses = config?.routes['r']?.policies ?? [];
    assert.deepEqual(
      uses.map(({ name, label, module }) => [name, label, module]),
      [
        ['requestId', 'requestId', null],
        ['bodyLimit', 'bodyLimit', null],
        ['compress', 'compress', null],
        ['tenant', 'tenant', '/gw/policies/tenant.ts'],
      ],
    );
    assert.deepEqual(uses[3]?.options, { header: 'x-tenant', wait: 1000 });
    assert.equal(loaded.get('/gw/policies/tenant.ts'), tenant);
    assert.ok(files.includes('/gw/policies/tenant.ts'));
  });

  test('can be given a name of their own and used by many', async () => {
    const text = `policies: {small: {bodyLimit: {max: 1KiB}}}\ndefaults: {policies: [small]}\n${route('[small, compress]')}`;
    const { config, problems } = await loadText(text);
    assert.deepEqual(
      problems.filter(({ severity }) => severity === 'error'),
      [],
    );
    const uses = config?.routes['r']?.policies ?? [];
    assert.deepEqual(
      uses.map(({ name, label }) => [name, label]),
      [
        ['bodyLimit', 'small'],
        ['bodyLimit', 'small'],
        ['compress', 'compress'],
      ],
    );
    assert.equal(uses[0]?.options, uses[1]?.options);
  });

  test('are validated with the schema of their policy, at the right place', async () => {
    const text = `policies:
  p: {bodyLimit: {max: 5}}
defaults:
  policies: [{requestId: {heder: x}}]
routes:
  r: {respond: {}, policies: [p, {cors: {origins: []}}, {use: ./policies/tenant.ts, options: {header: 5, wat: 1}}]}
`;
    assert.deepEqual(await problemsOf(text, modules), [
      '2:24 error BAD_VALUE policies.p.bodyLimit.max: write a size such as 512B, 16KiB, 10MiB or 1GiB',
      '4:27 error UNKNOWN_KEY unknown key "heder" in defaults.policies[0].requestId (did you mean "header"?)',
      '6:42 error BAD_VALUE routes.r.policies[1].cors.origins: is empty',
      '6:103 error BAD_VALUE routes.r.policies[2].options.header: expected text, found a number: put it in quotes',
      '6:106 error UNKNOWN_KEY unknown key "wat" in routes.r.policies[2].options (did you mean "wait"?)',
    ]);
  });

  test('may name what is not available yet, and are refused then', async () => {
    assert.deepEqual(await problemsOf(route('[{fault: {sample: 5%}}, validate]')), [
      '4:17 error NOT_AVAILABLE the policy fault is not available yet',
      '4:39 error NOT_AVAILABLE the policy validate is not available yet',
    ]);
  });

  test('may not name what is not there', async () => {
    const text = `policies: {small: {bodyLimit: {max: 1KiB}}}\n${route('[smal, {crs: {}}, something-else]')}`;
    assert.deepEqual(await problemsOf(text), [
      '5:16 error UNKNOWN_POLICY there is no policy "smal" (did you mean "small"?)',
      '5:23 error UNKNOWN_POLICY there is no policy "crs" (did you mean "cors"?)',
      '5:33 error UNKNOWN_POLICY there is no policy "something-else"',
    ]);
  });

  test('are one policy each', async () => {
    assert.deepEqual(await problemsOf(route('[{requestId: {}, compress: {}}, {}, 5, null, [requestId]]')), [
      '4:16 error BAD_VALUE routes.r.policies[0]: one policy is expected here, found several: begin each with its own dash',
      '4:47 error BAD_VALUE routes.r.policies[1]: one policy is expected here, found none',
      ...['4:51', '4:54', '4:60'].map(
        (place, index) =>
          `${place} error BAD_VALUE routes.r.policies[${index + 2}]: write the name of a policy, {name: options}, or {use: ./file.ts, options: …}`,
      ),
    ]);
  });

  test('of named policies have their options where they are named', async () => {
    const text = `policies:\n  small: {bodyLimit: {max: 1KiB}}\n  twice: small\n  cors: requestId\n${route('[{small: {max: 2KiB}}]')}`;
    assert.deepEqual(await problemsOf(text), [
      '3:3 error UNKNOWN_POLICY there is no policy "small"',
      '3:3 warning UNUSED policies.twice is not used by anything',
      '4:3 error BAD_NAME policies.cors: there is a policy of this name already; take another name',
      '4:3 warning UNUSED policies.cors is not used by anything',
      '8:17 error BAD_VALUE routes.r.policies[0]: the options of small are under policies.small; here only its name can be written',
    ]);
  });

  test('are looked at in routes that are wrong in another way', async () => {
    assert.deepEqual(await problemsOf('routes: {r: {respond: {status: 5}, policies: [nope]}}'), [
      '1:32 error BAD_VALUE routes.r.respond.status: must be at least 200',
      '1:47 error UNKNOWN_POLICY there is no policy "nope"',
    ]);
  });

  test('of modules that cannot be loaded say why', async () => {
    const text = route('[{use: ./none.ts}, {use: ./throws.ts}, {use: ./missing.ts, option: 1}, {use: 5}]');
    assert.deepEqual(await problemsOf(text, modules), [
      '4:22 error POLICY_LOAD ./none.ts: its default export is not a policy: write `export default definePolicy({…})`',
      '4:40 error POLICY_LOAD ./throws.ts: it cannot be loaded: Unexpected token in line 3',
      '4:60 error POLICY_LOAD ./missing.ts: it cannot be loaded: Cannot find module /gw/missing.ts',
      '4:74 error UNKNOWN_KEY unknown key "option" in routes.r.policies[2] (did you mean "options"?)',
      '4:92 error BAD_VALUE routes.r.policies[3].use: write the path of a module',
    ]);
  });

  test('survive a schema that throws, without showing what it was given', async () => {
    const options = z.string().transform((text) => {
      throw new Error(`I do not like ${text}`);
    });
    const hostile = registryOf([policy('hostile', { options })]);
    assert.deepEqual(await problemsOf(route('[{hostile: sesame}]'), { registry: hostile }), [
      '4:26 error POLICY_LOAD the policy hostile failed while it looked at its options',
    ]);
  });

  test('import every module once', async () => {
    let imports = 0;
    const importModule = async (): Promise<unknown> => {
      imports++;
      return { default: tenant };
    };
    const use = '{use: ./policies/tenant.ts, options: {header: x}}';
    await loadText(`policies: {p: ${use}}\ndefaults: {policies: [${use}]}\n${route(`[p, ${use}, ${use}]`)}`, {
      importModule,
    });
    assert.equal(imports, 1);
  });
});

suite('the order of policies', () => {
  const options: TestOptions = {
    registry: registryOf([
      policy('key', { provides: ['consumer'] }),
      policy('allow', { needs: ['consumer'] }),
      policy('plain'),
    ]),
  };

  test('is right when what is needed was provided before, also by the defaults', async () => {
    assert.deepEqual(await problemsOf(route('[key, plain, allow, allow]'), options), []);
    assert.deepEqual(await problemsOf(`defaults: {policies: [key]}\n${route('[allow]')}`, options), []);
  });

  test('is wrong when it is provided later, or not at all', async () => {
    assert.deepEqual(await problemsOf(route('[allow, key]'), options), [
      '4:16 error POLICY_ORDER allow needs "consumer", which key provides: put it after key',
    ]);
    assert.deepEqual(await problemsOf(route('[plain, allow]'), options), [
      '4:23 error POLICY_ORDER allow needs "consumer", which no policy before it provides',
    ]);
  });

  test('is told once for the defaults, not for every route', async () => {
    const text = `defaults: {policies: [allow]}\nroutes: {a: {respond: {}}, b: {respond: {}, policies: [plain]}}\n`;
    assert.deepEqual(await problemsOf(text, options), [
      '1:23 error POLICY_ORDER allow needs "consumer", which no policy before it provides',
    ]);
  });

  test('is not judged where a policy could not be found', async () => {
    assert.deepEqual(await problemsOf(route('[kee, allow]'), options), [
      '4:16 error UNKNOWN_POLICY there is no policy "kee" (did you mean "key"?)',
    ]);
  });
});

suite('the marks of option schemas', () => {
  test('are seen in the options of policies', async () => {
    const marked = policy('marked', {
      options: z.strictObject({
        password: z.string().meta({ secret: true }),
        later: z.number().meta({ notAvailable: true }).optional(),
      }),
    });
    const options: TestOptions = { registry: registryOf([marked]), env: { PASSWORD: 'sesame' } };
    assert.deepEqual(await problemsOf(route('[{marked: {password: sesame, later: 1}}]'), options), [
      '4:36 warning SECRET_IN_CLEAR routes.r.policies[0].marked.password is a secret: take it from the environment (${env:NAME}) or a file (${file:path})',
      '4:44 error NOT_AVAILABLE routes.r.policies[0].marked.later is not available yet',
    ]);
    assert.deepEqual(await problemsOf(route('[{marked: {password: "${env:PASSWORD}"}}]'), options), []);
  });
});

suite('policies that are built in', () => {
  const either = policy('either', { combines: true, options: z.array(z.unknown()) });
  const builtin = registryOf([either, policy('key'), policy('token'), policy('plain'), policy('unused')]);

  test('are loaded only if the configuration uses them, wherever it does', async () => {
    const text = `policies: {named: plain}\n${route('[{either: [key, {either: [{token: }]}]}, named]')}`;
    const { problems, policies } = await loadText(text, { registry: builtin });
    assert.deepEqual(problems, []);
    assert.deepEqual([...policies.keys()].toSorted(), ['either', 'key', 'plain', 'token']);
    const { policies: none } = await loadText(route('[unuse]'), { registry: builtin });
    assert.equal(none.size, 0);
  });

  test('are what is meant by a name that is nearly theirs, also if nothing uses them', async () => {
    assert.deepEqual(await problemsOf(route('[unuse]'), { registry: builtin }), [
      '4:16 error UNKNOWN_POLICY there is no policy "unuse" (did you mean "unused"?)',
    ]);
  });

  test('combine modules as well', async () => {
    const use = '{use: ./policies/tenant.ts, options: {header: x}}';
    const { config, problems } = await loadText(route(`[{either: [key, ${use}]}]`), { ...modules, registry: builtin });
    assert.deepEqual(problems, []);
    assert.ok(config);
    assert.deepEqual(
      Array.from(policyUses(config), ({ name, module }) => [name, module]),
      [
        ['either', null],
        ['key', null],
        ['tenant', '/gw/policies/tenant.ts'],
      ],
    );
    assert.deepEqual([...builtinNames(config)], ['either', 'key']);
  });

  test('are no inherited properties', async () => {
    assert.equal((await builtinPolicies.load(['constructor', '__proto__', 'toString'])).size, 0);
  });
});

suite('the names of the standard policies', () => {
  test('are those that are built in and those that are to come', () => {
    for (const name of builtinPolicies.names) assert.ok((standardPolicies as readonly string[]).includes(name), name);
    assert.deepEqual([...standardPolicies].toSorted(), [...standardPolicies]);
  });
});
