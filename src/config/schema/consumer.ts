/** `consumers`: who may call, and what each can show. The same form stands in consumer files and in the admin API. */
import { z } from '../../util/schema.ts';
import { passwordHashProblem } from '../../util/password-hash.ts';
import { NAME_RULE, fileName, isName, oneOrMore, pem, secret } from './scalars.ts';

/** `<…>` stands where an example leaves something out. It is accepted, with a warning, and is nobody's credential. */
export function isPlaceholder(text: string): boolean {
  return /<[^<>]+>/.test(text);
}

const DAY = /^[0-9]{4}-[0-9]{2}-[0-9]{2}$/;

/** Very many keys end on few days. */
const known = new Map<string, boolean>();
const mostKnown = 1000;

/** Whether a text is a day that there is: `Date.parse` takes the 31st of February for one in March. */
export function isDay(text: string): boolean {
  let is = known.get(text);
  if (is === undefined) {
    const ms = DAY.test(text) ? Date.parse(text) : NaN;
    is = !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(text);
    if (known.size < mostKnown) known.set(text, is);
  }
  return is;
}

/** `2027-12-31`, as text: YAML 1.2 has no dates. */
const day = z.string().refine(isDay, { error: 'write a day that there is, such as 2027-12-31' });

const DIGEST_RULE = 'write sha256: and 64 digits 0-9 and a-f';

/** `sha256:` and a digest in hexadecimal, or a placeholder for it. */
function digest(what: string) {
  return z.string().regex(/^sha256:(?:[0-9a-f]{64}|.*<[^<>]+>.*)$/, { error: `${DIGEST_RULE}${what}` });
}

const label = z
  .string()
  .max(128)
  .regex(/^\P{Cc}*$/u, { error: 'a label is one line of text' })
  .optional()
  .describe('What it is for.');
const expires = day.optional().describe('The last day on which it is accepted, UTC.');

const apiKey = z.strictObject({
  hash: digest(', the hash of the key').describe('`sha256:` and the hash of the key in hexadecimal.'),
  label,
  expires,
});

/** What a signature calls its key (RFC 9421, section 2.3). */
const keyId = z.string().min(1).max(256).describe('The name of the key in signatures.');

const hmac = z.strictObject({ keyId, secret: secret().describe('The key.'), label, expires });

const signatureAlgorithms = [
  'ed25519',
  'ecdsa-p256-sha256',
  'ecdsa-p384-sha384',
  'rsa-pss-sha512',
  'rsa-v1_5-sha256',
] as const;

const signingKey = z.strictObject({
  keyId,
  algorithm: z.enum(signatureAlgorithms).describe('How it signs (RFC 9421, section 6.2.2).'),
  publicKey: pem().describe('Its public key, in PEM form or in a file.'),
  label,
  expires,
});

const claims = z
  .object({
    subject: z.string().optional().describe('The `sub` claim.'),
    issuer: z.string().optional().describe('The `iss` claim.'),
  })
  // With `undefined`, or the types of the keys above would not fit those of all others where their inputs are declared.
  .catchall(z.union([z.string(), z.number(), z.boolean()]).optional())
  .refine((conditions) => Object.keys(conditions).length > 0, { error: 'name at least one claim' });

const certificateMatch = z.union([
  z.strictObject({
    san: z
      .string()
      .regex(/^(?:DNS|URI|email|IP):./, { error: 'write a kind and a name: DNS:…, URI:…, email:… or IP:…' })
      .describe('A subject alternative name.'),
  }),
  z.strictObject({ fingerprint: digest('').describe('The SHA-256 of the certificate.') }),
]);

export const consumerSchema = z.strictObject({
  groups: z
    .array(z.string().refine(isName, { error: NAME_RULE }))
    .default([])
    .describe('The groups that it belongs to.'),
  apiKeys: z.array(apiKey).max(100).default([]).describe('Hashes of its API keys; `gatewright keys new` makes them.'),
  basic: z
    .strictObject({
      user: z.string().min(1).max(256).optional().describe('What it logs in as. By default its name.'),
      password: z
        .string()
        .min(1)
        .refine((text) => isPlaceholder(text) || passwordHashProblem(text) === null, {
          error: ({ input }) => passwordHashProblem(String(input)) ?? '',
        })
        .describe('A bcrypt, argon2id or `{SHA}` hash, as `htpasswd -nB` makes it.'),
    })
    .optional()
    .describe('Its password for `basicAuth`.'),
  hmac: oneOrMore(hmac).default([]).describe('Its secret keys for signatures.'),
  signing: oneOrMore(signingKey).default([]).describe('Its public keys for signatures (RFC 9421).'),
  jwt: oneOrMore(claims).default([]).describe('The claims that a token of it has; of several, one is enough.'),
  certificates: z.array(certificateMatch).max(100).default([]).describe('Its client certificates.'),
});

export const consumerSourcesSchema = z.strictObject({
  files: oneOrMore(fileName())
    .default([])
    .describe('Files, or folders of files, in YAML or JSON: names of consumers, and what stands under each here.'),
  database: fileName().optional().describe('A file for the consumers that the admin API makes. It is made if need be.'),
});
