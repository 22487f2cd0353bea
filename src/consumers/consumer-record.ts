/** What is known of a consumer: plain data, as the configuration, a consumer file or the admin API has it. */

export interface ConsumerRecord {
  readonly name: string;
  readonly groups: readonly string[];
  readonly apiKeys: readonly ApiKeyRecord[];
  readonly basic: BasicRecord | null;
  readonly hmac: HmacRecord | null;
  readonly jwt: ClaimConditions | null;
  readonly certificates: readonly CertificateRecord[];
}

export interface ApiKeyRecord {
  /** SHA-256 of the key, 64 lower-case hexadecimal digits. */
  readonly digest: string;
  readonly label: string;
  /** Wall-clock milliseconds from which it is no longer accepted; null for never. */
  readonly expiresAt: number | null;
}

export interface BasicRecord {
  /** What it logs in as. */
  readonly user: string;
  readonly password: string;
}

export interface HmacRecord {
  readonly keyId: string;
  readonly secret: string;
}

/** The value that each claim must have. */
export type ClaimConditions = Readonly<Record<string, string | number | boolean>>;

/** As in `subjectAltName` (`DNS:a.example`), or the SHA-256 of the certificate in lower-case hexadecimal. */
export type CertificateRecord = { readonly san: string } | { readonly fingerprint: string };
