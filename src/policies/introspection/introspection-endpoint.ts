/** Asks an authorisation server what it knows of a token (RFC 7662, section 2). */
import { type CallTls, type Claims, type PolicyEnv, Refusal } from '../../contract.ts';
import { clientBasic } from '../../http/client-basic.ts';
import { AskedService } from '../authentication/asked-service.ts';

/** More than anybody says of a token; what is remembered of many of them must fit into memory. */
const maxBytes = 32_768;

export interface EndpointOptions {
  readonly url: string;
  /** Null for an endpoint that does not ask who we are. */
  readonly client: { readonly id: string; readonly secret: string } | null;
  readonly timeoutMs: number;
  readonly tls?: CallTls;
}

/** What the server says of a token that is active. */
export interface TokenFacts {
  readonly claims: Claims;
  /** Wall-clock milliseconds; Infinity where it does not say. */
  readonly expiresAt: number;
  /** Wall-clock milliseconds; -Infinity where it does not say. */
  readonly notBefore: number;
}

/** One value for all tokens that are not active. */
export const inactive = new Refusal('invalid', 'the token is not active');

export class IntrospectionEndpoint {
  private readonly options: EndpointOptions;
  private readonly headers: readonly (readonly [name: string, value: string])[];
  private readonly service: AskedService;

  constructor(options: EndpointOptions, env: Pick<PolicyEnv, 'call' | 'now' | 'warn'>) {
    const { client } = options;
    this.options = options;
    this.service = new AskedService('the introspection endpoint', env);
    this.headers = [
      ['accept', 'application/json'],
      ['content-type', 'application/x-www-form-urlencoded'],
      ...(client === null ? [] : [['authorization', clientBasic(client.id, client.secret)] as const]),
    ];
  }

  async ask(token: string): Promise<TokenFacts | Refusal> {
    const { url, timeoutMs, tls } = this.options;
    const answer = await this.service.ask({
      url,
      method: 'POST',
      headers: this.headers,
      body: new URLSearchParams({ token, token_type_hint: 'access_token' }).toString(),
      // Asking twice changes nothing.
      idempotent: true,
      timeoutMs,
      maxBytes,
      ...(tls !== undefined && { tls }),
    });
    if (answer instanceof Refusal) return answer;
    if (answer.status !== 200) return this.service.unavailable(`it answers with status ${answer.status}`);
    const claims = parseObject(answer.body);
    if (claims === null) return this.service.unavailable('its answer is not a JSON object');
    return this.factsOf(claims);
  }

  /** Strict about what decides: a text "false" is not false, and neither is it true. */
  private factsOf(claims: Claims): TokenFacts | Refusal {
    const active = own(claims, 'active');
    if (active === false) return inactive;
    if (active !== true) return this.service.unavailable('its answer does not say whether the token is active');
    const exp = own(claims, 'exp');
    const nbf = own(claims, 'nbf');
    if (!isDateOrAbsent(exp) || !isDateOrAbsent(nbf)) {
      return this.service.unavailable('its answer has an exp or nbf that is no date');
    }
    const malformed = names.find(([name, isRight]) => !isRight(own(claims, name)))?.[0];
    if (malformed !== undefined) return this.service.unavailable(`its answer has a malformed ${malformed}`);
    return { claims, expiresAt: exp == null ? Infinity : exp * 1000, notBefore: nbf == null ? -Infinity : nbf * 1000 };
  }
}

function own(claims: Claims, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined;
}

function parseObject(body: Uint8Array): Claims | null {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.freeze(value as Claims) : null;
  } catch {
    return null;
  }
}

/** Seconds since 1970. There are servers that write null for what they leave open. */
function isDateOrAbsent(value: unknown): value is number | null | undefined {
  return value == null || (typeof value === 'number' && Number.isFinite(value));
}

const isTextOrAbsent = (value: unknown): boolean => value == null || typeof value === 'string';

/** Of these, a value of another type may mean something else to whoever looks at it next (CVE-2025-30144). */
const names: readonly (readonly [name: string, isRight: (value: unknown) => boolean])[] = [
  ['iss', isTextOrAbsent],
  ['sub', isTextOrAbsent],
  ['aud', (aud) => isTextOrAbsent(aud) || (Array.isArray(aud) && aud.every((one) => typeof one === 'string'))],
];
