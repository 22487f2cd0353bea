/** `stores` and `cache`: what is shared with other machines. The latter is not available yet. */
import { z } from '../../util/schema.ts';
import { duration, size } from '../../util/units.ts';
import { fileName, flag, pem, reference, secret } from './scalars.ts';

const STORE_RULE = 'write redis://host:port or rediss://host:port; a user and a password have options of their own';

const ADDRESS_RULE = 'write host:port';

function isAddress(text: string): boolean {
  return /^[^/?#@\\\s]+$/.test(text) && URL.canParse(`redis://${text}`);
}

/** Whatever stands in it is shown to operators, so nothing secret may. */
function isStoreUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, pathname, username, password, search, hash } = new URL(text);
  if (protocol !== 'redis:' && protocol !== 'rediss:') return false;
  return hostname !== '' && /^(?:\/[0-9]{0,4})?$/.test(pathname) && username + password + search + hash === '';
}

function isHostName(text: string): boolean {
  return /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/i.test(text) && !/^[0-9.]+$/.test(text);
}

export const storeSchema = z
  .strictObject({
    type: z.literal('redis').describe('Redis or Valkey.'),
    url: z
      .string()
      .refine(isStoreUrl, { error: STORE_RULE })
      .describe(
        '`redis://host:port`, with `rediss://` for TLS and `/1` behind it for another database. With `sentinels` the host is the name of the master: `redis://mymaster`.',
      ),
    sentinels: z
      .array(z.string().refine(isAddress, { error: ADDRESS_RULE }))
      .min(1)
      .optional()
      .describe('Redis Sentinels, as `host:port`, which are asked where the master is.'),
    sentinelUsername: z
      .string()
      .min(1)
      .optional()
      .describe('The user to log in as at the sentinels, if it is not the default one.'),
    sentinelPassword: secret()
      .optional()
      .describe('The password to log in with at the sentinels. Without it they are asked without a login.'),
    cluster: flag().default(false).describe('`url` is a node of a Redis Cluster; the others are found through it.'),
    nodes: z
      .array(z.string().refine(isAddress, { error: ADDRESS_RULE }))
      .min(1)
      .optional()
      .describe('Other nodes of the cluster, as `host:port`, to begin with should the one of `url` be gone.'),
    username: z.string().min(1).optional().describe('The user to log in as, if it is not the default one.'),
    password: secret().optional().describe('The password to log in with.'),
    timeout: duration({ min: 1, max: 60_000 }).prefault('50ms').describe('How long an answer may take.'),
    prefix: z.string().default('gw:').describe('Put before every key.'),
    tls: z
      .strictObject({
        ca: pem().optional().describe('The authorities, in PEM form, to trust instead of those of the system.'),
        cert: pem().optional().describe('The certificate, in PEM form, to present to the server.'),
        key: pem().optional().describe('Its private key in PEM form.'),
        serverName: z
          .string()
          .refine(isHostName, { error: 'write the name of a host, without a port; an address has no place in SNI' })
          .optional()
          .describe(
            'The name to ask for (SNI) and to verify, of all its servers. By default the host of each, as it is reached.',
          ),
        insecure: flag().default(false).describe('Do not verify the server.'),
      })
      .prefault({})
      .describe('How a `rediss://` server is verified, and what is presented to it.'),
  })
  .superRefine((store, context) => {
    const { url, sentinels, cluster, nodes, username, password, sentinelUsername, sentinelPassword, tls } = store;
    const report = (path: string[], message: string): void => context.addIssue({ code: 'custom', path, message });
    // Whoever names an authority believes that the server is verified, and what is kept there encrypted on its way.
    if (!/^rediss:/i.test(url) && Object.values(tls).some((value) => value !== undefined && value !== false)) {
      report(['tls'], 'a redis:// server is reached without TLS: write rediss://, or leave this out');
    }
    if (tls.insecure && tls.ca !== undefined) report(['tls', 'ca'], 'nobody looks at it where `insecure` is true');
    if (username !== undefined && password === undefined) report(['password'], 'a user logs in with a password');
    if (sentinels !== undefined && cluster) report(['sentinels'], 'a cluster has no sentinels');
    if (sentinels !== undefined && URL.canParse(url) && new URL(url).port !== '') {
      report(['url'], 'with `sentinels` it names the master, which has no port here: redis://mymaster');
    }
    if (sentinels === undefined) {
      const lone = { sentinelUsername, sentinelPassword };
      for (const [option, value] of Object.entries(lone)) {
        if (value !== undefined) report([option], 'nobody looks at it where there are no `sentinels`');
      }
    } else if (sentinelUsername !== undefined && sentinelPassword === undefined) {
      report(['sentinelPassword'], 'a user logs in with a password');
    }
    if (nodes !== undefined && !cluster) report(['nodes'], 'nobody looks at it where `cluster` is not true');
    if (cluster && URL.canParse(url) && /[1-9]/.test(new URL(url).pathname)) {
      report(['url'], 'a cluster has no other database than the first');
    }
  });

export const cacheSchema = z.strictObject({
  memory: size().prefault('256MiB').describe('Memory for responses.'),
  disk: z
    .strictObject({ path: fileName().describe('A folder.'), size: size().describe('How much of it.') })
    .optional()
    .describe('Space on a disk for responses.'),
  store: reference().optional().describe('A store to share responses through.'),
});
