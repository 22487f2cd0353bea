/** An OpenID provider that says what a test wants it to, by way of the calls of a policy. */
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { type CallRequest, type CallResponse, CallError } from '../../src/contract.ts';

export const issuer = 'https://id.example';

/** What a login is asked for with. */
export interface AskedLogin {
  readonly url: URL;
  readonly state: string;
  readonly nonce: string;
  readonly redirectUri: string;
}

type Json = Readonly<Record<string, unknown>>;

const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const otherKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });

export class ScriptedProvider {
  readonly calls: CallRequest[] = [];
  /** Members of the discovery document that are different. */
  metadata: Json = {};
  /** Claims of ID tokens that are different; one that is undefined is left out. */
  claims: Json = {};
  /** Members of answers of the token endpoint that are different; one that is undefined is left out. */
  tokens: Json = {};
  /** Instead of an answer, by the end of the path that is asked for. */
  failures: Record<string, () => CallResponse> = {};
  signsWithOtherKey = false;
  /** Held back until it is resolved. */
  gate: Promise<void> = Promise.resolve();
  private readonly challenges = new Map<string, string>();
  private readonly nonces = new Map<string, string>();
  private issued = 0;

  /** A login as the browser would take it: what was asked for, and the answer's query. */
  approve(
    location: string,
    more: Readonly<Record<string, string | undefined>> = {},
  ): { readonly asked: AskedLogin; readonly query: string } {
    const url = new URL(location);
    const get = (name: string): string => url.searchParams.get(name) ?? '';
    const code = `code-${this.challenges.size + 1}`;
    this.challenges.set(code, get('code_challenge'));
    this.nonces.set(code, get('nonce'));
    const answer = new URLSearchParams();
    const members: Readonly<Record<string, string | undefined>> = { code, state: get('state'), iss: issuer, ...more };
    for (const [name, value] of Object.entries(members)) if (value !== undefined) answer.append(name, value);
    const asked = { url, state: get('state'), nonce: get('nonce'), redirectUri: get('redirect_uri') };
    return { asked, query: answer.toString() };
  }

  /** How often the path was asked for. */
  count(path: string): number {
    return this.calls.filter(({ url }) => url.endsWith(path)).length;
  }

  readonly call = async (request: CallRequest): Promise<CallResponse> => {
    this.calls.push(request);
    await this.gate;
    const { pathname } = new URL(request.url);
    const failure = this.failures[pathname];
    if (failure !== undefined) return failure();
    switch (pathname) {
      case '/.well-known/openid-configuration':
        return json(this.discovery());
      case '/jwks':
        return json({ keys: [{ ...keys.publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'ES256', use: 'sig' }] });
      case '/token':
        return this.token(new URLSearchParams(String(request.body)));
      case '/userinfo':
        return json({ sub: 'alice', email: 'alice@example.com' });
      default:
        throw new CallError('nobody is there');
    }
  };

  private discovery(): Json {
    return {
      issuer,
      authorization_endpoint: `${issuer}/auth`,
      token_endpoint: `${issuer}/token`,
      userinfo_endpoint: `${issuer}/userinfo`,
      jwks_uri: `${issuer}/jwks`,
      end_session_endpoint: `${issuer}/logout`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
      authorization_response_iss_parameter_supported: true,
      ...this.metadata,
    };
  }

  private token(body: URLSearchParams): CallResponse {
    const code = body.get('code') ?? '';
    const isFirst = body.get('grant_type') === 'authorization_code';
    if (isFirst) {
      const challenge = createHash('sha256')
        .update(body.get('code_verifier') ?? '')
        .digest('base64url');
      if (challenge !== this.challenges.get(code)) return json({ error: 'invalid_grant' }, 400);
    }
    this.issued++;
    return json({
      access_token: `access-${this.issued}`,
      token_type: 'Bearer',
      expires_in: 300,
      refresh_token: `refresh-${this.issued}`,
      id_token: this.idToken(isFirst ? this.nonces.get(code) : undefined),
      ...this.tokens,
    });
  }

  private idToken(nonce: string | undefined): string {
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: issuer, aud: 'web', sub: 'alice', iat: now, exp: now + 300, nonce, ...this.claims };
    const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const signed = `${encode({ alg: 'ES256', kid: 'k1' })}.${encode(claims)}`;
    const key = this.signsWithOtherKey ? otherKeys.privateKey : keys.privateKey;
    return `${signed}.${sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
  }
}

export function json(value: unknown, status = 200): CallResponse {
  return { status, headers: [['content-type', 'application/json']], body: Buffer.from(JSON.stringify(value)) };
}

export function unreachable(): never {
  throw new CallError('nobody answers');
}
