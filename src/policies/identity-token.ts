import {
  type Claims,
  type Consumer,
  type Credential,
  type Exchange,
  type PolicyEnv,
  definePolicy,
} from '../contract.ts';
import { ExpiringCache } from '../util/expiring-cache.ts';
import { z } from '../util/schema.ts';
import { duration } from '../util/units.ts';
import { ClaimPath, claimName } from './authentication/claim-path.ts';
import { headerName } from './header-options.ts';

/** What the gateway says itself; nobody else's claims take the place of these. */
const ownClaims: ReadonlySet<string> = new Set(['iss', 'sub', 'aud', 'iat', 'exp', 'nbf', 'jti', 'consumer', 'groups']);

const options = z.strictObject({
  header: headerName('request')
    .default('x-identity-token')
    .describe(
      'The header that carries the token; in `authorization` it follows `Bearer`. What the client itself sends in it is ' +
        'always removed.',
    ),
  audience: z
    .union([
      z
        .string()
        .min(1)
        .transform((text) => [text]),
      z.array(z.string().min(1)).min(1, { error: 'the list is empty' }),
    ])
    .optional()
    .describe('Whom it is for (`aud`). By default the name of the upstream that the request goes to.'),
  lifetime: duration({ min: 5000, max: 3_600_000 })
    .prefault('60s')
    .describe('How long a token is good for. One is used again until three quarters of that are over.'),
  claims: z
    .record(
      z
        .string()
        .regex(/^[^\p{Cc}]{1,200}$/u)
        .refine((name) => !ownClaims.has(name), { error: 'the gateway itself sets this claim' }),
      claimName,
    )
    .default({})
    .describe(
      'More claims, each with the claim of the credential that is its value: `{email: email, roles: realm_access.roles}`. ' +
        'One that the credential does not have is left out.',
    ),
});

type Options = z.output<typeof options>;

/** Tells the upstream who calls in a token that it can verify (RFC 7519). */
export const identityToken = definePolicy({
  name: 'identityToken',
  summary: 'Sends the upstream a short-lived token, signed by the gateway, that says who calls.',
  options,
  needs: ['consumer'],
  create(settings, env) {
    const { header } = settings;
    const prefix = header.toLowerCase() === 'authorization' ? 'Bearer ' : '';
    const minter = new Minter(settings, env);
    return {
      onRequest({ requestHeaders }) {
        // For each identity header: delete unconditionally, then set (GHSA-7r4p-vjf4-gxv4).
        requestHeaders.remove(header);
      },
      onUpstreamRequest(exchange, request) {
        const token = minter.tokenFor(exchange, request.upstream);
        if (token === null) request.headers.remove(header);
        else request.headers.set(header, prefix + token);
      },
    };
  },
});

/** Of one caller, for as many audiences. */
type Tokens = ExpiringCache<string>;

/** More upstreams than one route has. */
const maxAudiences = 64;

class Minter {
  private readonly settings: Options;
  private readonly env: PolicyEnv;
  private readonly identity: ReturnType<PolicyEnv['identity']>;
  private readonly claims: readonly (readonly [name: string, path: ClaimPath])[];
  /** Many requests share a credential, or a consumer. */
  private readonly made = new WeakMap<Credential | Consumer, Tokens>();

  constructor(settings: Options, env: PolicyEnv) {
    this.settings = settings;
    this.env = env;
    this.identity = env.identity();
    this.claims = Object.entries(settings.claims).map(([name, claim]) => [name, new ClaimPath(claim)]);
  }

  /** null where nobody is known to call. */
  tokenFor({ credential, consumer }: Pick<Exchange, 'credential' | 'consumer'>, upstream: string): string | null {
    // What a policy has put in the place of the credential's consumer is what counts.
    const isOfConsumer = consumer !== null && (this.claims.length === 0 || credential?.consumer !== consumer);
    const holder = isOfConsumer ? consumer : credential;
    if (holder === null) return null;
    const tokens = this.tokensOf(holder);
    const known = tokens.get(upstream, this.env.now());
    if (known !== undefined) return known;
    const { lifetime } = this.settings;
    const token = this.identity.sign(this.claimsOf(isOfConsumer ? null : credential, consumer, upstream));
    tokens.set(upstream, token, this.env.now() + lifetime * 0.75);
    return token;
  }

  private tokensOf(holder: Credential | Consumer): Tokens {
    let tokens = this.made.get(holder);
    if (tokens === undefined) this.made.set(holder, (tokens = new ExpiringCache(maxAudiences)));
    return tokens;
  }

  /** `consumer` says that `sub` is the name of one: the subject of somebody else's token may be called the same. */
  private claimsOf(credential: Credential | null, consumer: Consumer | null, upstream: string): Claims {
    const { audience, lifetime } = this.settings;
    const iat = Math.floor(this.env.wallNow() / 1000);
    const more =
      credential === null ? [] : this.claims.map(([name, path]) => [name, path.of(credential.claims)] as const);
    const sub = consumer?.name ?? credential?.subject ?? '';
    return {
      ...Object.fromEntries(more.filter(([, value]) => value !== undefined)),
      ...(sub !== '' && { sub }),
      ...(consumer !== null && { consumer: consumer.name, groups: consumer.groups }),
      aud: audience === undefined ? upstream : audience.length === 1 ? audience[0] : audience,
      iat,
      exp: iat + Math.floor(lifetime / 1000),
    };
  }
}
