/** Ways in which secrets come to the gateway: policies and upstreams with secrets, and requests with secrets for them. */
import { createHash, createHmac } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { hashSync } from 'bcryptjs';

/** Every secret begins with this. What is looked for are its first letters, also as they are in base64 and hexadecimal. */
const canary = 'CaNaRyBiRd';
export const secretOf = (what: string): string => `${canary}-${what}-0123456789abcdef0123456789`;
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
export const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** All that nobody may find: secrets, in whatever form they come. Base64 has three, by where in the text they begin. */
export const traces: readonly string[] = [
  canary,
  canary.toLowerCase(),
  Buffer.from(canary).toString('hex'),
  ...[0, 1, 2].map((offset) => base64(`${'x'.repeat(offset)}${canary}`).slice(offset === 0 ? 0 : 4, -4)),
];

export interface Case {
  /** The policies of its route. */
  readonly policies: readonly unknown[];
  /** What requests carry: header lines, or a target. Each is sent to its route, to one without policies and to none. */
  readonly credentials: readonly (string | { readonly query: string })[];
  readonly consumer?: object;
  readonly env?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
  /** What its upstream is like besides its targets. */
  readonly upstream?: object;
  /** Other forms that its secrets must not be found in. */
  readonly traces?: readonly string[];
}

const index = JSON.stringify(fileURLToPath(new URL('../../src/index.ts', import.meta.url)));

/** A way to authenticate that fails in every way, with secrets in what it says. */
const leaking = `import { definePolicy, z, Refusal } from ${index};
export default definePolicy({
  name: 'leaking', summary: 'For tests.', provides: ['consumer'],
  options: z.strictObject({ pin: z.string().meta({ secret: true }) }),
  create({ pin }, env) {
    env.warn('made with ' + pin);
    const authenticate = ({ requestHeaders }) => {
      const how = requestHeaders.get('x-how');
      if (how === 'throw') throw Object.assign(new Error('failed with ' + pin), { pin, cause: new Error(pin) });
      if (how === 'reject') return Promise.reject(new Error(pin));
      return new Refusal(how === 'invalid' ? 'invalid' : 'missing', 'not with ' + pin);
    };
    return { authenticator: { challenge: 'Leaking', authenticate, conceal() {} } };
  },
});
`;

export const key = secretOf('api-key');
const password = secretOf('password');
const passwordHash = hashSync(password, 4);
/** Nobody is there. */
const nowhere = 'http://127.0.0.1:1';

/** A token that holds, as far as its secret is right. */
function tokenWith(claims: object, secret: string): string {
  const parts = [{ alg: 'HS256' }, { exp: Math.floor(Date.now() / 1000) + 3600, ...claims }];
  const input = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}

const tokenSecret = secretOf('hs256');
const tokens = [
  tokenWith({ sub: 'ann' }, tokenSecret),
  tokenWith({ sub: 'bob' }, 'another secret'),
  tokenWith({ iss: secretOf('claim') }, tokenSecret),
];
/** What makes a token one: it cannot be recognised by how it begins. */
const signatureOf = (token: string): string => token.slice(token.lastIndexOf('.') + 1);

export const cases: Readonly<Record<string, Case>> = {
  apiKey: {
    policies: [{ apiKey: { header: 'x-api-key', query: 'api_key', cookie: 'key' } }],
    consumer: { apiKeys: [{ hash: `sha256:${sha256(key)}` }] },
    credentials: [
      ...[key, `${key}-wrong`, `${key}, ${key}`].map((text) => `x-api-key: ${text}\r\n`),
      `cookie: key=${key}\r\n`,
      `x-api-key: ${key}\r\nx-api-key: ${key}\r\n`,
      { query: `api_key=${key}` },
      { query: `a=1&api%5Fkey=${key}&b=2` },
      { query: `api_key=${key}&api_key=${key}` },
    ],
    traces: [sha256(key)],
  },
  anyOf: {
    policies: [{ anyOf: ['apiKey', { use: './leaking.ts', options: { pin: '${env:ANY_OF_PIN}' } }] }],
    env: { ANY_OF_PIN: secretOf('any-of') },
    files: { 'leaking.ts': leaking },
    credentials: [
      '',
      ...['throw', 'reject', 'invalid', 'missing'].map((how) => `x-how: ${how}\r\n`),
      `authorization: Bearer ${secretOf('bearer')}\r\n`,
      `authorization: Basic ${base64(`user:${secretOf('basic')}`)}\r\n`,
      `proxy-authorization: ${secretOf('proxy')}\r\ncookie: session=${secretOf('session')}\r\n`,
    ],
  },
  authorize: {
    policies: [{ apiKey: {} }, { authorize: { groups: ['staff'], claims: { pin: '${env:CLAIM_TOKEN}' } } }],
    env: { CLAIM_TOKEN: secretOf('claim') },
    credentials: [`x-api-key: ${key}\r\n`],
  },
  basicAuth: {
    policies: [{ basicAuth: {} }],
    consumer: { basic: { user: 'ann', password: passwordHash } },
    credentials: [`ann:${password}`, `ann:${password}x`, `${password}:x`, `ann:${password}\u0000`].map(
      (text) => `authorization: Basic ${base64(text)}\r\n`,
    ),
    traces: [passwordHash.slice(7), base64(passwordHash).slice(12, -4)],
  },
  jwt: {
    policies: [
      { jwt: { keys: [{ secret: '${env:JWT_SECRET}' }], query: 'jwt', header: 'authorization', cookie: 'jwt' } },
    ],
    env: { JWT_SECRET: tokenSecret },
    credentials: [
      ...tokens.map((token) => `authorization: Bearer ${token}\r\n`),
      `cookie: jwt=${tokens[0]}\r\n`,
      ...tokens.map((token) => ({ query: `jwt=${token}` })),
    ],
    traces: tokens.map(signatureOf),
  },
  publishedKeys: {
    policies: [{ jwt: { issuer: 'i', jwks: { url: '${env:KEYS_URL}', timeout: '1s' } } }],
    env: { KEYS_URL: `${nowhere}/keys?key=${secretOf('jwks')}` },
    credentials: [`authorization: Bearer ${tokenWith({ iss: 'i' }, tokenSecret)}\r\n`],
  },
  oidc: {
    policies: [
      {
        oidc: {
          issuer: nowhere,
          clientId: 'gateway',
          clientSecret: '${env:OIDC_CLIENT_SECRET}',
          secret: '${env:OIDC_SECRET}',
          callbackPath: '/oidc/callback',
          logoutPath: '/oidc/x',
        },
      },
    ],
    env: { OIDC_CLIENT_SECRET: secretOf('oidc-client'), OIDC_SECRET: secretOf('oidc') },
    credentials: [
      'accept: text/html\r\n',
      `accept: text/html\r\ncookie: gw_session=${secretOf('session')}\r\n`,
      `cookie: gw_session.login-0123456789=${secretOf('login')}\r\norigin: http://x\r\n`,
    ],
  },
  introspection: {
    policies: [
      { introspection: { url: nowhere, clientId: 'gateway', clientSecret: '${env:CLIENT_SECRET}', query: 'access' } },
    ],
    env: { CLIENT_SECRET: secretOf('client') },
    credentials: [
      { query: `access=${secretOf('access')}` },
      { query: `access=${secretOf('one')}&access=${secretOf('two')}` },
    ],
  },
  forwardAuth: {
    policies: [{ forwardAuth: { url: '${env:AUTH_URL}', consumerHeader: 'x-user' } }],
    env: { AUTH_URL: `${nowhere}/check?key=${secretOf('asked')}` },
    credentials: [`authorization: Basic ${base64(secretOf('basic'))}\r\n`, `cookie: sid=${secretOf('sid')}\r\n`],
  },
  messageSignature: {
    policies: [{ messageSignature: {} }],
    consumer: { hmac: { keyId: 'k2', secret: '${env:SIGNING}' } },
    env: { SIGNING: secretOf('signing') },
    credentials: [
      `signature-input: s=("@method" "@authority" "@path" "@query");created=${Math.floor(Date.now() / 1000)};keyid="k2"\r\nsignature: s=:${base64(secretOf('signature'))}:\r\n`,
      `signature-input: s=();keyid="${secretOf('key-id')}"\r\nsignature: s=:AAAA:\r\n`,
      `signature-input: ${secretOf('malformed')}\r\n`,
    ],
  },
  identityToken: {
    policies: [{ apiKey: {} }, { identityToken: {} }],
    credentials: [`x-api-key: ${key}\r\n`, `x-api-key: ${key}\r\nx-identity-token: ${secretOf('forged')}\r\n`],
  },
  bearerForUpstream: {
    policies: [],
    upstream: { auth: { bearer: '${env:UPSTREAM_TOKEN}', headers: { 'x-key': '${env:UPSTREAM_KEY}' } } },
    env: { UPSTREAM_TOKEN: secretOf('upstream'), UPSTREAM_KEY: secretOf('upstream-key') },
    credentials: ['', `authorization: Bearer ${secretOf('client')}\r\n`],
  },
  basicForUpstream: {
    policies: [],
    upstream: { auth: { basic: { user: 'gateway', password: '${env:UPSTREAM_PASSWORD}' } } },
    env: { UPSTREAM_PASSWORD: secretOf('upstream-password') },
    credentials: [''],
  },
  tokenForUpstream: {
    policies: [],
    upstream: {
      auth: {
        clientCredentials: {
          tokenUrl: '${env:TOKEN_URL}',
          clientId: 'g',
          clientSecret: '${env:TOKEN_SECRET}',
          timeout: '1s',
        },
      },
    },
    env: { TOKEN_URL: `${nowhere}/token?key=${secretOf('token-url')}`, TOKEN_SECRET: secretOf('token-secret') },
    credentials: [''],
  },
  signedForUpstream: {
    policies: [],
    upstream: { auth: { signature: { keyId: 'g', algorithm: 'hmac-sha256', key: '${env:UPSTREAM_HMAC}' } } },
    env: { UPSTREAM_HMAC: secretOf('upstream-hmac') },
    credentials: ['', 'signature: s=:AAAA:\r\n'],
  },
  headers: {
    policies: [
      { headers: { request: { set: { authorization: '${env:SET_TOKEN}', 'x-plain-name': '${file:./set.txt}' } } } },
    ],
    env: { SET_TOKEN: `Bearer ${secretOf('set')}` },
    files: { 'set.txt': `${secretOf('file')}\n` },
    credentials: ['', { query: `token=${secretOf('token')}` }],
  },
};
