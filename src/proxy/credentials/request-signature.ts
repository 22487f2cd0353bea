/** Signs each request as it is sent (RFC 9421), so that the upstream knows that it came by here and was not changed since. */
import { randomBytes } from 'node:crypto';
import { contentDigest } from '../../http/content-digest.ts';
import { type SignatureKey, signatureOf } from '../../http/signature-algorithms.ts';
import { type SignedRequest, hasComponent, normalAuthority, signatureBase } from '../../http/signature-base.ts';
import { type BareItem, type Item, serializeBareItem, serializeInnerList } from '../../http/structured-fields.ts';
import type { SentRequest, UpstreamCredential } from '../upstream-credential.ts';

export interface RequestSignatureOptions {
  readonly keyId: string;
  readonly key: SignatureKey;
  /** Those of them that a request has are signed. */
  readonly components: readonly Item[];
  readonly label: string;
  /** What it is made for; null for no `tag`. */
  readonly tag: string | null;
  /** After how many seconds it is no longer good; null for no `expires`. */
  readonly expiresS: number | null;
  readonly wallNow: () => number;
}

const nonceBytes = 16;

export class RequestSignature implements UpstreamCredential {
  /** Those of the client are about another request, and may have the same label. */
  readonly replaces: readonly string[] = ['signature', 'signature-input'];
  private readonly options: RequestSignatureOptions;
  private readonly coversContent: boolean;

  constructor(options: RequestSignatureOptions) {
    this.options = options;
    this.coversContent = options.components.some(({ value }) => value.value === 'content-digest');
  }

  ready(): boolean {
    return true;
  }

  complete(sent: SentRequest): string {
    const { key, label } = this.options;
    const lines = this.coversContent ? withContentDigest(sent) : sent.lines;
    const request = signedRequest(sent, lines);
    const input = {
      items: this.options.components.filter((item) => hasComponent(request, item)),
      parameters: this.parameters(),
    };
    const base = signatureBase(request, input);
    if (base.text === undefined) throw new Error(`the request cannot be signed: ${base.problem}`);
    const signature = signatureOf(key, Buffer.from(base.text, 'latin1'));
    return (
      `${lines}signature-input: ${label}=${serializeInnerList(input)}\r\n` +
      `signature: ${label}=${serializeBareItem({ kind: 'bytes', value: signature })}\r\n`
    );
  }

  refused(): void {
    // Each request has a new one anyway.
  }

  private parameters(): ReadonlyMap<string, BareItem> {
    const { keyId, key, tag, expiresS, wallNow } = this.options;
    const created = Math.floor(wallNow() / 1000);
    const parameters = new Map<string, BareItem>([['created', { kind: 'integer', value: created }]]);
    if (expiresS !== null) parameters.set('expires', { kind: 'integer', value: created + expiresS });
    parameters.set('nonce', { kind: 'string', value: randomBytes(nonceBytes).toString('base64url') });
    parameters.set('keyid', { kind: 'string', value: keyId });
    parameters.set('alg', { kind: 'string', value: key.algorithm });
    if (tag !== null) parameters.set('tag', { kind: 'string', value: tag });
    return parameters;
  }
}

/** Of a body that is whole, the digest is the gateway's own: a policy may have changed what the client has a digest of. */
function withContentDigest({ lines, body }: SentRequest): string {
  if (body === null || body.length === 0) return lines;
  const content = typeof body === 'string' ? Buffer.from(body, 'latin1') : body;
  const others = lines.replaceAll(/^content-digest:.*\r\n/gim, '');
  return `${others}content-digest: ${contentDigest('sha-256', content)}\r\n`;
}

function signedRequest({ method, scheme, host, path, query }: SentRequest, lines: string): SignedRequest {
  return {
    method,
    scheme,
    authority: normalAuthority(host, scheme),
    path,
    query,
    fields: (name) => valuesOf(lines, name),
  };
}

function valuesOf(lines: string, name: string): string[] {
  const prefix = `${name}:`;
  const found = lines.split('\r\n').filter((line) => line.slice(0, prefix.length).toLowerCase() === prefix);
  return found.map((line) => line.slice(prefix.length));
}
