/** A policy that authenticates by a header of its own, in which a test writes what is to be found out. */
import {
  type Authenticator,
  type Claims,
  type Consumer,
  type Credential,
  type Exchange,
  type PolicyDefinition,
  Refusal,
  type RefusalKind,
  type Reply,
  definePolicy,
} from '../../src/contract.ts';
import { authenticating, commonOptions } from '../../src/policies/authentication/authenticating.ts';
import { z } from '../../src/util/schema.ts';

/** What is found out: a refusal, or `valid`. */
export type Finding = RefusalKind | 'valid';

export interface HeaderPolicyOptions {
  /** Takes its time, as what has to ask somebody does. */
  readonly isSlow?: boolean;
  /** Instead of the usual answer to what is missing. */
  readonly login?: Reply;
  /** Whom a credential that does not hold claims to belong to. */
  readonly account?: string;
  readonly consumer?: Consumer | null;
  readonly claims?: Claims;
  readonly scopes?: readonly string[];
}

/** What it says of a request whose header `x-<name>` is the finding; `missing` without one. */
export function headerAuthenticator(name: string, options: HeaderPolicyOptions = {}): Authenticator {
  const { isSlow = false, login = null, claims = {}, scopes = [], account = '' } = options;
  const consumer = options.consumer === undefined ? { name: `${name}-consumer`, groups: [] } : options.consumer;
  const credential: Credential = Object.freeze({ method: name, subject: name, consumer, claims, scopes });
  const verdictOn = ({ requestHeaders }: Exchange): Credential | Refusal => {
    const finding = requestHeaders.get(`x-${name}`) ?? 'missing';
    if (finding === 'valid') return credential;
    if (finding === 'missing') return new Refusal('missing', 'nothing sent', login);
    if (finding === 'answered') return new Refusal('answered', 'for itself', { status: 302, body: name });
    const kind = finding === 'unavailable' || finding === 'damped' ? finding : 'invalid';
    return new Refusal(kind, `found ${finding}`, null, kind === 'invalid' ? account : '');
  };
  return {
    challenge: `Custom realm="${name}"`,
    invalidChallenge: `Custom realm="${name}", error="invalid"`,
    ownHeaders: [`x-told-by-${name}`],
    authenticate: (exchange) => (isSlow ? Promise.resolve().then(() => verdictOn(exchange)) : verdictOn(exchange)),
    conceal: ({ requestHeaders }) => requestHeaders.remove(`x-${name}`),
    tell: ({ requestHeaders }) => requestHeaders.set(`x-told-by-${name}`, 'yes'),
  };
}

export function headerPolicy(name: string, given: HeaderPolicyOptions = {}): PolicyDefinition {
  return definePolicy({
    name,
    summary: 'For tests.',
    options: z.strictObject({ ...commonOptions, pin: z.string().meta({ secret: true }).optional() }),
    provides: ['consumer'],
    create: (options, env) => authenticating(headerAuthenticator(name, given), options, env),
  });
}
