/** `stores` and `cache`: what is shared with other machines. Not available yet. */
import { z } from '../../util/schema.ts';
import { duration, size } from '../../util/units.ts';
import { fileName, flag, reference } from './scalars.ts';

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
