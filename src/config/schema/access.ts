/** `consumers`, `stores` and `cache`: who calls, and what is shared with other machines. The last two are not available yet. */
import { z } from '../../util/schema.ts';
import { duration, size } from '../../util/units.ts';
import { NAME_RULE, fileName, flag, isName, reference, secret } from './scalars.ts';

/** `2027-12-31`, as text: YAML 1.2 has no dates. */
const day = z.string().regex(/^[0-9]{4}-[0-9]{2}-[0-9]{2}$/, { error: 'write a day such as 2027-12-31' });

const apiKey = z.strictObject({
  hash: z
    .string()
    .regex(/^sha256:[0-9a-f]{64}$/, { error: 'write sha256: and the hash of the key, 64 digits 0-9 and a-f' })
    .describe('`sha256:` and the hash of the key in hexadecimal.'),
  label: z.string().optional().describe('What the key is for.'),
  expires: day.optional().describe('The last day on which it is accepted.'),
});

const certificateMatch = z.union([
  z.strictObject({
    san: z
      .string()
      .regex(/^(?:DNS|URI|email|IP):./)
      .describe('A subject alternative name.'),
  }),
  z.strictObject({
    fingerprint: z
      .string()
      .regex(/^sha256:[0-9a-f]{64}$/, { error: 'write sha256: and 64 digits 0-9 and a-f' })
      .describe('The SHA-256 of the certificate.'),
  }),
]);

export const consumerSchema = z.strictObject({
  groups: z
    .array(z.string().refine(isName, { error: NAME_RULE }))
    .default([])
    .describe('The groups that it belongs to.'),
  apiKeys: z.array(apiKey).default([]).describe('Hashes of its API keys; `gatewright keys new` makes them.'),
  basic: z
    .strictObject({
      user: z.string().min(1).optional().describe('What it logs in as. By default its name.'),
      password: z.string().min(1).describe('A bcrypt, htpasswd or argon2id hash.'),
    })
    .optional()
    .describe('Its password for `basicAuth`.'),
  hmac: z
    .strictObject({
      keyId: z.string().min(1).describe('The name of the key in signatures.'),
      secret: secret().describe('The key.'),
    })
    .optional()
    .describe('Its key for signatures.'),
  jwt: z
    .object({
      subject: z.string().optional().describe('The `sub` claim.'),
      issuer: z.string().optional().describe('The `iss` claim.'),
    })
    .catchall(z.union([z.string(), z.number(), z.boolean()]))
    .refine((claims) => Object.keys(claims).length > 0, { error: 'name at least one claim' })
    .optional()
    .describe('The claims that a token of it has.'),
  certificates: z.array(certificateMatch).default([]).describe('Its client certificates.'),
});

export const storeSchema = z.strictObject({
  type: z.literal('redis').describe('Redis or Valkey.'),
  url: z.string().min(1).describe('`redis://host:port` or `rediss://…`.'),
  timeout: duration({ min: 1 }).prefault('50ms').describe('How long an answer may take.'),
  prefix: z.string().default('gw:').describe('Put before every key.'),
  tls: z
    .strictObject({
      ca: fileName().optional().describe('The authorities, in PEM form, to trust.'),
      insecure: flag().default(false).describe('Do not verify the server.'),
    })
    .optional()
    .describe('How a `rediss://` server is verified.'),
});

export const cacheSchema = z.strictObject({
  memory: size().prefault('256MiB').describe('Memory for responses.'),
  disk: z
    .strictObject({ path: fileName().describe('A folder.'), size: size().describe('How much of it.') })
    .optional()
    .describe('Space on a disk for responses.'),
  store: reference().optional().describe('A store to share responses through.'),
});
