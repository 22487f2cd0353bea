/** Which certificates a client is shown: by the name that it asks for (SNI, RFC 6066, section 3). */
import type { SecureContext } from 'node:tls';
import type { ServerCertificate } from './server-certificate.ts';

/** Certificates for one name, at most one for each type of key. */
export type CertificateGroup = readonly ServerCertificate[];

/** Immutable; made anew whenever a certificate changes. */
export class CertificateIndex {
  /** Shown to clients that name no server, or one that nobody has a certificate for. Empty when there is none at all. */
  readonly defaultGroup: CertificateGroup;
  /** Exact names, and wildcards as they are spelled: `*.example.com`. */
  private readonly contexts = new Map<string, SecureContext>();

  /**
   * @param certificates in the order of the configuration: for one name and type of key the first counts, and the first
   * of all is the default, together with those of other types that share its first name.
   */
  constructor(certificates: readonly ServerCertificate[], createContext: (group: CertificateGroup) => SecureContext) {
    const groups = groupByName(certificates);
    const first = certificates.at(0);
    this.defaultGroup = first === undefined ? [] : (groups.get(first.names[0]) ?? [first]);

    const shared = new Map<string, SecureContext>();
    for (const [name, group] of groups) {
      const members = group.map((certificate) => certificates.indexOf(certificate)).join();
      let context = shared.get(members);
      if (context === undefined) shared.set(members, (context = createContext(group)));
      this.contexts.set(name, context);
    }
  }

  /** The context for a name, exact before wildcard; undefined when the default is meant. */
  find(serverName: string): SecureContext | undefined {
    const name = serverName.toLowerCase();
    const exact = this.contexts.get(name);
    if (exact !== undefined) return exact;
    // A wildcard stands for exactly one label (RFC 9525, section 6.3), so there is one wildcard that can match.
    const dot = name.indexOf('.');
    return dot <= 0 ? undefined : this.contexts.get(`*${name.substring(dot)}`);
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
