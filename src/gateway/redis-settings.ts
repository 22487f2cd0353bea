/** What a connection to a store is made with, from how the configuration describes the store. */
import type { StoreConfig } from '../config/schema.ts';
import type { RedisSettings } from '../stores/redis-connection.ts';
import type { Clock } from '../util/clock.ts';
import { UpstreamTls } from '../wire/tls/upstream-tls.ts';

/**
 * @param warn for the log: a file of TLS was replaced by one that cannot be used.
 * @throws {TlsFileError} when a file of TLS cannot be used.
 */
export function redisSettings(config: StoreConfig, clock: Clock, warn: (message: string) => void): RedisSettings {
  const { url, sentinels, sentinelUsername, sentinelPassword, cluster, nodes, username, password, tls } = config;
  const report = ({ message }: { readonly message: string }): void => warn(message);
  // What the schema has accepted names absolute paths.
  const verified = url.toLowerCase().startsWith('rediss:')
    ? new UpstreamTls(tls, { baseDir: '/', clock, report })
    : null;
  return {
    url,
    sentinels,
    sentinelUsername,
    sentinelPassword,
    cluster: cluster ? nodes : null,
    username,
    password,
    timeoutMs: config.timeout,
    tls: verified === null ? null : { verified, serverName: tls.serverName },
  };
}
