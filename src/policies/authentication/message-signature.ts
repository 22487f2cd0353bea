import { createHash, createSecretKey, randomBytes } from 'node:crypto';
import {
  type Authenticator,
  type Credential,
  type Exchange,
  type PolicyEnv,
  Refusal,
  type SigningKey,
  definePolicy,
} from '../../contract.ts';
import { namedByConnection } from '../../http/connection-options.ts';
import { isContentOf } from '../../http/content-digest.ts';
import { formatAuthority } from '../../http/host.ts';
import {
  type SignatureAlgorithm,
  type SignatureKey,
  isSignatureAlgorithm,
  isSignatureOf,
  signatureAlgorithms,
  verificationKey,
} from '../../http/signature-algorithms.ts';
import {
  type Coverage,
  type MessageSignature,
  type SignedRequest,
  coverageOf,
  isCovered,
  normalAuthority,
  parseComponent,
  parseSignatures,
  signatureBase,
} from '../../http/signature-base.ts';
import type { BareItem } from '../../http/structured-fields.ts';
import { z } from '../../util/schema.ts';
import { duration, size } from '../../util/units.ts';
import { authenticating, commonOptions } from './authenticating.ts';

const component = z.string().refine((written) => parseComponent(written) !== null, {
  error: 'write a derived component such as @method, or the name of a header',
});

const LABEL = /^[a-z*][a-z0-9_\-.*]{0,63}$/;
const printable = /^[\x20-\x7e]{1,128}$/;

const options = z.strictObject({
  ...commonOptions,
  components: z
    .array(component)
    .default(['@method', '@authority', '@path', '@query'])
    .describe(
      'What a signature must cover at least: `@method`, `@authority`, `@path`, `@query`, `@scheme`, `@target-uri`, ' +
        '`@request-target`, `@query-param;name="x"` or the name of a header.',
    ),
  algorithms: z
    .array(z.enum(signatureAlgorithms))
    .min(1, { error: 'the list is empty' })
    .default([...signatureAlgorithms])
    .describe('The algorithms whose keys are accepted. Which one a key is for is said where the key is.'),
  maxAge: duration({ min: 1 }).prefault('5m').describe('How long after its `created` a signature is accepted.'),
  clockSkew: duration()
    .prefault('30s')
    .describe('How far the clock of the signer may be ahead of, or behind, this one.'),
  label: z
    .string()
    .regex(LABEL, { error: 'is not a label such as sig1' })
    .optional()
    .describe('The label of the signature that counts. By default any of those that are there.'),
  tag: z
    .string()
    .regex(printable, { error: 'is not printable ASCII of at most 128 characters' })
    .optional()
    .describe('The `tag` that the signature must have: what it was made for.'),
  requireNonce: z.boolean().default(false).describe('Refuse signatures without a `nonce`.'),
  allowReplay: z
    .boolean()
    .default(false)
    .describe(
      'Accept the same signature as often as it comes, while it is valid. By default each is accepted once, and a ' +
        '`nonce` of a key only once.',
    ),
  contentDigest: z
    .enum(['required', 'whenPresent'])
    .default('required')
    .describe(
      'Whether a request with a body must have a `Content-Digest` that is signed, or may do without. One that is there is ' +
        'always held against the body.',
    ),
  maxBody: size({ min: 1 })
    .prefault('1MiB')
    .describe('The largest body; it is kept in memory until its digest was verified. Larger ones are answered 413.'),
  realm: z
    .string()
    .regex(/^[\x20\x21\x23-\x5b\x5d-\x7e]{0,128}$/, { error: 'is not printable ASCII without quotes' })
    .default('api')
    .describe('What `WWW-Authenticate` calls what is protected.'),
});

type Options = z.output<typeof options>;

/** Authenticates by HTTP message signatures (RFC 9421). */
export const messageSignature = definePolicy({
  name: 'messageSignature',
  summary: 'Authenticates requests by their HTTP message signature (RFC 9421) and the digest of their body.',
  options,
  provides: ['consumer'],
  create(settings, env) {
    const verifier = new SignatureVerifier(settings, env);
    return {
      ...authenticating(verifier, settings, env),
      buffersRequest: settings.maxBody,
      buffersFor: (exchange) => verifier.needsBody(exchange),
    };
  },
});

/** What a key of a consumer comes to. */
interface KnownKey {
  readonly key: SignatureKey | null;
  readonly credential: Credential;
}

/** A signature that holds, as far as that can be told without the body. */
interface Held {
  readonly keyId: string;
  readonly nonce: string | null;
  /** What is signed. */
  readonly base: Buffer;
  readonly covered: ReadonlySet<string>;
  /** Wall-clock milliseconds until which it is accepted. */
  readonly untilMs: number;
  readonly signer: SigningKey;
  readonly credential: Credential;
}

const missing = new Refusal('missing', 'no signature');
const malformed = new Refusal('invalid', 'the fields of the signature are malformed');
const noneFits = new Refusal('invalid', 'no signature with the label and the tag that are asked for');
const noDigest = new Refusal('invalid', 'a body without a digest that is signed');
const wrongDigest = new Refusal('invalid', 'the body is not the one of its digest');
const replayed = new Refusal('invalid', 'the signature was used before');
const notBuffered = new Refusal('invalid', 'the body is not there to be verified');
const refusals = new Map<string, Refusal>();

/** Reasons are constants, so there are few. */
function invalid(reason: string): Refusal {
  let refusal = refusals.get(reason);
  if (refusal === undefined) refusals.set(reason, (refusal = new Refusal('invalid', reason)));
  return refusal;
}

const empty = Buffer.alloc(0);
const maxNonce = 256;

class SignatureVerifier implements Authenticator {
  readonly challenge: string;
  private readonly options: Options;
  private readonly env: PolicyEnv;
  private readonly components: readonly Coverage[];
  private readonly algorithms: ReadonlySet<SignatureAlgorithm>;
  /** Consumers' keys stay the same objects until they change. */
  private readonly known = new WeakMap<SigningKey, KnownKey>();
  private readonly heads = new WeakMap<Exchange, readonly Held[] | Refusal>();
  /** What signatures of keys that nobody has are held against, so that those take their time as well. */
  private readonly decoy: SignatureKey = { algorithm: 'hmac-sha256', key: createSecretKey(randomBytes(32)) };

  constructor(settings: Options, env: PolicyEnv) {
    this.options = settings;
    this.env = env;
    this.challenge = `Signature realm="${settings.realm}"`;
    this.components = settings.components.map((written) => coverageOf(parseComponent(written)!));
    this.algorithms = new Set(settings.algorithms);
  }

  authenticate(exchange: Exchange): Credential | Refusal {
    const held = this.heldBy(exchange);
    if (held instanceof Refusal) return held;
    let verdict: Credential | Refusal = noneFits;
    for (const signature of held) {
      verdict = this.verdictOn(signature, exchange);
      if (!(verdict instanceof Refusal)) break;
    }
    return verdict;
  }

  /** The bodies of those who have signed nothing that holds are not kept in memory: anybody could fill it. */
  needsBody(exchange: Exchange): boolean {
    return !(this.heldBy(exchange) instanceof Refusal);
  }

  /** Found out once, before there is a body, and remembered until there is. */
  private heldBy(exchange: Exchange): readonly Held[] | Refusal {
    let held = this.heads.get(exchange);
    if (held === undefined) this.heads.set(exchange, (held = this.verifyHead(exchange)));
    return held;
  }

  private verifyHead(exchange: Exchange): readonly Held[] | Refusal {
    const { requestHeaders } = exchange;
    const inputs = requestHeaders.getAll('signature-input');
    const values = requestHeaders.getAll('signature');
    if (inputs.length === 0 && values.length === 0) return missing;
    const signatures = parseSignatures(inputs.join(', '), values.join(', '));
    if (signatures === null) return malformed;
    const request = signedRequest(exchange);
    const verdicts = signatures.filter((one) => this.isAskedFor(one)).map((one) => this.verify(one, request));
    const held = verdicts.filter((verdict): verdict is Held => !(verdict instanceof Refusal));
    return held.length > 0 ? held : (verdicts.findLast((verdict) => verdict instanceof Refusal) ?? noneFits);
  }

  conceal({ requestHeaders }: Exchange): void {
    requestHeaders.remove('signature');
    requestHeaders.remove('signature-input');
  }

  private isAskedFor({ label, input }: MessageSignature): boolean {
    const { options: settings } = this;
    return (
      (settings.label === undefined || settings.label === label) &&
      (settings.tag === undefined || settings.tag === text(input.parameters.get('tag')))
    );
  }

  private verify(signature: MessageSignature, request: SignedRequest): Held | Refusal {
    const { input } = signature;
    const keyId = text(input.parameters.get('keyid'));
    if (keyId === null) return invalid('a signature without a keyid');
    const window = this.windowOf(input);
    if (window instanceof Refusal) return window;
    const base = signatureBase(request, input);
    if (base.text === undefined) return invalid('the signature covers what is not there, or not supported');
    if (!this.components.every((wanted) => isCovered(wanted, base.covered))) {
      return invalid('the signature does not cover what it must');
    }

    const bytes = Buffer.from(base.text, 'latin1');
    const signer = this.env.consumers.bySigningKey(keyId);
    const known = signer === undefined ? null : this.knownKey(signer);
    const holds = isSignatureOf(known?.key ?? this.decoy, bytes, signature.signature);
    const usable = this.problemOf(signer, known, text(input.parameters.get('alg')));
    if (usable !== null) return usable;
    if (!holds) return invalid('the signature does not hold');
    const nonce = text(input.parameters.get('nonce'));
    const { credential } = known!;
    return { keyId, nonce, base: bytes, covered: base.covered, untilMs: window.untilMs, signer: signer!, credential };
  }

  private verdictOn({ keyId, nonce, base, covered, untilMs, signer, credential }: Held, exchange: Exchange) {
    // The body may have been waited for.
    if (this.env.consumers.bySigningKey(keyId) !== signer) return invalid('the key is not known');
    const now = this.env.wallNow();
    if (now >= signer.expiresAt) return invalid('the key has expired');
    if (now >= untilMs) return invalid('the signature is too old');
    const body = this.checkBody(exchange, covered);
    if (body !== null) return body;
    if (this.isReplay(keyId, nonce, base, untilMs)) return replayed;
    signer.used();
    return credential;
  }

  /** When the signature was made, and until when it is accepted: wall-clock milliseconds. */
  private windowOf({ parameters }: MessageSignature['input']): { readonly untilMs: number } | Refusal {
    const { maxAge, clockSkew, requireNonce } = this.options;
    const created = parameters.get('created');
    const expires = parameters.get('expires');
    const nonce = parameters.get('nonce');
    if (created?.kind !== 'integer') return invalid('a signature without the time it was made at');
    if (expires !== undefined && expires.kind !== 'integer') return invalid('a signature that expires at no time');
    if (nonce === undefined ? requireNonce : nonce.kind !== 'string' || nonce.value.length > maxNonce) {
      return invalid('a signature without a nonce, or with one that is none');
    }
    const alg = parameters.get('alg');
    if (alg !== undefined && alg.kind !== 'string') return invalid('an algorithm that is none');
    const now = this.env.wallNow();
    const createdMs = created.value * 1000;
    if (createdMs > now + clockSkew) return invalid('the signature is from the future');
    const expiresMs = expires === undefined ? Infinity : expires.value * 1000;
    const untilMs = Math.min(createdMs + maxAge, expiresMs) + clockSkew;
    return now < untilMs ? { untilMs } : invalid('the signature is too old');
  }

  /** Why a signature is refused even if it holds. */
  private problemOf(signer: SigningKey | undefined, known: KnownKey | null, alg: string | null): Refusal | null {
    if (signer === undefined || known === null) return invalid('the key is not known');
    if (known.key === null) return invalid('the key of the consumer is not usable');
    // The message may say which algorithm it is, and never decides it (RFC 9421, section 3.2; CVE-2015-9235).
    if (alg !== null && alg !== known.key.algorithm) return invalid('the algorithm is not the one of the key');
    if (!this.algorithms.has(known.key.algorithm)) return invalid('the algorithm of the key is not accepted');
    return this.env.wallNow() < signer.expiresAt ? null : Refusal.outOfDate('the key has expired');
  }

  /** Why the body is not the one that was signed; null when it is. */
  private checkBody({ requestBody, requestHeaders }: Exchange, covered: ReadonlySet<string>): Refusal | null {
    // A body that nobody has buffered for this policy must not pass for one that is empty.
    if (requestBody === null && mayHaveBody(requestHeaders)) return notBuffered;
    const body = requestBody ?? empty;
    const digest = requestHeaders.getAll('content-digest').join(', ');
    const isRequired = body.length > 0 && this.options.contentDigest === 'required';
    if (digest === '') return isRequired ? noDigest : null;
    if (!isContentOf(digest, body)) return wrongDigest;
    return isRequired && !isCovered(contentDigest, covered) ? noDigest : null;
  }

  /**
   * Whether it was used before. It is known by what is signed and not by the signature, because of some algorithms there
   * are several for the same (ECDSA: s and n - s).
   */
  private isReplay(keyId: string, nonce: string | null, base: Buffer, untilMs: number): boolean {
    if (this.options.allowReplay) return false;
    const { env } = this;
    const what = nonce === null ? `b${createHash('sha256').update(base).digest('base64')}` : `n${nonce}`;
    const memory = env.sharedMemory('messageSignature');
    // One second more than it is accepted for: the two clocks are not read at once.
    return !memory.add(`${keyId.length}:${keyId}${what}`, env.now() + (untilMs - env.wallNow()) + 1000);
  }

  private knownKey(signer: SigningKey): KnownKey {
    let known = this.known.get(signer);
    if (known === undefined) {
      const { keyId, consumer } = signer;
      const credential = { method: 'messageSignature', subject: keyId, consumer, claims: {}, scopes: [] };
      known = { key: this.parsedKey(signer), credential: Object.freeze(credential) };
      this.known.set(signer, known);
    }
    return known;
  }

  private parsedKey({ keyId, algorithm, key, consumer }: SigningKey): SignatureKey | null {
    try {
      if (!isSignatureAlgorithm(algorithm)) throw new Error('an algorithm that is not known');
      return verificationKey(algorithm, key);
    } catch (error) {
      this.env.warn(`the signing key ${keyId} of ${consumer.name} is not usable: ${(error as Error).message}`);
      return null;
    }
  }
}

const contentDigest = coverageOf(parseComponent('content-digest')!);

function text(item: BareItem | undefined): string | null {
  return item?.kind === 'string' ? item.value : null;
}

function mayHaveBody(headers: Exchange['requestHeaders']): boolean {
  return headers.has('transfer-encoding') || (headers.get('content-length') ?? '0') !== '0';
}

/** The request in its canonical form: what is verified is what is routed and sent on. */
function signedRequest(exchange: Exchange): SignedRequest {
  const { method, scheme, path, query, host, port, requestHeaders } = exchange;
  // Whoever is in between could take a field that is signed away from the upstream by naming it in `Connection`.
  const ofHop = namedByConnection(requestHeaders);
  return {
    method,
    scheme,
    authority: normalAuthority(formatAuthority(host, port), scheme),
    path,
    query,
    fields: (name) => (ofHop.has(name) ? [] : requestHeaders.getAll(name)),
  };
}
