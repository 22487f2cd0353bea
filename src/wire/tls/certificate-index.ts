/** Which certificate a client is shown: by the name that it asks for (SNI, RFC 6066, section 3) and what it can verify. */
import type { SecureContext } from 'node:tls';
import type { ServerCertificate } from './server-certificate.ts';

/** Certificates for one name, at most one for each type of key. */
export type CertificateGroup = readonly ServerCertificate[];

/** One certificate of a name, ready for use. */
interface Candidate {
  readonly keyType: string;
  readonly context: SecureContext;
}

/** Immutable; made anew whenever a certificate changes. */
export class CertificateIndex {
  /** Shown to clients that name no server, or one that nobody has a certificate for. Empty when there is none at all. */
  readonly defaultGroup: CertificateGroup;
  /** By exact name, and by wildcard as it is spelled: `*.example.com`. Null for names of the default group. */
  private readonly candidates = new Map<string, readonly Candidate[] | null>();

  /**
   * @param certificates in the order of the configuration: for one name and type of key the first counts, and the first
   * of all is the default, together with those of other types that share its first name.
   */
  constructor(certificates: readonly ServerCertificate[], createContext: (group: CertificateGroup) => SecureContext) {
    const groups = groupByName(certificates);
    const first = certificates.at(0);
    this.defaultGroup = first === undefined ? [] : (groups.get(first.names[0]) ?? [first]);

    const contexts = new Map<ServerCertificate, SecureContext>();
    const candidate = (certificate: ServerCertificate): Candidate => {
      const context = contexts.get(certificate) ?? createContext([certificate]);
      contexts.set(certificate, context);
      return { keyType: certificate.keyType, context };
    };
    for (const [name, group] of groups) {
      this.candidates.set(name, isSame(group, this.defaultGroup) ? null : group.toSorted(cheaperFirst).map(candidate));
    }
  }

  /**
   * The context for a name, exact before wildcard; undefined when the default is meant.
   *
   * The platform takes one certificate from the context that it is given here, even if it holds more, so the choice
   * between types of keys is ours. A client of TLS 1.2 that announces the signatures of a type but none of its suites is
   * refused because of that, except for names of the default, where OpenSSL chooses.
   *
   * @param sharedSignatures what both sides can verify, as `tlsSocket.getSharedSigalgs()` says; asked for only if needed.
   */
  find(serverName: string, sharedSignatures: () => readonly string[]): SecureContext | undefined {
    const candidates = this.lookUp(serverName.toLowerCase());
    if (candidates == null) return undefined;
    if (candidates.length === 1) return candidates[0].context;
    const signatures = sharedSignatures();
    const verifiable = candidates.find(({ keyType }) =>
      signatures.some((name) => name.startsWith(signatureOf(keyType))),
    );
    return (verifiable ?? candidates[0]).context;
  }

  private lookUp(name: string): readonly Candidate[] | null | undefined {
    const exact = this.candidates.get(name);
    if (exact !== undefined) return exact;
    // A wildcard stands for exactly one label (RFC 9525, section 6.3), so there is one wildcard that can match.
    const dot = name.indexOf('.');
    return dot <= 0 ? undefined : this.candidates.get(`*${name.substring(dot)}`);
  }
}

function groupByName(certificates: readonly ServerCertificate[]): Map<string, ServerCertificate[]> {
  const groups = new Map<string, ServerCertificate[]>();
  for (const certificate of certificates) {
    for (const name of certificate.names) {
      const group = groups.get(name);
      if (group === undefined) groups.set(name, [certificate]);
      else if (group.every(({ keyType }) => keyType !== certificate.keyType)) group.push(certificate);
    }
  }
  return groups;
}

function isSame(a: CertificateGroup, b: CertificateGroup): boolean {
  return a.length === b.length && a.every((certificate, index) => certificate === b[index]);
}

/** Signing with ECDSA costs a fraction of what RSA costs. */
const cheaperFirst = (a: ServerCertificate, b: ServerCertificate): number =>
  Number(b.keyType === 'ec') - Number(a.keyType === 'ec');

/** How the names of the signatures of a type of key begin: `ECDSA+SHA256`, `RSA-PSS+SHA256`, `Ed25519+UNDEF`. */
function signatureOf(keyType: string): string {
  if (keyType === 'ec') return 'ECDSA';
  if (keyType.startsWith('rsa')) return 'RSA';
  return keyType.startsWith('ed') ? `E${keyType.substring(1)}` : `id-${keyType}`;
}
