/** The forms of consumers in the admin API. */
import { passwordHashProblem } from '../util/password-hash.ts';
import { consumerSchema } from '../config/schema/consumer.ts';
import { isName } from '../config/schema/scalars.ts';
import { z } from '../util/schema.ts';

const wallTime = z.int().describe('Milliseconds since the epoch.');
const lifetime = {
  label: z.string().describe('What it is for; empty for nothing.'),
  expiresAt: wallTime.nullable().describe('From when it is not accepted any more; null for never.'),
  lastUsedAt: wallTime.nullable().describe('null when that was not seen.'),
};

const shownConsumer = z
  .strictObject({
    name: z.string(),
    source: z
      .enum(['configuration', 'database'])
      .describe('Where it is kept. Only those of the database can be changed here.'),
    groups: z.array(z.string()),
    apiKeys: z.array(z.strictObject({ id: z.string().describe('The first 12 digits of its hash.'), ...lifetime })),
    basic: z.strictObject({ user: z.string(), lastUsedAt: lifetime.lastUsedAt }).nullable(),
    hmac: z.array(z.strictObject({ keyId: z.string(), ...lifetime })),
    signing: z.array(z.strictObject({ keyId: z.string(), algorithm: z.string(), publicKey: z.string(), ...lifetime })),
    jwt: z.array(z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]))),
    certificates: z.array(z.union([z.strictObject({ san: z.string() }), z.strictObject({ fingerprint: z.string() })])),
  })
  .describe('A consumer without what could be used or guessed at: hashes and secrets are not shown.');

export type ShownConsumer = z.output<typeof shownConsumer>;

export const consumerAnswer = z.strictObject({ consumer: shownConsumer });

export const consumersAnswer = z.strictObject({
  total: z.int().min(0).describe('How many there are, or match `q`.'),
  offset: z.int().min(0),
  limit: z.int().min(0),
  consumers: z.array(shownConsumer),
});

export const removedAnswer = z.strictObject({ removed: z.literal(true) });

const { shape } = consumerSchema;

/**
 * As in the configuration. Secrets of signatures are not taken, as they would have to be kept as they are; passwords and
 * API keys are left as they are if nothing is said of them, since nobody can read here what they are.
 */
export const consumerBody = z.strictObject({
  groups: shape.groups,
  apiKeys: shape.apiKeys.unwrap().optional().describe('Instead of those that it has.'),
  basic: z
    .strictObject({
      user: z.string().min(1).max(256).optional(),
      password: z.string().refine((text) => passwordHashProblem(text) === null, {
        error: ({ input }) => passwordHashProblem(String(input)) ?? '',
      }),
    })
    .nullable()
    .optional()
    .describe('Instead of the password that it has; null for none.'),
  signing: shape.signing,
  jwt: shape.jwt,
  certificates: shape.certificates,
});

export type ConsumerBody = z.output<typeof consumerBody>;

const apiKey = shape.apiKeys.unwrap().element.shape;

export const keyBody = z.strictObject({
  label: apiKey.label,
  expires: apiKey.expires,
  hash: z
    .string()
    .regex(/^sha256:[0-9a-f]{64}$/, { error: 'write sha256: and 64 digits 0-9 and a-f' })
    .optional()
    .describe('Of a key that was made elsewhere. Without it one is made here.'),
});

export type KeyBody = z.output<typeof keyBody>;

export const keyAnswer = z.strictObject({
  id: z.string(),
  key: z.string().optional().describe('The key, if it was made here. It is shown this once and kept nowhere.'),
  hash: z.string().describe('As the configuration would have it.'),
  label: z.string(),
  expiresAt: wallTime.nullable(),
});

export function isConsumerName(text: string): boolean {
  return isName(text);
}
