/** A program that gets its token by client credentials from a real provider, beside people who log in there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../support/changes.ts';
import { TestGateway } from '../support/gateway.ts';
import { OidcProvider } from '../support/oidc-provider.ts';

test('a token by client credentials lets a program pass where it is meant for, and nowhere else', async (t) => {
  const client = { client_id: 'machine', client_secret: 'of the machine', redirect_uris: [], response_types: [] };
  const provider = await OidcProvider.start(t, { clients: [{ ...client, grant_types: ['client_credentials'] }] });
  const jwks = `${provider.issuer}/jwks`;
  const gateway = await TestGateway.start(t, {
    telemetry: { accessLog: false },
    listeners: { web: { host: '127.0.0.1', port: 0 } },
    routes: {
      orders: {
        match: { path: '/orders' },
        policies: [{ jwt: { issuer: provider.issuer, audience: 'urn:orders', jwks, scopes: ['api'] } }],
        respond: { body: 'orders' },
      },
      other: {
        match: { path: '/other' },
        policies: [{ jwt: { issuer: provider.issuer, audience: 'urn:other', jwks } }],
        respond: { body: 'other' },
      },
    },
  });
  const answered = await fetch(`${provider.issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa('machine:of+the+machine')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', resource: 'urn:orders', scope: 'api' }),
  });
  const { access_token: token } = (await answered.json()) as { access_token: string };
  const ask = async (path: string, headers: Record<string, string>): Promise<number> =>
    (await fetch(`${gateway.url()}${path}`, { headers })).status;
  const authorization = `Bearer ${token}`;
  await eventually(async () => (await ask('/orders', { authorization })) === 200, 'the keys of the provider');
  assert.equal(await ask('/orders', {}), 401);
  assert.equal(await ask('/other', { authorization }), 401);
  assert.equal(await ask('/orders', { authorization: `${authorization.slice(0, -4)}AAAA` }), 401);
});
