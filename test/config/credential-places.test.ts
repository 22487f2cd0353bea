/** A credential is taken out of the request by the policy that has verified it: the next one finds none. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { problemsOf } from './load-text.ts';

const jwt = 'jwks: "https://id.example/keys"';
const asked = 'url: "https://id.example/introspect"';

const use = (written: string): string => (written.includes(':') ? `{${written}}` : written);

/** Of these codes alone; that no consumer has a credential is not what this is about. */
async function warned(own: string, defaults = ''): Promise<string[]> {
  const problems = await problemsOf(
    `defaults: {policies: [${defaults}]}\nroutes:\n  r: {respond: {}, policies: [${own}]}\n`,
  );
  return problems.filter((one) => !one.includes('no consumer has') && !one.includes('UNUSED'));
}

suite('a credential that was taken out', () => {
  test('is not there for the next policy', async () => {
    assert.deepEqual(await warned('apiKey', 'apiKey'), [
      '3:31 warning NEVER_ALLOWED routes.r.policies[0]: apiKey of defaults.policies[0] takes out what apiKey looks for (the header x-api-key), so that everybody is refused: let that one have `forward: true`, or leave one of them out',
    ]);
    for (const [first, second] of [
      [`jwt: {${jwt}}`, `introspection: {${asked}}`],
      [`jwt: {${jwt}, optional: true}`, `jwt: {${jwt}, header: Authorization}`],
      [`jwt: {${jwt}, cookie: t, header: x-t}`, `introspection: {${asked}, cookie: t}`],
      ['apiKey: {query: key}', 'apiKey: {query: key}'],
      ['basicAuth', 'basicAuth'],
      [`anyOf: [apiKey, {jwt: {${jwt}}}]`, `introspection: {${asked}}`],
    ]) {
      assert.match((await warned(`${use(first)}, ${use(second)}`)).join(), /^3:\d+ warning NEVER_ALLOWED /, second);
    }
  });

  test('makes an optional policy idle', async () => {
    const problems = await warned(`{jwt: {${jwt}}}, {introspection: {${asked}, optional: true}}`);
    assert.match(problems.join(), /^3:\d+ warning NO_EFFECT .* so that it lets everything pass: /);
  });

  test('is no matter where it may be there after all', async () => {
    for (const [first, second] of [
      [`jwt: {${jwt}, forward: true}`, `introspection: {${asked}}`],
      [`jwt: {${jwt}}`, 'apiKey'],
      [`jwt: {${jwt}}`, 'basicAuth'],
      [`jwt: {${jwt}}`, `introspection: {${asked}, cookie: t, header: authorization}`],
      [`jwt: {${jwt}}`, `anyOf: [apiKey, {introspection: {${asked}}}]`],
      ['apiKey: {header: x-a}', 'apiKey: {header: x-b}'],
      [`jwt: {${jwt}, forwardClaims: {x-api-key: key}, header: x-api-key}`, 'apiKey'],
    ]) {
      assert.deepEqual(await warned(`${use(first)}, ${use(second)}`), [], second);
    }
    const asks = '{forwardAuth: {url: "https://login.example/", copyHeaders: [authorization]}}';
    assert.deepEqual(await warned(`{jwt: {${jwt}}}, ${asks}, {introspection: {${asked}}}`), []);
  });
});

test('one of several ways cannot leave in the request what another one takes out', async () => {
  const ways = (one: string, other: string): Promise<string[]> => warned(`{anyOf: [${one}, ${other}]}`);
  assert.deepEqual(await ways(`{jwt: {${jwt}, forward: true}}`, `{introspection: {${asked}}}`), [
    '3:31 warning NO_EFFECT routes.r.policies[0]: `forward` of jwt has no effect, as introspection takes the same out of the request: let both have it',
  ]);
  assert.deepEqual(await ways(`{jwt: {${jwt}, forward: true}}`, `{introspection: {${asked}, forward: true}}`), []);
  assert.deepEqual(await ways(`{jwt: {${jwt}, forward: true}}`, 'apiKey'), []);
});
