/** X.509 certificates for tests (RFC 5280), made on the spot: no key lies in the repository, none expires there. */
import { type KeyObject, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

export interface Certificate {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  readonly der: Buffer;
  readonly privateKey: KeyObject;
  readonly subject: Buffer;
}

export interface CertificateWish {
  readonly commonName?: string;
  readonly organization?: string;
  /** `DNS:a.example`, `URI:spiffe://x` or `IP:127.0.0.1`. */
  readonly altNames?: readonly string[];
  readonly keyType?: 'ec' | 'rsa';
  readonly rsaBits?: number;
  /** Signs itself without one. */
  readonly issuer?: Certificate;
  readonly isAuthority?: boolean;
  readonly validFrom?: Date;
  readonly validTo?: Date;
}

const day = 24 * 60 * 60 * 1000;

export function makeCertificate(wish: CertificateWish = {}): Certificate {
  const keyType = wish.keyType ?? 'ec';
  const { privateKey, publicKey } =
    keyType === 'ec'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: wish.rsaBits ?? 2048 });
  const subject = name(wish);
  const signer = wish.issuer?.privateKey ?? privateKey;
  const algorithm =
    signer.asymmetricKeyType === 'ec'
      ? sequence(oid('2a8648ce3d040302'))
      : sequence(oid('2a864886f70d01010b'), Buffer.from([5, 0]));

  const body = sequence(
    tagged(0xa0, tagged(0x02, Buffer.from([2]))),
    tagged(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    wish.issuer?.subject ?? subject,
    sequence(time(wish.validFrom ?? new Date(Date.now() - day)), time(wish.validTo ?? new Date(Date.now() + 30 * day))),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...extensions(wish))),
  );
  const der = sequence(body, algorithm, bitString(sign('sha256', body, signer)));
  const lines = der
    .toString('base64')
    .match(/.{1,64}/g)!
    .join('\n');
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    der,
    privateKey,
    subject,
  };
}

function extensions({ altNames, isAuthority }: CertificateWish): Buffer[] {
  const list: Buffer[] = [];
  if (isAuthority === true) {
    const isCritical = Buffer.from([0x01, 0x01, 0xff]);
    list.push(sequence(oid('551d13'), isCritical, tagged(0x04, sequence(Buffer.from([0x01, 0x01, 0xff])))));
  }
  if (altNames !== undefined) list.push(sequence(oid('551d11'), tagged(0x04, sequence(...altNames.map(generalName)))));
  return list;
}

function generalName(text: string): Buffer {
  const kind = text.substring(0, text.indexOf(':'));
  const value = text.substring(kind.length + 1);
  if (kind === 'IP') return tagged(0x87, Buffer.from(value.split('.').map(Number)));
  return tagged(kind === 'DNS' ? 0x82 : 0x86, Buffer.from(value, 'latin1'));
}

function name({ organization, commonName }: CertificateWish): Buffer {
  const part = (type: string, text: string): Buffer =>
    tagged(0x31, sequence(oid(type), tagged(0x0c, Buffer.from(text))));
  return sequence(
    ...(organization === undefined ? [] : [part('55040a', organization)]),
    part('550403', commonName ?? 'test'),
  );
}

function time(date: Date): Buffer {
  const digits = date.toISOString().replaceAll(/[-:T]|\..*/g, '');
  return tagged(0x18, Buffer.from(`${digits}Z`, 'latin1'));
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const size = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

const sequence = (...parts: Buffer[]): Buffer => tagged(0x30, Buffer.concat(parts));
const oid = (hex: string): Buffer => tagged(0x06, Buffer.from(hex, 'hex'));
const bitString = (bytes: Buffer): Buffer => tagged(0x03, Buffer.concat([Buffer.from([0]), bytes]));
