/** Several real servers of Redis on loopback: one with a copy that takes over, or a cluster. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ChildProcess, spawn } from 'node:child_process';
import { eventually } from './changes.ts';
import { folderWith } from './command.ts';
import { freePort } from './free-port.ts';
import { RedisServer } from './redis-server.ts';
import type { Scope } from './scope.ts';

export interface Watched {
  readonly servers: readonly RedisServer[];
  /** `host:port` of the sentinel. */
  readonly sentinel: string;
}

/** A master called `mymaster`, one copy of it, and one sentinel, which is enough to decide. */
export async function startWatched(t: Scope): Promise<Watched> {
  // A copy begins with a file of all that the master has.
  const master = await RedisServer.start(t, ['--dir', await folderWith(t)]);
  const replicaOf = ['--replicaof', '127.0.0.1', String(master.port)];
  const copy = await RedisServer.start(t, ['--dir', await folderWith(t), ...replicaOf]);
  await eventually(async () => (await copy.ask('INFO', 'replication')).includes('master_link_status:up'), 'the copy');
  const port = await freePort();
  const folder = await folderWith(t);
  const file = join(folder, 'sentinel.conf');
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${folder}`,
    `sentinel monitor mymaster 127.0.0.1 ${master.port} 1`,
    'sentinel down-after-milliseconds mymaster 300',
    'sentinel failover-timeout mymaster 2000',
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  const sentinel: ChildProcess = spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' });
  t.after(() => void sentinel.kill('SIGKILL'));
  const asked = RedisServer.at(port);
  const knowsCopy = async (): Promise<boolean> => {
    const answer = await asked.ask('SENTINEL', 'replicas', 'mymaster').catch(() => '');
    return answer.includes(String(copy.port));
  };
  await eventually(knowsCopy, 'the sentinel to know the copy', 20_000);
  return { servers: [master, copy], sentinel: `127.0.0.1:${port}` };
}

/** Three masters that have a third of the keys each. */
export async function startCluster(t: Scope): Promise<readonly RedisServer[]> {
  const servers: RedisServer[] = [];
  for (let i = 0; i < 3; i++) {
    const folder = await folderWith(t);
    servers.push(await RedisServer.start(t, ['--cluster-enabled', 'yes', '--dir', folder]));
  }
  const bounds = [0, 5461, 10_923, 16_384];
  for (const [i, server] of servers.entries()) {
    await server.ask('CLUSTER', 'ADDSLOTSRANGE', String(bounds[i]), String(bounds[i + 1] - 1));
    await servers[0].ask('CLUSTER', 'MEET', '127.0.0.1', String(server.port));
  }
  const areReady = async (): Promise<boolean> => {
    const states = await Promise.all(servers.map((server) => server.ask('CLUSTER', 'INFO')));
    return states.every((state) => state.includes('cluster_state:ok') && state.includes('cluster_known_nodes:3'));
  };
  await eventually(areReady, 'the cluster', 30_000);
  return servers;
}
