/** Whether the certificates, keys and authorities that a configuration names can be used. */
import { type KeyObject, X509Certificate, createPrivateKey } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { isPemText } from '../../wire/tls/pem-source.ts';
import { noteSecret } from '../policies.ts';
import { type Finding, type Path, formatPath } from '../problem.ts';
import type { ListenerConfig, ListenerTlsConfig, UpstreamTlsConfig } from '../schema.ts';
import { type Interpolations, reasonOf } from '../source/interpolation.ts';

/** What the checks need: files of the configuration, and the time for expiry. */
export interface CertificateSurroundings {
  /** Reads a file by its path as written. Throws when it cannot. */
  readonly readFile: (path: string) => string;
  readonly interpolations: Interpolations;
  readonly wallNow: number;
  readonly findings: Finding[];
}

type ClientTlsFiles = Pick<UpstreamTlsConfig, 'ca' | 'cert' | 'key'>;

type Certificate = ListenerTlsConfig['certificates'][number];

/**
 * The TLS files of a listener. A certificate that cannot be used is an error, but the others go on serving without it
 * until its files are corrected; without any, or with authorities that cannot be used, there is nothing to serve.
 */
export function checkListenerTls(name: string, { tls }: ListenerConfig, around: CertificateSurroundings): void {
  if (tls === undefined) return;
  const path = ['listeners', name, 'tls'];
  const usable = tls.certificates.filter((certificate, index) => {
    const place = [...path, 'certificates', index];
    return isUsable(certificate, place, 'BAD_CERTIFICATE', around);
  });
  if (tls.clientAuth !== undefined) checkAuthority(tls.clientAuth.ca, [...path, 'clientAuth', 'ca'], around);
  if (usable.length > 0) return;
  const message = `${formatPath(path)}: none of the certificates can be used, so that the listener cannot serve`;
  around.findings.push({ severity: 'error', code: 'NO_CERTIFICATE', message, path: [...path, 'certificates'] });
}

/** The TLS files that something is asked with: an upstream, a store. @param path of its `tls`. */
export function checkClientTls(path: Path, tls: ClientTlsFiles, around: CertificateSurroundings): void {
  const { ca, cert, key } = tls;
  if (ca !== undefined) checkAuthority(ca, [...path, 'ca'], around);
  if (cert !== undefined && key !== undefined) isUsable({ cert, key }, path, 'BAD_TLS_FILE', around);
  if ((cert === undefined) !== (key === undefined)) {
    const [present, absent] = cert === undefined ? ['key', 'cert'] : ['cert', 'key'];
    const message = `${formatPath(path)} has ${present}, but not ${absent}: a client certificate needs both`;
    around.findings.push({ severity: 'error', code: 'MISSING', message, path: [...path, present] });
  }
}

/** Whether a certificate and its key can be read, are what they should be, and belong together. */
function isUsable(
  { cert, key }: Certificate,
  path: Path,
  code: 'BAD_CERTIFICATE' | 'BAD_TLS_FILE',
  around: CertificateSurroundings,
): boolean {
  const refuse = (name: 'cert' | 'key', message: string): false => {
    around.findings.push({ severity: 'error', code, message, path: [...path, name] });
    return false;
  };
  const certName = nameOf(cert, [...path, 'cert']);
  const keyName = nameOf(key, [...path, 'key']);
  if (isPemText(key)) noteSecret(key, [...path, 'key'], around.interpolations, around.findings);
  const parsedCert = parse(cert, around, readCertificate);
  const parsedKey = parse(key, around, readPrivateKey);
  if (typeof parsedCert === 'string') refuse('cert', `${certName}: ${parsedCert}`);
  if (typeof parsedKey === 'string') refuse('key', `${keyName}: ${parsedKey}`);
  if (typeof parsedCert === 'string' || typeof parsedKey === 'string') return false;
  if (!belongs(parsedCert, parsedKey)) {
    return refuse('key', `${keyName} is not the key of the certificate in ${certName}`);
  }
  // Whatever OpenSSL has against the two (a weak key, a broken chain) is known now, not at the first handshake.
  const refusal = parse(cert, around, (pem) => createSecureContext({ cert: pem, key: readPem(key, around) }));
  if (typeof refusal === 'string') return refuse('cert', `${certName}: ${refusal}`);
  checkValidity(parsedCert, certName, [...path, 'cert'], around);
  return true;
}

/** What messages call it: the name of the file, or of the place where the PEM text itself stands. */
function nameOf(value: string, path: Path): string {
  return isPemText(value) ? formatPath(path) : value;
}

/** OpenSSL says of text that is no PEM at all that it has "no start line", which tells nobody what to do. */
function readCertificate(pem: string): X509Certificate {
  if (!/-----BEGIN [A-Z0-9 ]*CERTIFICATE-----/.test(pem)) {
    throw new Error('there is no certificate in it (PEM form is expected)');
  }
  return new X509Certificate(pem);
}

function readPrivateKey(pem: string): KeyObject {
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) {
    throw new Error('there is no private key in it (PEM form is expected)');
  }
  if (/-----BEGIN ENCRYPTED |Proc-Type: 4,ENCRYPTED/.test(pem)) {
    throw new Error('the key is protected by a passphrase; a gateway must be able to start unattended');
  }
  return createPrivateKey(pem);
}

function belongs(certificate: X509Certificate, key: KeyObject): boolean {
  try {
    return certificate.checkPrivateKey(key);
  } catch {
    return false;
  }
}

/** Authorities that something else is verified with. */
function checkAuthority(ca: string, path: Path, around: CertificateSurroundings): void {
  const parsed = parse(ca, around, (pem) => {
    const blocks =
      pem.match(
        /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[\s\S]+?-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g,
      ) ?? [];
    if (blocks.length === 0) throw new Error('there is no certificate in it');
    return blocks.map((block) => new X509Certificate(block));
  });
  if (typeof parsed !== 'string') return;
  around.findings.push({ severity: 'error', code: 'BAD_TLS_FILE', message: `${nameOf(ca, path)}: ${parsed}`, path });
}

/** An expired certificate is served all the same: refusing to start would not make it valid. */
function checkValidity(certificate: X509Certificate, file: string, path: Path, around: CertificateSurroundings): void {
  const { validFromDate, validToDate } = certificate;
  const isEarly = validFromDate.getTime() > around.wallNow;
  if (!isEarly && validToDate.getTime() > around.wallNow) return;
  const message = isEarly
    ? `${file} is not valid before ${validFromDate.toISOString()}`
    : `${file} has expired at ${validToDate.toISOString()}`;
  around.findings.push({ severity: 'warning', code: 'CERTIFICATE_EXPIRY', message, path });
}

function readPem(value: string, { readFile }: CertificateSurroundings): string {
  return isPemText(value) ? value : readFile(value);
}

/** What `read` makes of PEM text, itself or in a file, or in words why it cannot. */
function parse<T extends object>(value: string, around: CertificateSurroundings, read: (pem: string) => T): T | string {
  let pem: string;
  try {
    pem = readPem(value, around);
  } catch (error) {
    return `the file cannot be read (${reasonOf(error)})`;
  }
  try {
    return read(pem);
  } catch (error) {
    // Codes such as ERR_OSSL_UNSUPPORTED tell people less than the text beside them.
    return error instanceof Error ? error.message : 'it cannot be parsed';
  }
}
