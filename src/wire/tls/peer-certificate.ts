/** What a certificate says about its holder, as policies see it. */
import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { PeerCertificate } from '../../contract.ts';

/**
 * The client's certificate when the handshake has verified it, otherwise null: a listener that asks without requiring
 * lets clients in that show none, or one that nobody vouches for. Costs some parsing; once per connection is enough.
 */
export function peerCertificate(socket: TLSSocket): PeerCertificate | null {
  if (!socket.authorized) return null;
  const certificate = socket.getPeerX509Certificate();
  return certificate === undefined ? null : describeCertificate(certificate);
}

export function describeCertificate(certificate: X509Certificate): PeerCertificate {
  return {
    subject: formatName(certificate.subject),
    altNames: parseAltNames(certificate.subjectAltName),
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
  };
}

/**
 * A name as one line, most specific part first (RFC 4514): `CN=mobile,O=Example`. The platform gives one part a line,
 * in the order of the certificate, with special characters already escaped.
 */
function formatName(name: string | undefined): string {
  return name === undefined ? '' : name.split('\n').toReversed().join(',');
}

/**
 * `subjectAltName` as a list: `DNS:a.example`, `URI:spiffe://x`, `IP:10.0.0.1`. A name that contains a comma or a quote
 * arrives as a JSON string, so that it cannot pass for two names (CVE-2021-44532).
 */
export function parseAltNames(text: string | undefined): string[] {
  const names: string[] = [];
  if (text === undefined) return names;
  for (let start = 0; start < text.length;) {
    const end = endOfName(text, start);
    names.push(parseAltName(text.substring(start, end)));
    start = end + 2;
  }
  return names;
}

/** The index of the `, ` that ends the name, or the end of the text. */
function endOfName(text: string, start: number): number {
  let isQuoted = false;
  for (let i = start; i < text.length; i++) {
    if (text[i] === '"') isQuoted = !isQuoted;
    else if (text[i] === '\\' && isQuoted) i++;
    else if (text[i] === ',' && !isQuoted) return i;
  }
  return text.length;
}

function parseAltName(name: string): string {
  const colon = name.indexOf(':');
  const kind = name.substring(0, colon);
  const value = name.substring(colon + 1);
  const plain = value.startsWith('"') ? String(JSON.parse(value)) : value;
  return `${kind === 'IP Address' ? 'IP' : kind}:${plain}`;
}
