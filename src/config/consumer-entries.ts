/**
 * The consumers of a configuration, wherever they are written: complete, each with what it can show, and no two with the
 * same. What two could show would be whoever's comes first.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { safeSecretBytes, verificationKey } from '../http/signature-algorithms.ts';
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

/** What no two consumers may share, in words. */
const uniques = {
  name: 'a consumer of this name is',
  apiKey: 'the same API key is',
  user: 'the same user is',
  keyId: 'the same key name is',
  certificate: 'the same certificate is',
  claims: 'the same claims are',
} as const;

type Kind = keyof typeof uniques;

/** Shared by all; nothing ever changes a configuration. */
const NONE: readonly never[] = [];
const dayMs = 86_400_000;

export class ConsumerEntries {
  readonly configs: ConsumerConfig[] = [];
  private readonly around: ConsumerSurroundings;
  /** Who has it. Where in it is looked for only when somebody else has it as well: there are very many. */
  private readonly claimed: Readonly<Record<Kind, Map<string, Entry>>> = {
    name: new Map(),
    apiKey: new Map(),
    user: new Map(),
    keyId: new Map(),
    certificate: new Map(),
    claims: new Map(),
  };

  constructor(around: ConsumerSurroundings) {
    this.around = around;
  }

  add(name: string, declaration: ConsumerDeclaration, document: ConsumerDocument): void {
    const entry = new Entry(name, declaration, document, this.around, this.claim);
    const before = this.claim('name', name, entry);
    if (before === null) this.configs.push(entry.assemble());
    else entry.tellTaken('name', name, [], before);
  }

  /** @returns who has it already, if anybody. */
  private readonly claim = (kind: Kind, value: string, entry: Entry): Entry | null => {
    const known = this.claimed[kind].get(value);
    if (known === undefined) this.claimed[kind].set(value, entry);
    return known ?? null;
  };
}

/** One consumer on its way from what is written to what serves. */
class Entry {
  private readonly name: string;
  private readonly written: ConsumerDeclaration;
  private readonly document: ConsumerDocument;
  private readonly around: ConsumerSurroundings;
  private readonly claim: (kind: Kind, value: string, entry: Entry) => Entry | null;

  constructor(
    name: string,
    written: ConsumerDeclaration,
    document: ConsumerDocument,
    around: ConsumerSurroundings,
    claim: Entry['claim'],
  ) {
    this.name = name;
    this.written = written;
    this.document = document;
    this.around = around;
    this.claim = claim;
  }

  /** Where in the consumer something is that nobody else may have. */
  private pathOf(kind: Kind, value: string): Path {
    const { apiKeys, hmac, signing, certificates, jwt } = this.written;
    const at = <T>(list: string, items: readonly T[], is: (item: T) => boolean): Path => {
      const index = items.findIndex(is);
      return index === -1 ? [] : [list, index];
    };
    switch (kind) {
      case 'name':
        return [];
      case 'apiKey':
        return at('apiKeys', apiKeys, ({ hash }) => hash === value);
      case 'user':
        return ['basic'];
      case 'keyId': {
        const found = at('hmac', hmac, ({ keyId }) => keyId === value);
        return found.length > 0 ? found : at('signing', signing, ({ keyId }) => keyId === value);
      }
      case 'certificate':
        return at('certificates', certificates, (one) => ('san' in one ? one.san : one.fingerprint) === value);
      case 'claims':
        return at('jwt', jwt, (one) => identityOf(conditionsOf(one)) === value);
    }
  }

  tellTaken(kind: Kind, value: string, at: Path, before: Entry): void {
    const path = [...this.document.path, this.name, ...at];
    const other = [...before.document.path, before.name, ...before.pathOf(kind, value)];
    const place = before.document.placeOf(other);
    const message = `${formatPath(path)}: ${uniques[kind]} at ${formatPath(other)} already (${place})`;
    this.document.findings.push({ severity: 'error', code: 'CREDENTIAL_TAKEN', message, path, atKey: at.length === 0 });
  }

  assemble(): ConsumerConfig {
    const { name, written } = this;
    return {
      name,
      groups: written.groups,
      apiKeys: this.apiKeys(),
      basic: this.basic(),
      hmac: written.hmac.length === 0 ? NONE : this.hmac(),
      signing: written.signing.length === 0 ? NONE : this.signing(),
      jwt: written.jwt.length === 0 ? NONE : this.jwt(),
      certificates: written.certificates.length === 0 ? NONE : this.certificates(),
    };
  }

  private apiKeys(): ConsumerConfig['apiKeys'] {
    const keys: ConsumerConfig['apiKeys'][number][] = [];
    for (const [index, { hash, label = '', expires }] of this.written.apiKeys.entries()) {
      if (this.isPlaceholder(hash, () => ['apiKeys', index, 'hash'])) continue;
      if (!this.isOnlyHere('apiKey', hash, () => ['apiKeys', index, 'hash'])) continue;
      keys.push({
        digest: hash.slice('sha256:'.length),
        label,
        expiresAt: this.expiresAt(expires, () => ['apiKeys', index]),
      });
    }
    return keys;
  }

  private hmac(): ConsumerConfig['hmac'] {
    return this.written.hmac.flatMap(({ keyId, secret, label = '', expires }, index) => {
      if (!this.isSecretKey(secret, () => ['hmac', index, 'secret'])) return [];
      if (!this.isOnlyHere('keyId', keyId, () => ['hmac', index, 'keyId'])) return [];
      return [{ keyId, secret, label, expiresAt: this.expiresAt(expires, () => ['hmac', index]) }];
    });
  }

  private jwt(): ConsumerConfig['jwt'] {
    return this.written.jwt
      .map(conditionsOf)
      .filter((conditions, index) => this.isOnlyHere('claims', identityOf(conditions), () => ['jwt', index]));
  }

  private basic(): ConsumerConfig['basic'] {
    const { basic } = this.written;
    if (basic === undefined) return null;
    const { user = this.name, password } = basic;
    if (this.isPlaceholder(password, () => ['basic', 'password'])) return null;
    return this.isOnlyHere('user', user, () => ['basic']) ? { user, password } : null;
  }

  private signing(): ConsumerConfig['signing'] {
    return this.written.signing.flatMap(({ keyId, algorithm, publicKey, label = '', expires }, index) => {
      const at = ['signing', index];
      const pem = this.publicKey(publicKey, algorithm, [...at, 'publicKey']);
      if (pem === null || !this.isOnlyHere('keyId', keyId, () => [...at, 'keyId'])) return [];
      return [{ keyId, algorithm, publicKey: pem, label, expiresAt: this.expiresAt(expires, () => at) }];
    });
  }

  private certificates(): ConsumerConfig['certificates'] {
    return this.written.certificates.flatMap((certificate, index): ConsumerConfig['certificates'] => {
      const isNamed = 'san' in certificate;
      const text = isNamed ? certificate.san : certificate.fingerprint;
      const at = ['certificates', index, isNamed ? 'san' : 'fingerprint'];
      if (this.isPlaceholder(text, () => at) || !this.isOnlyHere('certificate', text, () => at)) return [];
      return [isNamed ? { san: text } : { fingerprint: text.slice('sha256:'.length) }];
    });
  }

  private isSecretKey(secret: string, at: () => Path): boolean {
    try {
      const { key } = verificationKey('hmac-sha256', secret);
      if (key.symmetricKeySize! < safeSecretBytes) {
        const message = `the secret is shorter than ${safeSecretBytes} bytes: who sees one signature can find it out`;
        this.find('warning', 'WEAK_SECRET', message, at());
      }
      return true;
    } catch (error) {
      this.refuse((error as Error).message, at());
      return false;
    }
  }

  /** The key in PEM form; null, with the finding added, for one that nobody can verify with. */
  private publicKey(value: string, algorithm: string, at: Path): string | null {
    if (!isPemText(value) && this.isPlaceholder(value, () => at)) return null;
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

  /** Whether nobody else has it; whoever has it once more is told. @param at where in this consumer. */
  private isOnlyHere(kind: Kind, value: string, at: () => Path): boolean {
    const before = this.claim(kind, value, this);
    if (before !== null) this.tellTaken(kind, value, at(), before);
    return before === null;
  }

  private isPlaceholder(text: string, at: () => Path): boolean {
    if (!text.includes('<') || !isPlaceholder(text)) return false;
    const message = 'this is a placeholder, which nobody can ever use: put the real value there';
    this.find('warning', 'PLACEHOLDER', message, at());
    return true;
  }

  /** It is accepted to the end of its last day, UTC. */
  private expiresAt(expires: string | undefined, at: () => Path): number | null {
    if (expires === undefined) return null;
    const expiresAt = Date.parse(expires) + dayMs;
    if (expiresAt <= this.around.wallNow) {
      const message = `it has expired on ${expires} and is not accepted any more`;
      this.find('warning', 'CREDENTIAL_EXPIRED', message, [...at(), 'expires']);
    }
    return expiresAt;
  }

  private find(severity: Finding['severity'], code: Finding['code'], what: string, at: Path): void {
    const path = [...this.document.path, this.name, ...at];
    this.document.findings.push({ severity, code, message: `${formatPath(path)}: ${what}`, path });
  }
}

function conditionsOf({ subject, issuer, ...others }: ConsumerDeclaration['jwt'][number]) {
  return { ...others, ...(subject !== undefined && { sub: subject }), ...(issuer !== undefined && { iss: issuer }) };
}

function identityOf(conditions: ConsumerConfig['jwt'][number]): string {
  return JSON.stringify(Object.entries(conditions).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** Why a key cannot be the one of an algorithm (RFC 9421, section 3.3); null when it can. */
function keyProblem({ asymmetricKeyType: type, asymmetricKeyDetails }: KeyObject, algorithm: string): string | null {
  const { modulusLength = 0, publicExponent = 0n, namedCurve } = asymmetricKeyDetails ?? {};
  if (algorithm.startsWith('rsa-')) {
    const isKind = type === 'rsa' || (type === 'rsa-pss' && algorithm === 'rsa-pss-sha512');
    if (!isKind) return 'the algorithm takes an RSA key';
    if (modulusLength < 2048) return `an RSA key of ${modulusLength} bits is too short, it takes 2048 or more`;
    // Small exponents have made forged signatures possible wherever padding was checked carelessly (CVE-2006-4339).
    return publicExponent >= 65_537n && publicExponent % 2n === 1n ? null : 'the exponent of this RSA key is not safe';
  }
  if (algorithm === 'ed25519') return type === 'ed25519' ? null : 'ed25519 takes an Ed25519 key';
  const [curve, title] = algorithm === 'ecdsa-p256-sha256' ? ['prime256v1', 'P-256'] : ['secp384r1', 'P-384'];
  return type === 'ec' && namedCurve === curve ? null : `${algorithm} takes a key on the curve ${title}`;
}
