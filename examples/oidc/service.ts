/**
 * An OpenID provider for the example, where every name and password is right. A real one is somebody else's: Keycloak,
 * Auth0, Entra ID, Google and others.
 */
import { type Server, createServer } from 'node:http';
import { Provider } from 'oidc-provider';

export const port = 3003;

const issuer = 'http://127.0.0.1:3003';
const gateway = 'http://127.0.0.1:8080';

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'gateway',
      client_secret: process.env['OIDC_CLIENT_SECRET'] ?? 'the secret of the example',
      redirect_uris: [`${gateway}/oauth2/callback`],
      post_logout_redirect_uris: [`${gateway}/goodbye`],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
    },
  ],
  claims: { profile: ['name'] },
  conformIdTokenClaims: false,
  cookies: { keys: ['only for the example'] },
  findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id, name: `${id} of the example` }) }),
  issueRefreshToken: () => Promise.resolve(true),
});

export function createService(): Server {
  const answer = provider.callback();
  return createServer((request, response) => void answer(request, response));
}
