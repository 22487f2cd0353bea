/** Several real servers of Redis on loopback: one with a copy that takes over, or a cluster. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ChildProcess, spawn } from 'node:child_process';
import { eventually } from './changes.ts';
import { folderWith } from './command.ts';
import { freePort } from './free-port.ts';
import { RedisServer } from './redis-server.ts';
import { type TlsFolder, tlsArguments } from './redis-tls.ts';
import type { Scope } from './scope.ts';

export interface Watched {
  readonly servers: readonly RedisServer[];
  /** `host:port` of the sentinel. */
  readonly sentinel: string;
}

interface WatchedWish {
  /** Who may ask the sentinel; nobody else then. */
  readonly login?: { readonly username: string; readonly password: string };
  /** Everybody is reached by TLS alone, and finds the others so. */
  readonly tls?: TlsFolder;
}

/** A master called `mymaster`, one copy of it, and one sentinel, which is enough to decide. */
export async function startWatched(t: Scope, { login, tls }: WatchedWish = {}): Promise<Watched> {
  const ports = tls === undefined ? null : [await freePort(), await freePort()];
  const serverTls = (i: number): readonly string[] =>
    tls === undefined || ports === null ? [] : [...tlsArguments(tls, ports[i], false), '--tls-replication', 'yes'];
  // A copy begins with a file of all that the master has.
  const master = await RedisServer.start(t, ['--dir', await folderWith(t), ...serverTls(0)]);
  const masterPort = ports?.[0] ?? master.port;
  const replicaOf = ['--replicaof', '127.0.0.1', String(masterPort)];
  const copy = await RedisServer.start(t, ['--dir', await folderWith(t), ...replicaOf, ...serverTls(1)]);
  await eventually(async () => (await copy.ask('INFO', 'replication')).includes('master_link_status:up'), 'the copy');
  const port = await freePort();
  const folder = await folderWith(t);
  const file = join(folder, 'sentinel.conf');
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${folder}`,
    `sentinel monitor mymaster 127.0.0.1 ${masterPort} 1`,
    'sentinel down-after-milliseconds mymaster 300',
    'sentinel failover-timeout mymaster 2000',
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  const tlsPort = await freePort();
  const more = tls === undefined ? [] : [...tlsArguments(tls, tlsPort, false), '--tls-replication', 'yes'];
  const sentinel: ChildProcess = spawn('redis-server', [file, '--sentinel', ...more], { stdio: 'ignore' });
  t.after(() => void sentinel.kill('SIGKILL'));
  const asked = RedisServer.at(port);
  const knowsCopy = async (): Promise<boolean> => {
    const answer = await asked.ask('SENTINEL', 'replicas', 'mymaster').catch(() => '');
    return answer.includes(String(ports?.[1] ?? copy.port));
  };
  await eventually(knowsCopy, 'the sentinel to know the copy', 20_000);
  // Only now, so that whoever prepares it need not log in.
  if (login !== undefined) {
    const { username, password } = login;
    const rights = ['on', `>${password}`, '~*', '&*', '+@all'];
    assert.match(await asked.ask('ACL', 'SETUSER', username, 'reset', ...rights), /OK/);
    if (username !== 'default') assert.match(await asked.ask('ACL', 'SETUSER', 'default', 'off'), /OK/);
    assert.match(await asked.ask('SENTINEL', 'masters'), /NOAUTH/);
  }
  return { servers: [master, copy], sentinel: `127.0.0.1:${tls === undefined ? port : tlsPort}` };
}

/**
 * Three masters that have a third of the keys each.
 * @param tls how they find each other; `ports` gets the ports at which they are found then.
 */
export async function startCluster(
  t: Scope,
  tls: { readonly files: TlsFolder; readonly ports: number[] } | null = null,
): Promise<readonly RedisServer[]> {
  const servers: RedisServer[] = [];
  for (let i = 0; i < 3; i++) {
    const folder = await folderWith(t);
    tls?.ports.push(await freePort());
    const more = tls === null ? [] : [...tlsArguments(tls.files, tls.ports[i], false), '--tls-cluster', 'yes'];
    servers.push(await RedisServer.start(t, ['--cluster-enabled', 'yes', '--dir', folder, ...more]));
  }
  const bounds = [0, 5461, 10_923, 16_384];
  for (const [i, server] of servers.entries()) {
    await server.ask('CLUSTER', 'ADDSLOTSRANGE', String(bounds[i]), String(bounds[i + 1] - 1));
    await servers[0].ask('CLUSTER', 'MEET', '127.0.0.1', String(tls?.ports[i] ?? server.port));
  }
  const areReady = async (): Promise<boolean> => {
    const states = await Promise.all(servers.map((server) => server.ask('CLUSTER', 'INFO')));
    return states.every((state) => state.includes('cluster_state:ok') && state.includes('cluster_known_nodes:3'));
  };
  await eventually(areReady, 'the cluster', 30_000);
  return servers;
}
