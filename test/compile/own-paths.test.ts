import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { findRouteProblems } from '../../src/compile/route-findings.ts';
import { parseConfig } from '../../src/config/load.ts';
import { builtinPolicies } from '../../src/policies/index.ts';

const login = 'oidc: {issuer: "https://id.example", clientId: web, secret: "${env:SECRET}"';

async function warnings(routes: string, policies = ''): Promise<string[]> {
  const loaded = await parseConfig(`policies: {login: {${login}}}${policies}}\nroutes:\n${routes}`, {
    registry: builtinPolicies,
    fileName: 'gateway.yaml',
    env: { SECRET: 'a secret of at least thirty-two characters' },
    analyseRoutes: (sound) => Promise.resolve(findRouteProblems(sound)),
  });
  assert.deepEqual(
    loaded.problems.filter(({ code }) => code !== 'UNUSED'),
    [],
  );
  return (await loaded.analyse()).map(({ line, code, message }) => `${line} ${code} ${message}`);
}

suite('what a policy answers itself', () => {
  test('is told where no route brings it there', async () => {
    const missing = (path: string, host = 'any.example', label = 'login'): string =>
      `routes.shop: GET http://${host}/oauth2/${path} does not come to ${label}, which answers it: let a route with the same policy match it`;
    assert.deepEqual(await warnings('  shop: {match: {path: /shop/*}, policies: [login], respond: {}}\n'), [
      `3 POLICY_PATH ${missing('callback')}`,
      `3 POLICY_PATH ${missing('logout')}`,
    ]);
    const withoutIt = '  all: {respond: {}}\n';
    assert.equal(
      (await warnings(`  shop: {match: {path: /shop/*}, policies: [login], respond: {}}\n${withoutIt}`)).length,
      2,
    );
    const host = '{host: a.example, path: /shop/*}';
    assert.deepEqual(await warnings(`  shop: {match: ${host}, policies: [{${login}}}], respond: {}}\n`), [
      `3 POLICY_PATH ${missing('callback', 'a.example', 'oidc')}`,
      `3 POLICY_PATH ${missing('logout', 'a.example', 'oidc')}`,
    ]);
  });

  test('is told once for each host, however many routes use the policy', async () => {
    const routes = ['a', 'b', 'c'].map(
      (name) => `  ${name}: {match: {path: /${name}/*}, policies: [login], respond: {}}\n`,
    );
    assert.equal((await warnings(routes.join(''))).length, 2);
  });

  test('is nothing to tell of where the route itself, or another one with the policy, matches it', async () => {
    assert.deepEqual(await warnings('  all: {policies: [login], respond: {}}\n'), []);
    const own = `  shop: {match: {path: /shop/*}, policies: [{${login}, callbackPath: /shop/in, logoutPath: /shop/out}}], respond: {}}\n`;
    assert.deepEqual(await warnings(own), []);
    assert.deepEqual(
      await warnings(
        '  shop: {match: {path: /shop/*}, policies: [login], respond: {}}\n  login: {match: {path: /oauth2/*}, policies: [login], respond: {}}\n',
      ),
      [],
    );
  });
});
