/** What is known of a consumer: plain data, as the configuration, a consumer file or the admin API has it. */

export interface ConsumerRecord {
  readonly name: string;
  readonly groups: readonly string[];
  readonly apiKeys: readonly ApiKeyRecord[];
  readonly basic: BasicRecord | null;
  readonly hmac: readonly HmacRecord[];
  readonly signing: readonly PublicKeyRecord[];
  /** Of several, a token has to meet one. */
  readonly jwt: readonly ClaimConditions[];
  readonly certificates: readonly CertificateRecord[];
}

interface CredentialRecord {
  /** What it is for; empty for nothing. */
  readonly label: string;
  /** Wall-clock milliseconds from which it is no longer accepted; null for never. */
  readonly expiresAt: number | null;
}

export interface ApiKeyRecord extends CredentialRecord {
  /** SHA-256 of the key, 64 lower-case hexadecimal digits. */
  readonly digest: string;
}

export interface BasicRecord {
  /** What it logs in as. */
  readonly user: string;
  readonly password: string;
}

export interface HmacRecord extends CredentialRecord {
  readonly keyId: string;
  readonly secret: string;
}

export interface PublicKeyRecord extends CredentialRecord {
  readonly keyId: string;
  /** The name in RFC 9421, section 6.2.2. */
  readonly algorithm: string;
  /** In PEM form. */
  readonly publicKey: string;
}

/** The value that each claim must have. */
export type ClaimConditions = Readonly<Record<string, string | number | boolean>>;

/** As in `subjectAltName` (`DNS:a.example`), or the SHA-256 of the certificate in lower-case hexadecimal. */
export type CertificateRecord = { readonly san: string } | { readonly fingerprint: string };
