/** One certificate of a listener with its key, checked, and the names that it is good for. */
import { type KeyObject, type X509Certificate, createPrivateKey } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { parseAltNames } from './peer-certificate.ts';
import { type PemSource, TlsFileError, reasonOf } from './pem-source.ts';

export interface ServerCertificate {
  readonly file: string;
  /** Lower-case host names, `*.` in front of those that stand for one label more. */
  readonly names: readonly string[];
  /** `rsa`, `ec`, `ed25519` …: clients are offered one certificate of each for the same name. */
  readonly keyType: string;
  /** The chain, own certificate first. */
  readonly certPem: string;
  readonly keyPem: string;
  readonly fingerprint: string;
  readonly validFromMs: number;
  readonly validToMs: number;
}

/** Reads a certificate of a listener. @throws {TlsFileError} naming the file that is to blame. */
export function loadServerCertificate(cert: PemSource, key: PemSource): ServerCertificate {
  const { certPem, keyPem, leaf, keyType } = readIdentity(cert, key);
  return {
    file: cert.file,
    names: serverNames(leaf),
    keyType,
    certPem,
    keyPem,
    fingerprint: leaf.fingerprint256.replaceAll(':', '').toLowerCase(),
    validFromMs: Date.parse(leaf.validFrom),
    validToMs: Date.parse(leaf.validTo),
  };
}

/** A certificate and its key, of whichever side. */
export interface Identity {
  readonly certPem: string;
  readonly keyPem: string;
  readonly leaf: X509Certificate;
  readonly keyType: string;
}

/** Reads a certificate with its key and checks that TLS can use them. @throws {TlsFileError} */
export function readIdentity(cert: PemSource, key: PemSource): Identity {
  const { pem, certificates } = cert.readCertificates();
  const keyPem = key.read();
  const privateKey = parsePrivateKey(keyPem, key.file);
  const leaf = certificates[0];
  if (!leaf.checkPrivateKey(privateKey)) {
    throw new TlsFileError(cert.file, mismatch(certificates, privateKey, key.file));
  }
  try {
    // OpenSSL has conditions of its own: weak keys and signatures are refused here, not at the first handshake.
    createSecureContext({ cert: pem, key: keyPem, ca: [] });
  } catch (error) {
    throw new TlsFileError(cert.file, `is not accepted for TLS: ${reasonOf(error)}`);
  }
  return { certPem: pem, keyPem, leaf, keyType: privateKey.asymmetricKeyType ?? 'unknown' };
}

function parsePrivateKey(pem: string, file: string): KeyObject {
  if (/-----BEGIN ENCRYPTED |Proc-Type: 4,ENCRYPTED/.test(pem)) {
    throw new TlsFileError(file, 'is protected by a passphrase; a gateway must be able to start unattended');
  }
  try {
    return createPrivateKey(pem);
  } catch {
    throw new TlsFileError(file, 'holds no private key that can be used (PEM)');
  }
}

function mismatch(certificates: readonly X509Certificate[], key: KeyObject, keyFile: string): string {
  return certificates.some((certificate) => certificate.checkPrivateKey(key))
    ? 'has its certificates in the wrong order: the one of the server comes first, then those that issued it'
    : `does not belong to the key in ${keyFile}`;
}

/** DNS names of the certificate; the common name only where there is no alternative name at all (RFC 9525, 6.3). */
function serverNames(leaf: X509Certificate): string[] {
  if (leaf.subjectAltName !== undefined) {
    return parseAltNames(leaf.subjectAltName)
      .filter((name) => name.startsWith('DNS:'))
      .map((name) => name.substring('DNS:'.length).toLowerCase());
  }
  const commonName = /^CN=(.+)$/m.exec(leaf.subject)?.[1];
  return commonName === undefined ? [] : [commonName.toLowerCase()];
}
