import {
  type Authenticator,
  type CallTls,
  type Credential,
  definePolicy,
  type Exchange,
  type PolicyEnv,
  Refusal,
} from '../contract.ts';
import { withoutCookies, withoutCookiesFrom } from '../http/cookie-pairs.ts';
import { isToken } from '../http/grammar.ts';
import { z } from '../util/schema.ts';
import { duration } from '../util/units.ts';
import { AskedService } from './authentication/asked-service.ts';
import { authenticating } from './authentication/authenticating.ts';
import { callTlsOf, callTlsOption, refuseUnusedCa } from './authentication/call-tls.ts';
import { callUrlOption } from './authentication/call-url-option.ts';
import { writtenByGateway } from './authentication/forward-claims.ts';
import { type AnswerRules, type Permission, readAnswer } from './forward-auth/answer.ts';
import { Permissions, permissionKey } from './forward-auth/permissions.ts';
import { Question, sendHeadersOption } from './forward-auth/question.ts';
import { headerName } from './header-options.ts';

/** A page to log in fits; what is longer is none. */
const maxAnswerBytes = 262_144;

const copiedName = headerName('request').refine((name) => !writtenByGateway.has(name.toLowerCase()), {
  message: 'the gateway itself sets this header; `consumerHeader` says who calls',
});

const cookieName = z
  .string()
  .max(64)
  .refine((name) => isToken(name), { message: 'not the name of a cookie' });

const options = z
  .strictObject({
    url: callUrlOption.describe('The service that is asked about each request.'),
    method: z
      .enum(['GET', 'HEAD', 'POST'])
      .default('GET')
      .describe('How it is asked; never with a body. How the client called is in `X-Forwarded-Method`.'),
    sendHeaders: sendHeadersOption,
    copyHeaders: z
      .array(copiedName)
      .max(100)
      .default([])
      .describe(
        'Headers of the answer that go to the upstream. What the client itself sends in them is always removed, also where the answer has none.',
      ),
    consumerHeader: z
      .string()
      .refine(isToken, { message: 'not a header name' })
      .optional()
      .describe('The header of the answer that names the consumer, as in `x-auth-request-user`.'),
    forward: z
      .boolean()
      .default(false)
      .describe(
        'Send `authorization` and cookies on to the upstream as they are. By default those that the service was sent are taken out of the request.',
      ),
    cookies: z
      .array(cookieName)
      .max(20)
      .optional()
      .describe(
        'The cookies of the service, with a `*` at the end for all that begin like this, as in `_oauth2_proxy*`: only these are taken out of the request, and others go on. By default all are.',
      ),
    cacheFor: duration({ max: 3_600_000 })
      .prefault('0s')
      .describe(
        'How long the service is not asked again about a request that is the same in all that it gets to see. Only what it lets pass without setting a cookie is remembered. By default it is asked with every request.',
      ),
    timeout: duration({ min: 1, max: 60_000 })
      .prefault('2s')
      .describe('How long the service may take. Then the answer is 503.'),
    tls: callTlsOption,
  })
  .superRefine(refuseUnusedCa)
  .superRefine(({ cookies, forward, sendHeaders }, context) => {
    if (cookies === undefined) return;
    const report = (message: string): void => context.addIssue({ code: 'custom', path: ['cookies'], message });
    if (forward) report('none is taken out of the request where `forward` is true');
    else if (sendHeaders !== '*' && !sendHeaders.some((name) => name.toLowerCase() === 'cookie')) {
      report('none is taken out of the request where the service is sent none: name `cookie` in `sendHeaders`');
    }
  });

type Options = z.output<typeof options>;

/** Lets a service say who may pass. */
export const forwardAuth = definePolicy({
  name: 'forwardAuth',
  summary: 'Asks a service about each request: with 2xx it passes, any other answer is the answer to the client.',
  options,
  provides: ['consumer'],
  create(given, env) {
    const deciding = new DecidingService(given, env);
    const policy = authenticating(deciding, { forward: given.forward, optional: false }, env);
    return { ...policy, onResponse: (exchange) => deciding.addCookies(exchange) };
  },
});

class DecidingService implements Authenticator {
  // What it asks for is in its own answers.
  readonly challenge = '';
  readonly ownHeaders: readonly string[];
  readonly secretFields: readonly string[] = [];
  private readonly given: Options;
  private readonly env: PolicyEnv;
  private readonly rules: AnswerRules;
  private readonly question: Question;
  private readonly service: AskedService;
  private readonly tls: { readonly tls?: CallTls };
  private readonly permissions: Permissions | null;
  private readonly permissionOf = new WeakMap<Credential, Permission>();
  /** For the responses to come. */
  private readonly cookiesFor = new WeakMap<Exchange, readonly string[]>();

  constructor(given: Options, env: PolicyEnv) {
    this.given = given;
    this.env = env;
    this.ownHeaders = given.copyHeaders.map((name) => name.toLowerCase());
    this.rules = { copyHeaders: this.ownHeaders, consumerHeader: given.consumerHeader?.toLowerCase() ?? '' };
    this.question = new Question(given.sendHeaders);
    this.service = new AskedService('the authorisation service', env);
    this.tls = callTlsOf(given.tls, env.baseDir);
    this.permissions = given.cacheFor === 0 ? null : new Permissions(given.cacheFor, () => env.now());
  }

  authenticate(exchange: Exchange): Credential | Promise<Credential | Refusal> {
    const fields = this.question.fieldsFor(exchange);
    if (this.permissions === null) return this.ask(exchange, fields, null);
    const key = permissionKey(fields);
    const known = this.permissions.find(key);
    return known === undefined ? this.ask(exchange, fields, key) : this.credentialOf(known);
  }

  conceal({ requestHeaders }: Exchange): void {
    // What the service has put in their place is what the upstream is meant to get.
    const isSecret = (name: string): boolean => this.question.includes(name) && !this.ownHeaders.includes(name);
    if (isSecret('authorization')) requestHeaders.remove('authorization');
    if (!isSecret('cookie')) return;
    const fields = requestHeaders.getAll('cookie');
    if (fields.length === 0) return;
    const rest = this.withoutOwnCookies(fields);
    requestHeaders.remove('cookie');
    for (const field of rest) requestHeaders.add('cookie', field);
  }

  tell(exchange: Exchange, credential: Credential): void {
    const permission = this.permissionOf.get(credential);
    if (permission === undefined) return;
    // For each of them: delete unconditionally, then set (GHSA-7r4p-vjf4-gxv4).
    for (const name of this.ownHeaders) exchange.requestHeaders.remove(name);
    for (const [name, value] of permission.copies) exchange.requestHeaders.add(name, value);
    if (permission.cookies.length > 0) this.cookiesFor.set(exchange, permission.cookies);
  }

  /** What the service wants the client to keep, such as a session that it has renewed. */
  addCookies(exchange: Exchange): void {
    for (const cookie of this.cookiesFor.get(exchange) ?? []) exchange.responseHeaders.add('set-cookie', cookie);
  }

  private async ask(
    exchange: Exchange,
    headers: ReturnType<Question['fieldsFor']>,
    key: string | null,
  ): Promise<Credential | Refusal> {
    const { url, method, timeout } = this.given;
    const { signal } = exchange;
    const response = await this.service.ask({
      url,
      method,
      headers,
      timeoutMs: timeout,
      maxBytes: maxAnswerBytes,
      signal,
      ...this.tls,
    });
    if (response instanceof Refusal) return response;
    const answer = readAnswer(response, this.rules, this.question.isAnonymous(exchange));
    if (typeof answer === 'string') return this.service.unavailable(answer);
    if (answer instanceof Refusal) return answer;
    if (key !== null) this.permissions?.note(key, answer);
    return this.credentialOf(answer);
  }

  private credentialOf(permission: Permission): Credential {
    const { caller } = permission;
    const consumer = caller === '' ? null : (this.env.consumers.byName(caller) ?? null);
    const credential = { method: 'forwardAuth', subject: caller, consumer, claims: noClaims, scopes: noScopes };
    this.permissionOf.set(Object.freeze(credential), permission);
    return credential;
  }

  private withoutOwnCookies(fields: readonly string[]): readonly string[] {
    const { cookies } = this.given;
    if (cookies === undefined) return [];
    return cookies.reduce<readonly string[]>((left, name) => {
      const rest = name.endsWith('*') ? withoutCookiesFrom(left, name.slice(0, -1)) : withoutCookies(left, name);
      return rest ?? left;
    }, fields);
  }
}

const noClaims = Object.freeze({});
const noScopes: readonly string[] = Object.freeze([]);
