/** The options of the policy `jwt`. */
import { z } from '../../util/schema.ts';
import { duration } from '../../util/units.ts';
import { commonOptions } from '../authentication/authenticating.ts';
import { consumerByOption } from '../authentication/consumer-of-claims.ts';
import { placeOptions } from '../authentication/credential-place.ts';
import { forwardClaimsOption } from '../authentication/forward-claims.ts';
import { realm } from '../authentication/realm.ts';
import { algorithmNames } from './algorithms.ts';
import { claimConditions } from '../authentication/claim-condition.ts';

const name = z.string().min(1).max(1000);
const names = z.union([name, z.array(name).min(1).max(100)], { error: 'write a text or a list of texts' });
const algorithm = z.enum(algorithmNames);

const httpUrl = z.string().refine((text) => isHttpUrl(text), { error: 'write an https:// URL' });

const keyUse = {
  kid: name.optional().describe('Its id; tokens that name another one are not tried with it.'),
  algorithm: algorithm.optional().describe('The only algorithm that it is for. By default what goes with its type.'),
};

const key = z
  .union(
    [
      z.string().min(1),
      z.strictObject({ pem: z.string().min(1).describe('A public key or a certificate.'), ...keyUse }),
      z.strictObject({
        jwk: z.record(z.string(), z.unknown()).meta({ secret: true }).describe('A key as JSON (RFC 7517).'),
        ...keyUse,
      }),
      z.strictObject({
        secret: z.string().min(1).meta({ secret: true }).describe('Shared with who signs, 32 bytes or more.'),
        encoding: z.enum(['utf8', 'base64', 'base64url', 'hex']).default('utf8').describe('How it is written.'),
        ...keyUse,
      }),
    ],
    { error: 'write a public key in PEM form, or an object with `pem`, `jwk` or `secret`' },
  )
  .describe('A public key in PEM form, or an object with `pem`, `jwk` or `secret`.');

const keySet = z
  .union(
    [
      z.string().min(1),
      z
        .strictObject({
          url: httpUrl.optional().describe('Where it is. By default the issuer is asked.'),
          ca: z.string().min(1).optional().describe('Authorities that its server is verified by: a file, or PEM text.'),
          timeout: duration({ min: 1, max: 60_000 })
            .prefault('5s')
            .describe('How long one fetch may take, and a request wait for it.'),
          refresh: duration({ min: 1_000 })
            .prefault('10m')
            .describe('It is fetched again after this time at the latest.'),
          cooldown: duration({ min: 1_000 }).prefault('10s').describe('It is never fetched twice within this time.'),
        })
        .refine(({ url, ca }) => ca === undefined || url === undefined || !/^http:/i.test(url), {
          error: 'a http:// server is reached without TLS: write https://, or leave this out',
          path: ['ca'],
        }),
    ],
    { error: 'write a URL, the name of a file, or an object with `url`' },
  )
  .optional()
  .describe(
    'The key set (RFC 7517) of the issuer: a URL, a file, which is read again when it changes, or an object with `url` ' +
      'and how to fetch it. With neither `jwks` nor `keys`, the issuer is asked where its keys are (OpenID Connect Discovery).',
  );

/** What says whose tokens are accepted. */
const provider = {
  issuer: name.optional().describe('What the claim `iss` must be.'),
  audience: names.optional().describe('One of these must be in the claim `aud`. By default nobody looks at it.'),
  jwks: keySet,
  keys: z.array(key).min(1).max(32).optional().describe('The keys themselves, instead of `jwks`.'),
  algorithms: z
    .array(algorithm)
    .min(1)
    .optional()
    .describe('The only algorithms that are accepted. By default those that each key is for.'),
  claims: claimConditions,
  consumerBy: consumerByOption,
};

const ownProvider = z.strictObject(provider).superRefine((given, context) => {
  for (const { path, message } of problemsOf(given)) context.addIssue({ code: 'custom', path, message });
});

type Given = z.output<z.ZodObject<typeof provider>>;

export const jwtOptions = z
  .strictObject({
    ...commonOptions,
    ...provider,
    providers: z
      .array(ownProvider)
      .min(1)
      .max(32)
      .optional()
      .describe(
        'Several issuers, each with options of its own, instead of one. The claim `iss` says which one counts.',
      ),
    clockSkew: duration({ max: 600_000 })
      .prefault('0s')
      .describe('By how much the clocks of issuers may differ from this one.'),
    typ: names
      .optional()
      .describe('What the header `typ` must be. By default `JWT`, `at+jwt` (RFC 9068), or nothing at all.'),
    scopes: z
      .union([scope(), z.array(scope()).min(1).max(100)], { error: 'write a scope or a list of scopes' })
      .optional()
      .describe('All that the token must have been granted, or the answer is 403.'),
    forwardClaims: forwardClaimsOption,
    header: placeOptions.header.describe('The header that has the token, instead of `authorization`.'),
    query: placeOptions.query.describe('The parameter of the query that has the token. It ends up in logs of others.'),
    cookie: placeOptions.cookie.describe('The cookie that has the token.'),
    realm,
  })
  .superRefine((given, context) => {
    const { providers } = given;
    const report = (path: (string | number)[], message: string): void =>
      context.addIssue({ code: 'custom', path, message });
    if (providers === undefined) {
      for (const { path, message } of problemsOf(given)) report(path, message);
      return;
    }
    for (const option of ['issuer', 'audience', 'jwks', 'keys', 'algorithms', 'consumerBy'] as const) {
      if (given[option] !== undefined) report([option], `write "${option}" for each of the providers`);
    }
    if (Object.keys(given.claims).length > 0) report(['claims'], 'write "claims" for each of the providers');
    const issuers = new Set<string>();
    for (const [index, { issuer }] of providers.entries()) {
      if (issuer === undefined) report(['providers', index], 'each of several providers needs an "issuer"');
      else if (issuers.has(issuer)) report(['providers', index, 'issuer'], 'this issuer is named twice');
      else issuers.add(issuer);
    }
  });

export type JwtOptions = z.output<typeof jwtOptions>;
export type ProviderOptions = Given;
export type KeyOption = z.output<typeof key>;

/** RFC 6749, section 3.3. */
function scope() {
  return z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/, { error: 'a scope is visible ASCII without " and \\' });
}

/** Those of secrets, which nobody publishes: see `keyFromJwk`. */
const secretAlgorithm = /^HS/;

function problemsOf({ issuer, jwks, keys, algorithms }: Given): { path: string[]; message: string }[] {
  if (keys !== undefined && jwks !== undefined) {
    return [{ path: ['keys'], message: 'name either "jwks" or "keys": where keys come from must be certain' }];
  }
  const isPublished = keys === undefined && (typeof jwks !== 'string' || isHttpUrl(jwks));
  if (isPublished && algorithms?.some((one) => secretAlgorithm.test(one))) {
    const message = 'HS256, HS384 and HS512 take a secret, which no key set has that can be fetched: name it in "keys"';
    return [{ path: ['algorithms'], message }];
  }
  const asksIssuer = keys === undefined && (jwks === undefined || (typeof jwks !== 'string' && jwks.url === undefined));
  if (!asksIssuer) return [];
  if (issuer === undefined) {
    return [{ path: [], message: 'name "jwks", "keys", or an "issuer" that says where its keys are' }];
  }
  if (isHttpUrl(issuer)) return [];
  return [{ path: ['issuer'], message: 'this issuer cannot be asked for its keys: name "jwks" or "keys"' }];
}

/** A URL of the network, as opposed to the name of a file. */
export function isHttpUrl(text: string): boolean {
  return /^https?:\/\/[^/?#\\@\s]+(?:[/?][^#\\\s]*)?$/i.test(text) && URL.canParse(text);
}
