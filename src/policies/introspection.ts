import {
  type Authenticator,
  type Claims,
  type Credential,
  definePolicy,
  type Exchange,
  type PolicyEnv,
  Refusal,
} from '../contract.ts';
import { parseCallUrl } from '../http/call-url.ts';
import { z } from '../util/schema.ts';
import { duration } from '../util/units.ts';
import { authenticating, commonOptions } from './authentication/authenticating.ts';
import { callTlsOf, callTlsOption, refuseUnusedCa } from './authentication/call-tls.ts';
import { callUrlOption } from './authentication/call-url-option.ts';
import { ClaimCondition, claimConditions } from './authentication/claim-condition.ts';
import { ConsumerOfClaims, consumerByOption } from './authentication/consumer-of-claims.ts';
import { credentialOfClaims } from './authentication/credential-of-claims.ts';
import { placeOptions } from './authentication/credential-place.ts';
import { ForwardedClaims, forwardClaimsOption } from './authentication/forward-claims.ts';
import { challengeFor, realm } from './authentication/realm.ts';
import { tooManyAttempts } from './authentication/refuse.ts';
import type { EndpointOptions, TokenFacts } from './introspection/introspection-endpoint.ts';
import { SentToken, problemOf } from './introspection/sent-token.ts';
import { answersOf } from './introspection/shared-answers.ts';
import type { TokenAnswers } from './introspection/token-answers.ts';

/** RFC 6749, section 3.3. */
const scope = z
  .string()
  .max(200)
  .regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, { error: 'a scope has neither blanks, quotes nor backslashes' });

const name = z.string().min(1).max(1000);
const names = z.union([name, z.array(name).min(1).max(100)], { error: 'write a text or a list of texts' });

const options = z
  .strictObject({
    ...commonOptions,
    url: callUrlOption.describe('The introspection endpoint of the authorisation server.'),
    clientId: z.string().min(1).max(500).optional().describe('Who the gateway is there; with `clientSecret`.'),
    clientSecret: z
      .string()
      .min(1)
      .max(4096)
      .meta({ secret: true })
      .optional()
      .describe('The secret that belongs to `clientId`. Left out together where the endpoint asks for neither.'),
    header: placeOptions.header.describe('The header that has the token, instead of `authorization`.'),
    query: placeOptions.query.describe('The parameter of the query that has the token. It ends up in logs of others.'),
    cookie: placeOptions.cookie.describe('The cookie that has the token.'),
    cacheFor: duration({ max: 3_600_000 })
      .prefault('30s')
      .describe(
        'How long an answer about a valid token counts, though never longer than the token: so long may one be used that was revoked meanwhile. `0s` asks with every request.',
      ),
    issuer: names.optional().describe('Who must have issued the token: `iss`, or a list of which it is one.'),
    audience: names.optional().describe('Whom the token must be for: `aud` has this, or one of these.'),
    claims: claimConditions,
    scopes: z
      .union([scope, z.array(scope).min(1).max(100)], { error: 'write a scope or a list of scopes' })
      .optional()
      .describe('All that the token must have been granted, or the answer is 403.'),
    consumerBy: consumerByOption,
    forwardClaims: forwardClaimsOption,
    timeout: duration({ min: 1, max: 60_000 })
      .prefault('2s')
      .describe('How long the endpoint may take. Then the answer is 503.'),
    tls: callTlsOption,
    realm,
  })
  .refine(({ clientId, clientSecret }) => (clientId === undefined) === (clientSecret === undefined), {
    error: 'clientId and clientSecret go together',
    path: ['clientSecret'],
    when: ({ issues }) => issues.length === 0,
  })
  .superRefine(refuseUnusedCa);

type Options = z.output<typeof options>;

/** Says who calls by asking the authorisation server about the token. */
export const introspection = definePolicy({
  name: 'introspection',
  summary: 'Lets requests pass that have a token of which the authorisation server says that it is valid (RFC 7662).',
  options,
  provides: ['consumer'],
  create(given, env) {
    warnOfClearText(given, env);
    const answers = answersOf(endpointOf(given, env), given.cacheFor, env);
    return authenticating(authenticatorFor(given, answers, env), given, env);
  },
});

function endpointOf({ url, clientId, clientSecret, timeout, tls }: Options, env: PolicyEnv): EndpointOptions {
  const client = clientId === undefined || clientSecret === undefined ? null : { id: clientId, secret: clientSecret };
  return { url, client, timeoutMs: timeout, ...callTlsOf(tls, env.baseDir) };
}

function warnOfClearText({ url }: Options, env: PolicyEnv): void {
  const { isSecure, host } = parseCallUrl(url);
  const isOwn = host === 'localhost' || host === '::1' || /^127\.[\d.]+$/.test(host);
  // RFC 7662, section 4: the endpoint must be protected by TLS.
  if (!isSecure && !isOwn) env.warn('tokens and the client secret go to the introspection endpoint unencrypted');
}

function authenticatorFor(given: Options, answers: TokenAnswers, env: PolicyEnv): Authenticator {
  const tokens = new SentToken(given);
  const forwarded = new ForwardedClaims(given.forwardClaims);
  const rules = new TokenRules(given, env);
  const judge = (found: TokenFacts | Refusal): Credential | Refusal => {
    return found instanceof Refusal ? found : rules.verdictOn(found);
  };
  return {
    challenge: challengeFor('Bearer', given.realm),
    invalidChallenge: `${challengeFor('Bearer', given.realm)}, error="invalid_token"`,
    ownHeaders: forwarded.headers,
    secretFields: tokens.secretFields,
    authenticate(exchange) {
      const token = tokens.read(exchange);
      if (token instanceof Refusal) return token;
      const found = answers.find(token);
      if (found !== undefined) return judge(found);
      return problemOf(token) ?? dampedBefore(exchange, env) ?? answers.ask(token).then(judge);
    },
    conceal: (exchange) => tokens.conceal(exchange),
    tell: (exchange, credential) => forwarded.tell(exchange, credential),
  };
}

/** Whoever guesses tokens makes no work for the server either. */
function dampedBefore({ clientIp }: Exchange, { damping }: PolicyEnv): Refusal | null {
  const { refuseMs } = damping.look(clientIp, '');
  if (refuseMs === 0) return null;
  const reason = 'too many tokens that did not hold';
  return new Refusal('damped', reason, tooManyAttempts(refuseMs, reason));
}

const otherIssuer = new Refusal('invalid', 'the token is from another issuer');
const otherAudience = new Refusal('invalid', 'the token is for another audience');

/** What one route asks of tokens that are valid. Looked at once for each token, as long as no consumer changes. */
class TokenRules {
  private readonly realm: string;
  private readonly scopes: readonly string[];
  private readonly issuers: readonly unknown[];
  private readonly audiences: readonly unknown[];
  private readonly conditions: readonly ClaimCondition[];
  private readonly consumer: ConsumerOfClaims;
  private readonly consumers: PolicyEnv['consumers'];
  private verdicts = new WeakMap<TokenFacts, Credential | Refusal>();
  private version: number;

  constructor(given: Options, { consumers }: PolicyEnv) {
    this.realm = given.realm;
    this.scopes = listOf(given.scopes);
    this.issuers = listOf(given.issuer);
    this.audiences = listOf(given.audience);
    this.conditions = Object.entries(given.claims).map(([claim, condition]) => new ClaimCondition(claim, condition));
    this.consumer = new ConsumerOfClaims(given.consumerBy, consumers);
    this.consumers = consumers;
    this.version = consumers.version;
  }

  verdictOn(facts: TokenFacts): Credential | Refusal {
    if (this.version !== this.consumers.version) {
      this.version = this.consumers.version;
      this.verdicts = new WeakMap();
    }
    let verdict = this.verdicts.get(facts);
    if (verdict === undefined) {
      verdict = this.judge(facts.claims);
      this.verdicts.set(facts, verdict);
    }
    return verdict;
  }

  private judge(claims: Claims): Credential | Refusal {
    const { iss, aud } = claims;
    if (this.issuers.length > 0 && !this.issuers.includes(iss)) return otherIssuer;
    const isMeant = (audience: unknown): boolean => this.audiences.includes(audience);
    if (this.audiences.length > 0 && !(Array.isArray(aud) ? aud.some(isMeant) : isMeant(aud))) return otherAudience;
    const unmet = this.conditions.find((condition) => !condition.isMetBy(claims));
    if (unmet !== undefined) return new Refusal('invalid', `the claim ${unmet.name} is not what it must be`);
    const credential = credentialOfClaims('introspection', claims, this.consumer.of(claims));
    const lacking = this.scopes.find((one) => !credential.scopes.includes(one));
    return lacking === undefined ? credential : this.insufficient(lacking);
  }

  /** RFC 6750, section 3.1: the token is as good as any, but not for this. */
  private insufficient(lacking: string): Refusal {
    const scopes = this.scopes.join(' ');
    const challenge = `${challengeFor('Bearer', this.realm)}, error="insufficient_scope", scope="${scopes}"`;
    const reason = `the token has not the scope ${lacking}`;
    return new Refusal('invalid', reason, {
      status: 403,
      code: 'FORBIDDEN',
      reason,
      headers: [['www-authenticate', challenge]],
    });
  }
}

function listOf(given: string | readonly string[] | undefined): readonly string[] {
  return given === undefined ? [] : typeof given === 'string' ? [given] : given;
}
