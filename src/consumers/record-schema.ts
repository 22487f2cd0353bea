/** What is read from a database was written by somebody at some time: it is held against this before it is believed. */
import { z } from '../util/schema.ts';
import type { ConsumerRecord } from './consumer-record.ts';

const name = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/);
const lifetime = { label: z.string(), expiresAt: z.number().nullable() };

export const recordSchema: z.ZodType<ConsumerRecord> = z.strictObject({
  name,
  groups: z.array(name),
  apiKeys: z.array(z.strictObject({ digest: z.string().regex(/^[0-9a-f]{64}$/), ...lifetime })),
  basic: z.strictObject({ user: z.string(), password: z.string() }).nullable(),
  // Their secrets would have to be kept as they are; what is kept are hashes and public keys.
  hmac: z.tuple([]),
  signing: z.array(z.strictObject({ keyId: z.string(), algorithm: z.string(), publicKey: z.string(), ...lifetime })),
  jwt: z.array(z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]))),
  certificates: z.array(
    z.union([z.strictObject({ san: z.string() }), z.strictObject({ fingerprint: z.string().regex(/^[0-9a-f]{64}$/) })]),
  ),
});
