/**
 * The consumers of a configuration, wherever they are written: complete, each with what it can show, and no two with the
 * same. What two could show would be whoever's comes first.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { isPemText } from '../wire/tls/pem-source.ts';
import { type Finding, type Path, formatPath } from './problem.ts';
import { isPlaceholder } from './schema/consumer.ts';
import type { ConsumerConfig, ConsumerDeclaration } from './schema.ts';
import { reasonOf } from './source/interpolation.ts';

/** A document with consumers in it. */
export interface ConsumerDocument {
  /** Where in it they are: `['consumers']`, or empty for a file of consumers. */
  readonly path: Path;
  readonly findings: Finding[];
  /** As in `partners.yaml:3:5`. Only called for what is wrong. */
  placeOf(path: Path): string;
}

export interface ConsumerSurroundings {
  /** Reads a file by its path as written. Throws when it cannot. */
  readonly readFile: (path: string) => string;
  readonly wallNow: number;
}

interface Claimed {
  readonly document: ConsumerDocument;
  readonly path: Path;
}

/** What no two consumers may share, in words. */
const uniques = {
  name: 'a consumer of this name is',
  apiKey: 'the same API key is',
  user: 'the same user is',
  keyId: 'the same key name is',
  certificate: 'the same certificate is',
  claims: 'the same claims are',
} as const;

const dayMs = 86_400_000;

export class ConsumerEntries {
  readonly configs: ConsumerConfig[] = [];
  private readonly around: ConsumerSurroundings;
  private readonly claimed = Object.fromEntries(
    Object.keys(uniques).map((kind) => [kind, new Map<string, Claimed>()]),
  ) as Readonly<Record<keyof typeof uniques, Map<string, Claimed>>>;

  constructor(around: ConsumerSurroundings) {
    this.around = around;
  }

  add(name: string, declaration: ConsumerDeclaration, document: ConsumerDocument): void {
    const path = [...document.path, name];
    if (!this.claim('name', name, { document, path })) return;
    this.configs.push(new Entry(name, declaration, document, path, this.around, this.claim).assemble());
  }

  /** @returns false, with the finding added, where somebody has it already. */
  private readonly claim = (kind: keyof typeof uniques, value: string, { document, path }: Claimed): boolean => {
    const known = this.claimed[kind].get(value);
    if (known === undefined) {
      this.claimed[kind].set(value, { document, path });
      return true;
    }
    const place = known.document.placeOf(known.path);
    const message = `${formatPath(path)}: ${uniques[kind]} at ${formatPath(known.path)} already (${place})`;
    document.findings.push({ severity: 'error', code: 'CREDENTIAL_TAKEN', message, path, atKey: kind === 'name' });
    return false;
  };
}

/** One consumer on its way from what is written to what serves. */
class Entry {
  private readonly name: string;
  private readonly written: ConsumerDeclaration;
  private readonly document: ConsumerDocument;
  private readonly path: Path;
  private readonly around: ConsumerSurroundings;
  private readonly claim: (kind: keyof typeof uniques, value: string, at: Claimed) => boolean;

  constructor(
    name: string,
    written: ConsumerDeclaration,
    document: ConsumerDocument,
    path: Path,
    around: ConsumerSurroundings,
    claim: Entry['claim'],
  ) {
    this.name = name;
    this.written = written;
    this.document = document;
    this.path = path;
    this.around = around;
    this.claim = claim;
  }

  assemble(): ConsumerConfig {
    const { name, written } = this;
    return {
      name,
      groups: written.groups,
      apiKeys: written.apiKeys.flatMap(({ hash, ...rest }, index) => {
        const at = ['apiKeys', index, 'hash'];
        if (this.isPlaceholder(hash, at) || !this.isOnlyHere('apiKey', hash, at)) return [];
        return [{ digest: hash.slice('sha256:'.length), ...this.lifetimeOf(rest, ['apiKeys', index]) }];
      }),
      basic: this.basic(),
      hmac: written.hmac.flatMap(({ keyId, secret, ...rest }, index) => {
        const at = ['hmac', index];
        return this.isOnlyHere('keyId', keyId, [...at, 'keyId'])
          ? [{ keyId, secret, ...this.lifetimeOf(rest, at) }]
          : [];
      }),
      signing: this.signing(),
      jwt: written.jwt.map(conditionsOf).filter((conditions, index) => {
        return this.isOnlyHere('claims', JSON.stringify(Object.entries(conditions).toSorted()), ['jwt', index]);
      }),
      certificates: this.certificates(),
    };
  }

  private basic(): ConsumerConfig['basic'] {
    const { basic } = this.written;
    if (basic === undefined) return null;
    const { user = this.name, password } = basic;
    if (this.isPlaceholder(password, ['basic', 'password'])) return null;
    return this.isOnlyHere('user', user, ['basic', 'user']) ? { user, password } : null;
  }

  private signing(): ConsumerConfig['signing'] {
    return this.written.signing.flatMap(({ keyId, algorithm, publicKey, ...rest }, index) => {
      const at = ['signing', index];
      const pem = this.publicKey(publicKey, algorithm, [...at, 'publicKey']);
      if (pem === null || !this.isOnlyHere('keyId', keyId, [...at, 'keyId'])) return [];
      return [{ keyId, algorithm, publicKey: pem, ...this.lifetimeOf(rest, at) }];
    });
  }

  private certificates(): ConsumerConfig['certificates'] {
    return this.written.certificates.flatMap((certificate, index): ConsumerConfig['certificates'] => {
      const isNamed = 'san' in certificate;
      const text = isNamed ? certificate.san : certificate.fingerprint;
      const at = ['certificates', index, isNamed ? 'san' : 'fingerprint'];
      if (this.isPlaceholder(text, at) || !this.isOnlyHere('certificate', text, at)) return [];
      return [isNamed ? { san: text } : { fingerprint: text.slice('sha256:'.length) }];
    });
  }

  /** The key in PEM form; null, with the finding added, for one that nobody can verify with. */
  private publicKey(value: string, algorithm: string, at: Path): string | null {
    if (!isPemText(value) && this.isPlaceholder(value, at)) return null;
    let text = value;
    try {
      if (!isPemText(value)) text = this.around.readFile(value);
    } catch (error) {
      return this.refuse(`the file ${value} cannot be read (${reasonOf(error)})`, at);
    }
    if (text.includes('PRIVATE KEY')) {
      return this.refuse('this is a private key, which only the consumer itself may have; write its public key', at);
    }
    let key: KeyObject;
    try {
      key = createPublicKey(text);
    } catch {
      return this.refuse('this is no public key in PEM form', at);
    }
    const problem = keyProblem(key, algorithm);
    return problem === null ? text : this.refuse(problem, at);
  }

  private refuse(reason: string, at: Path): null {
    this.find('error', 'BAD_VALUE', reason, at);
    return null;
  }

  private isOnlyHere(kind: keyof typeof uniques, value: string, at: Path): boolean {
    return this.claim(kind, value, { document: this.document, path: [...this.path, ...at] });
  }

  private isPlaceholder(text: string, at: Path): boolean {
    if (!isPlaceholder(text)) return false;
    this.find(
      'warning',
      'PLACEHOLDER',
      'this is a placeholder, which nobody can ever use: put the real value there',
      at,
    );
    return true;
  }

  /** It is accepted to the end of its last day, UTC. */
  private lifetimeOf(
    { label = '', expires }: { readonly label?: string | undefined; readonly expires?: string | undefined },
    at: Path,
  ): { label: string; expiresAt: number | null } {
    if (expires === undefined) return { label, expiresAt: null };
    const expiresAt = Date.parse(expires) + dayMs;
    if (expiresAt <= this.around.wallNow) {
      this.find('warning', 'CREDENTIAL_EXPIRED', `it has expired on ${expires} and is not accepted any more`, [
        ...at,
        'expires',
      ]);
    }
    return { label, expiresAt };
  }

  private find(severity: Finding['severity'], code: Finding['code'], what: string, at: Path): void {
    const path = [...this.path, ...at];
    this.document.findings.push({ severity, code, message: `${formatPath(path)}: ${what}`, path });
  }
}

function conditionsOf({ subject, issuer, ...others }: ConsumerDeclaration['jwt'][number]) {
  return { ...others, ...(subject !== undefined && { sub: subject }), ...(issuer !== undefined && { iss: issuer }) };
}

/** Why a key cannot be the one of an algorithm (RFC 9421, section 3.3); null when it can. */
export function keyProblem(
  { asymmetricKeyType: type, asymmetricKeyDetails }: KeyObject,
  algorithm: string,
): string | null {
  const { modulusLength = 0, publicExponent = 0n, namedCurve } = asymmetricKeyDetails ?? {};
  if (algorithm.startsWith('rsa-')) {
    if (type !== 'rsa' && !(type === 'rsa-pss' && algorithm === 'rsa-pss-sha512'))
      return `${algorithm} takes an RSA key`;
    if (modulusLength < 2048) return `an RSA key of ${modulusLength} bits is too short, it takes 2048 or more`;
    // Of small exponents 65537 is the least that forged signatures have never been made for (RFC 8017, appendix B).
    return publicExponent >= 65_537n && publicExponent % 2n === 1n ? null : 'the exponent of this RSA key is not safe';
  }
  if (algorithm === 'ed25519') return type === 'ed25519' ? null : 'ed25519 takes an Ed25519 key';
  const [curve, title] = algorithm === 'ecdsa-p256-sha256' ? ['prime256v1', 'P-256'] : ['secp384r1', 'P-384'];
  return type === 'ec' && namedCurve === curve ? null : `${algorithm} takes a key on the curve ${title}`;
}
