/** What the credentials of one consumer are told apart by, in the admin API and where their last use is kept. */
export const credentialId = {
  /** The beginning of what the configuration has behind `sha256:`: enough to tell keys apart, too little to check guesses by. */
  apiKey: (digest: string): string => digest.slice(0, 12),
  basic: 'basic',
  signing: (keyId: string): string => `keyid:${keyId}`,
} as const;
