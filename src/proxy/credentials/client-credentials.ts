/**
 * A token of the gateway's own, by the client credentials grant (RFC 6749, section 4.4). It is fetched in the background,
 * once for all threads and ahead of its expiry; a request waits for it only where there has been none yet.
 */
import type { DocumentSource, MaybePromise, RemoteDocument } from '../../contract.ts';
import type { Lease } from '../../util/keep.ts';
import type { SentRequest, UpstreamCredential } from '../upstream-credential.ts';

export interface TokenRequest {
  /** Where tokens are given out; or `issuer`, whose metadata says where. */
  readonly tokenUrl: string | null;
  readonly issuer: string | null;
  /** The document that is the token, but for its `url`. */
  readonly source: Omit<DocumentSource, 'url'>;
}

export interface ClientCredentialsEnv {
  document(source: DocumentSource): Lease<RemoteDocument>;
  wallNow(): number;
  /** A line in the application log. */
  warn(message: string): void;
}

/** Metadata hardly ever changes. */
const metadataRefreshMs = 3_600_000;
/** One that expires on its way is of no use to the upstream. */
const marginMs = 5_000;
/** `b64token` (RFC 6750, section 2.1): anything else could be more than a token. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

export class ClientCredentials implements UpstreamCredential {
  readonly replaces: readonly string[] = ['authorization'];
  private readonly request: TokenRequest;
  private readonly env: ClientCredentialsEnv;
  private readonly metadata: Lease<RemoteDocument> | null;
  private token: Lease<RemoteDocument> | null = null;
  /** Where `token` comes from. */
  private tokenUrl = '';
  private closed = false;
  /** What was read last: of which version, confirmed when. */
  private version = 0;
  private confirmedAt = 0;
  private line = '';
  private expiresAt = 0;

  constructor(request: TokenRequest, env: ClientCredentialsEnv) {
    this.request = request;
    this.env = env;
    if (request.tokenUrl === null) {
      this.metadata = env.document(metadataSource(request));
      void this.metadata.value.refresh().then(() => this.openToken());
    } else {
      this.metadata = null;
      this.open(request.tokenUrl);
    }
  }

  ready(): MaybePromise<boolean> {
    return this.current() !== '' || this.fetched();
  }

  complete({ lines }: SentRequest): string {
    return lines + this.line;
  }

  /** It may have been revoked. Others go on with it meanwhile: it need not have been the token. */
  refused(): void {
    void this.token?.value.refresh();
  }

  close(): void {
    this.closed = true;
    this.metadata?.release();
    this.token?.release();
    this.token = null;
  }

  private async fetched(): Promise<boolean> {
    if (this.token === null) await this.metadata?.value.refresh();
    this.openToken();
    await this.token?.value.refresh();
    return this.current() !== '';
  }

  /** The line of the token; empty when there is none that is still good for something. */
  private current(): string {
    this.openToken();
    if (this.token === null) return '';
    const { version, confirmedAt, text } = this.token.value;
    if (version !== this.version || confirmedAt !== this.confirmedAt) {
      this.version = version;
      this.confirmedAt = confirmedAt;
      this.read(text ?? '', confirmedAt);
    }
    return this.env.wallNow() < this.expiresAt ? this.line : '';
  }

  /** RFC 6749, section 5.1. */
  private read(text: string, confirmedAt: number): void {
    this.line = '';
    const answer = parseObject(text);
    const { access_token: token, token_type: type, expires_in: expiresIn } = answer ?? {};
    const isBearer = typeof type === 'string' && type.toLowerCase() === 'bearer';
    if (typeof token !== 'string' || !TOKEN.test(token) || !isBearer) {
      if (text !== '') this.env.warn('the token endpoint has given out no bearer token');
      return;
    }
    const seconds = Number(expiresIn ?? Infinity);
    const lifetimeMs = Number.isNaN(seconds) ? 0 : seconds * 1000;
    this.expiresAt = confirmedAt + lifetimeMs - Math.min(marginMs, lifetimeMs / 10);
    this.line = `authorization: Bearer ${token}\r\n`;
  }

  private openToken(): void {
    const { metadata } = this;
    if (metadata === null || metadata.value.text === null) return;
    const { issuer } = this.request;
    const answer = parseObject(metadata.value.text) ?? {};
    const { issuer: stated, token_endpoint: url } = answer;
    if (typeof url !== 'string' || url === this.tokenUrl) return;
    // RFC 8414, section 3.3: metadata that speaks for somebody else is not to be used.
    if (stated === issuer && isAsSecret(url, issuer!)) this.open(url);
  }

  private open(url: string): void {
    if (this.closed) return;
    this.token?.release();
    this.token = this.env.document({ ...this.request.source, url });
    this.tokenUrl = url;
    this.version = 0;
    this.line = '';
  }
}

function metadataSource({ issuer, source }: TokenRequest): DocumentSource {
  const { timeoutMs, maxBytes, cooldownMs, tls } = source;
  return {
    url: `${issuer!.replace(/\/$/, '')}/.well-known/openid-configuration`,
    timeoutMs,
    maxBytes,
    cooldownMs,
    refreshMs: metadataRefreshMs,
    ...(tls !== undefined && { tls }),
  };
}

/** A secret that is meant to be sent encrypted is not sent otherwise because a document says so. */
function isAsSecret(url: string, issuer: string): boolean {
  const protocol = URL.parse(url)?.protocol;
  return protocol === 'https:' || (protocol === 'http:' && issuer.startsWith('http:'));
}

function parseObject(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}
