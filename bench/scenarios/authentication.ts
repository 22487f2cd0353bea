/**
 * What it costs to find out who calls: one credential again and again on a route that wants it, against the same requests on a
 * route that does not look.
 */
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { CookieStorage } from '../../src/policies/oidc/session-storage.ts';
import { Sealer } from '../../src/policies/oidc/sealer.ts';
import type { Session } from '../../src/policies/oidc/session.ts';
import { HOST } from '../probe.ts';
import { gatewrightArm, type Settings } from '../arms/gatewright.ts';
import { LOAD_METRICS, runLoad } from './load.ts';
import { smallGet } from './proxying.ts';
import type { Scenario } from './scenario.ts';

/** The row that has the same requests and no policy. */
export const BARE_ARM = 'bare';

/** What requests show, and the configuration that lets them in. */
interface Admission {
  readonly headers: Readonly<Record<string, string>>;
  readonly settings: Settings;
}

interface CredentialScenario {
  /** Of the scenario, and of the row that looks at the credential. */
  readonly name: string;
  readonly title: string;
  /** One sentence. */
  readonly method: string;
  /** Made when the scenario runs. */
  readonly admission: () => Admission | Promise<Admission>;
}

export const apiKey = scenarioFor({
  name: 'api-key',
  title: 'API key',
  method: 'The key is in `x-api-key` and is not sent on.',
  admission: () => {
    const key = `gw_${randomBytes(24).toString('base64url')}`;
    const hash = createHash('sha256').update(key).digest('hex');
    return {
      headers: { 'x-api-key': key },
      settings: { policies: '[{apiKey: {}}]', sections: `consumers: {app: {apiKeys: [{hash: "sha256:${hash}"}]}}` },
    };
  },
});

/** The same token again and again: verified once, and found in memory from then on. */
export const jwt = scenarioFor({
  name: 'jwt',
  title: 'token (JWT)',
  method: 'The token is in `authorization`, signed with RS256, with the claims of a usual one, and is not sent on.',
  admission: () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'key-1', alg: 'RS256' };
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: 'https://issuer.example', aud: 'shop', sub: 'user-4711', iat: now, exp: now + 86_400 };
    const more = { jti: randomBytes(16).toString('hex'), scope: 'orders:read orders:write', email: 'ann@example.com' };
    const parts = [
      { alg: 'RS256', typ: 'at+jwt', kid: 'key-1' },
      { ...claims, ...more },
    ];
    const input = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    const token = `${input}.${sign('sha256', Buffer.from(input), privateKey).toString('base64url')}`;
    const options = { issuer: claims.iss, audience: claims.aud, keys: [{ jwk }] };
    return {
      headers: { authorization: `Bearer ${token}` },
      settings: { policies: JSON.stringify([{ jwt: options }]) },
    };
  },
});

export const session = scenarioFor({
  name: 'session',
  title: 'session cookie',
  method: 'The cookie is one of a login by OpenID Connect, with an ID token of 900 bytes in it, and is not sent on.',
  admission: () => {
    const [issuer, clientId, secret] = ['https://id.example.com', 'web', randomBytes(32).toString('base64url')];
    const storage = new CookieStorage(new Sealer([secret]), [issuer, clientId]);
    const cookie = storage.write(exampleSession(), HOST);
    return {
      headers: { cookie: `gw_session=${cookie}` },
      settings: {
        policies: `[{oidc: {issuer: "${issuer}", clientId: ${clientId}, secret: "${secret}"}}]`,
        sections: 'consumers: {alice: {jwt: {subject: alice}}}',
      },
    };
  },
});

function exampleSession(): Session {
  const now = Date.now();
  const claims = { sub: 'alice', name: 'Alice Example', email: 'alice@example.com' };
  const payload = Buffer.from(JSON.stringify(claims)).toString('base64url');
  return {
    id: randomBytes(12).toString('base64url'),
    generation: 0,
    startedAt: now,
    endsAt: now + 12 * 3_600_000,
    seenAt: now,
    grantedAt: now,
    claims,
    scope: 'openid profile email',
    accessToken: '',
    accessExpiresAt: now + 3_600_000,
    refreshToken: randomBytes(48).toString('base64url'),
    idToken: `${randomBytes(30).toString('base64url')}.${payload}.${randomBytes(540).toString('base64url')}`,
  };
}

function scenarioFor({ name, title, method, admission }: CredentialScenario): Scenario {
  return {
    name,
    title,
    method: `As the bare scenario, with a credential in every request. ${method}`,
    metrics: LOAD_METRICS,
    reference: BARE_ARM,
    arms: ['gatewright'],
    rounds: 5,
    seconds: 2,
    async run(bench, arms) {
      if (!arms.some((arm) => arm.name === 'gatewright')) return [];
      const { headers, settings } = await admission();
      const plan = { ...smallGet, request: { ...smallGet.request, headers } };
      return runLoad(bench, [
        { arm: gatewrightArm(BARE_ARM, 'Gatewright, nobody looks at it', {}), plan },
        { arm: gatewrightArm(name, `Gatewright, ${title}`, settings), plan },
      ]);
    },
  };
}
