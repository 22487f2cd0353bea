import { type Authenticator, definePolicy, type PolicyEnv, Refusal, type Reply } from '../contract.ts';
import { errors } from '../errors.ts';
import { authenticating } from './authentication/authenticating.ts';
import { ConsumerOfClaims } from './authentication/consumer-of-claims.ts';
import { ForwardedClaims } from './authentication/forward-claims.ts';
import { challengeFor } from './authentication/realm.ts';
import { type TokenPlace, tokenPlaces } from './authentication/token-place.ts';
import { ClaimCondition } from './authentication/claim-condition.ts';
import { typeName } from './jwt/compact-token.ts';
import { jwtOptions, type JwtOptions, type ProviderOptions } from './jwt/options.ts';
import { keyDocumentOf, keySetOf } from './jwt/provider-keys.ts';
import { sharedVerifier } from './jwt/shared-verifiers.ts';
import { type Provider, TokenVerifier, type TokenVerifierOptions } from './jwt/token-verifier.ts';

type Published = Parameters<typeof keySetOf>[1];

const missing = new Refusal('missing', 'no token');
const ambiguous = new Refusal('invalid', 'more than one token');

/** Says who calls by a token that an issuer has signed (RFC 7519), as RFC 8725 recommends. */
export const jwt = definePolicy({
  name: 'jwt',
  summary: 'Lets requests pass that have a token which a trusted issuer has signed.',
  options: jwtOptions,
  provides: ['consumer'],
  create(options, env) {
    // Before anything is waited for, so that it is let go with the rest, whatever becomes of the configuration.
    const published = (options.providers ?? [options]).map((given): Published => {
      const source = keyDocumentOf(given, env.baseDir);
      return source === null ? null : { source, document: env.document(source) };
    });
    return loadJose().then((isSignedWith) => {
      const verifier = verifierFor(options, env, published, isSignedWith);
      return authenticating(authenticatorFor(tokenPlaces(options), options, verifier), options, env);
    });
  },
});

/** Who has no tokens to verify does not wait for the library that does. */
async function loadJose(): Promise<TokenVerifierOptions['isSignedWith']> {
  const { compactVerify } = await import('../util/jose.ts');
  return async ({ text, algorithm }, { key }) => {
    try {
      await compactVerify(text, key, { algorithms: [algorithm] });
      return true;
    } catch {
      return false;
    }
  };
}

function authenticatorFor(
  places: readonly TokenPlace[],
  { realm, forwardClaims }: JwtOptions,
  verifier: TokenVerifier,
): Authenticator {
  const forwarded = new ForwardedClaims(forwardClaims);
  const challenge = challengeFor('Bearer', realm);
  const authenticate =
    places.length === 1 ? authenticateByOne(places[0], verifier) : authenticateBySeveral(places, verifier);
  return {
    challenge,
    invalidChallenge: `${challenge}, error="invalid_token"`,
    ownHeaders: forwarded.headers,
    secretFields: places.map(({ secretField }) => secretField),
    authenticate,
    conceal(exchange) {
      for (const place of places) place.remove(exchange);
    },
    tell: (exchange, credential) => forwarded.tell(exchange, credential),
  };
}

type Authenticate = Authenticator['authenticate'];

function authenticateByOne(place: TokenPlace, verifier: TokenVerifier): Authenticate {
  return (exchange) => {
    const text = place.read(exchange);
    if (text === undefined) return missing;
    return verifier.recall(text) ?? verify(place, text, verifier);
  };
}

/** RFC 6750, section 2: a request has a token in one place only. */
function authenticateBySeveral(places: readonly TokenPlace[], verifier: TokenVerifier): Authenticate {
  return (exchange) => {
    const found = places.flatMap((place) => {
      const text = place.read(exchange);
      return text === undefined || (text !== '' && place.tokenIn(text) === null) ? [] : [{ place, text }];
    });
    if (found.length === 0) return missing;
    if (found.length > 1) return ambiguous;
    const [{ place, text }] = found;
    return verifier.recall(text) ?? verify(place, text, verifier);
  };
}

function verify(place: TokenPlace, text: string, verifier: TokenVerifier): ReturnType<Authenticate> {
  if (text === '') return ambiguous;
  const token = place.tokenIn(text);
  return token === null ? missing : verifier.verify(text, token);
}

// ---- what is accepted ------------------------------------------------------------------------------------------------

function verifierFor(
  options: JwtOptions,
  env: PolicyEnv,
  published: readonly Published[],
  isSignedWith: TokenVerifierOptions['isSignedWith'],
): TokenVerifier {
  const { providers = [options], typ, scopes = [], clockSkew, realm } = options;
  const trusted = providers.map(({ issuer, audience, jwks, keys, algorithms, claims, consumerBy }) => {
    return { issuer, audience, jwks, keys, algorithms, claims, consumerBy };
  });
  const required = listOf(scopes);
  const accepted = { trusted, typ, required, clockSkew, realm, baseDir: env.baseDir };
  const documents = published.map((one) => one?.document ?? null);
  return sharedVerifier(env.consumers, accepted, documents, () => {
    return new TokenVerifier({
      providers: trusted.map((given, index) => providerOf(given, published[index], env)),
      types: listOf(typ ?? ['jwt', 'at+jwt']).map(typeName),
      typeRequired: typ !== undefined,
      skewMs: clockSkew,
      scopes: required,
      insufficientScope: insufficientScope(realm, required),
      now: () => env.wallNow(),
      consumers: env.consumers,
      isSignedWith,
    });
  });
}

function providerOf(given: ProviderOptions, published: Published, env: PolicyEnv): Provider {
  const { issuer = null, audience = [], claims, consumerBy } = given;
  return {
    issuer,
    audiences: listOf(audience),
    keys: keySetOf(given, published, (message) => env.warn(message)),
    conditions: Object.entries(claims).map(([name, condition]) => new ClaimCondition(name, condition)),
    consumers: new ConsumerOfClaims(consumerBy, env.consumers),
  };
}

/** RFC 6750, section 3.1. */
function insufficientScope(realm: string, required: readonly string[]): Reply {
  const challenge = `${challengeFor('Bearer', realm)}, error="insufficient_scope", scope="${required.join(' ')}"`;
  return { status: errors.FORBIDDEN.status, code: 'FORBIDDEN', headers: [['www-authenticate', challenge]] };
}

function listOf(given: string | readonly string[]): readonly string[] {
  return typeof given === 'string' ? [given] : given;
}
