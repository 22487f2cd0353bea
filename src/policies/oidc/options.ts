/** The options of the policy `oidc`. */
import { z } from '../../util/schema.ts';
import { duration } from '../../util/units.ts';
import { commonOptions } from '../authentication/authenticating.ts';
import { consumerByOption } from '../authentication/consumer-of-claims.ts';
import { forwardClaimsOption, writtenByGateway } from '../authentication/forward-claims.ts';
import { headerName } from '../header-options.ts';
import { isToken } from '../../http/grammar.ts';
import { isIssuer } from './issuer.ts';
import { isOwnPath } from './navigation.ts';

const minSecretLength = 32;
const SECRET_RULE = `is shorter than ${minSecretLength} characters: make one with \`openssl rand -base64 32\``;

const sealingSecret = z.string().min(minSecretLength, { error: SECRET_RULE }).max(1024).meta({ secret: true });

/** What the policy itself says when it asks for a login. */
const ownParameters: ReadonlySet<string> = new Set([
  'client_id',
  'code_challenge',
  'code_challenge_method',
  'nonce',
  'redirect_uri',
  'request',
  'request_uri',
  'response_mode',
  'response_type',
  'scope',
  'state',
]);

const ISSUER_RULE = 'write the https:// URL of the provider, as it stands in its tokens; http:// for this machine only';

const PATH_RULE = 'write a path such as /oauth2/callback';
const path = z
  .string()
  .refine((text) => isOwnPath(text) && !/[?#%]|\/\.{0,2}(?:\/|$)./.test(text), { error: PATH_RULE });
const pathAndQuery = z.string().refine((text) => isOwnPath(text) && !text.includes('#'), { error: PATH_RULE });

export const oidcOptions = z
  .strictObject({
    ...commonOptions,
    issuer: z
      .string()
      .refine(isIssuer, { error: ISSUER_RULE })
      .describe('The URL of the provider; what it can is discovered there.'),
    clientId: z.string().min(1).max(500).describe('What the provider calls the gateway.'),
    clientSecret: z
      .string()
      .min(1)
      .max(1024)
      .meta({ secret: true })
      .optional()
      .describe('The secret that the provider has given to the gateway; without one it is a public client.'),
    scopes: z
      .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, { error: 'a scope has no blanks, quotes or backslashes' }))
      .max(50)
      .default([])
      .describe('What is asked for besides `openid`, such as `profile`, `email` or `offline_access`.'),
    parameters: z
      .record(
        z.string().refine((name) => !ownParameters.has(name), { error: 'the policy itself sets this parameter' }),
        z.string().max(1000),
      )
      .default({})
      .describe('More parameters of the request for a login, such as `audience` or `prompt`.'),
    secret: z
      .union([sealingSecret.transform((one) => [one]), z.array(sealingSecret).min(1).max(8)], { error: SECRET_RULE })
      .describe(
        'What the session cookies are encrypted with, at least 32 characters, the same on all machines. Of a list the first encrypts and all decrypt: to change it, put the new one in front.',
      ),
    callbackPath: path
      .default('/oauth2/callback')
      .describe('Where the provider sends browsers back to. A route with this policy must match it.'),
    logoutPath: path
      .default('/oauth2/logout')
      .describe('What ends the session, here and at the provider. A route with this policy must match it.'),
    afterLogout: pathAndQuery.default('/').describe('The page to come to after a logout.'),
    cookie: z
      .strictObject({
        name: z
          .string()
          .max(100)
          .refine((name) => isToken(name) && !name.startsWith('__'), { error: 'write a name such as gw_session' })
          .default('gw_session')
          .describe('The name of the cookie; over https `__Host-` is put in front.'),
      })
      .prefault({})
      .describe('The session cookie.'),
    lifetime: duration({ min: 1000 }).prefault('12h').describe('How long a session lasts at most.'),
    idle: duration({ min: 1000 }).prefault('2h').describe('How long a session lasts that nobody uses.'),
    refreshBefore: duration({ min: 0 })
      .prefault('30s')
      .describe('How long before they expire tokens are refreshed, if the provider gives refresh tokens.'),
    store: z
      .string()
      .min(1)
      .meta({ store: true })
      .optional()
      .describe('The store that sessions are kept in. Without one they are in the cookies themselves.'),
    userInfo: z
      .boolean()
      .default(false)
      .describe('Ask the UserInfo endpoint at login as well: some providers say only there what the scopes ask for.'),
    consumerBy: consumerByOption,
    forwardClaims: forwardClaimsOption,
    forwardAccessToken: z
      .union([z.boolean(), headerName('request')])
      .refine((header) => typeof header === 'boolean' || !writtenByGateway.has(header.toLowerCase()), {
        error: 'the gateway itself sets this header',
      })
      .default(false)
      .describe(
        'Send the access token to the upstream: `true` as `Authorization: Bearer`, or in a header of this name.',
      ),
    timeout: duration({ min: 1, max: 60_000 }).prefault('5s').describe('How long an answer of the provider may take.'),
    ca: z.string().min(1).optional().describe('The authorities, in PEM form or as a file, to trust for the provider.'),
  })
  .refine(({ callbackPath, logoutPath }) => callbackPath !== logoutPath, {
    error: 'the two paths must differ',
    path: ['logoutPath'],
  })
  .refine(
    ({ forwardAccessToken: to, forwardClaims }) => {
      const header = to === true ? 'authorization' : String(to).toLowerCase();
      return to === false || !Object.keys(forwardClaims).some((name) => name.toLowerCase() === header);
    },
    { error: 'a header of `forwardClaims` cannot have the access token as well', path: ['forwardAccessToken'] },
  );
