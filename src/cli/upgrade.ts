/**
 * Replaces the process by a new one without losing a connection, not even one that waits to be accepted: the new process
 * gets the listening sockets themselves, and accepts from them once it can serve. If it does not come to that,
 * the old one goes on.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Server } from 'node:net';
import type { HandedBan } from '../stores/handed-bans.ts';
import type { SharedSockets } from '../workers/inherited-sockets.ts';
import { takeOverVariable } from './take-over.ts';

export type FromPredecessor =
  | { readonly kind: 'socket'; readonly place: string; readonly port: number; readonly mayShare: boolean }
  /** Who is turned away: before it begins to serve, and once more when it does, for those that were added meanwhile. */
  | { readonly kind: 'bans'; readonly bans: readonly HandedBan[] }
  /** There are no more sockets. */
  | { readonly kind: 'all' };

export type ToPredecessor =
  /** The configuration is in order: give the sockets. */
  { readonly kind: 'give' } | { readonly kind: 'serving' };

export interface Predecessor {
  /** What it listens on, by place; it goes on accepting. */
  share(): Promise<ReadonlyMap<string, SharedSockets>>;
  /** Who it turns away. */
  bans(): readonly HandedBan[];
  /** Makes room for what only one process can have. */
  makeRoom(): Promise<void>;
}

/** By when a new process must serve. */
const limitMs = 60_000;

/**
 * Starts this program once more, as it was started, to take over.
 * @param abort ends the attempt.
 * @returns its process id, once it serves.
 * @throws when it has ended, or did not serve in time; then it is no more.
 */
export async function upgrade(predecessor: Predecessor, abort: AbortSignal): Promise<number> {
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    // It outlives this process, and a terminal's Ctrl-C is meant for whoever serves.
    detached: true,
    env: { ...process.env, [takeOverVariable]: '1' },
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  let timer: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`it did not serve within ${limitMs / 1000} s`)), limitMs);
      child.on('error', reject);
      child.on('exit', (code, signal) => reject(new Error(`it ended with ${signal ?? `code ${code}`}`)));
      abort.addEventListener('abort', () => reject(new Error('this process is to stop')), { once: true });
      child.on('message', (message: ToPredecessor) => {
        if (message.kind === 'serving') void sendBans(child, predecessor).finally(resolve);
        else give(child, predecessor).catch(reject);
      });
    });
  } catch (error) {
    // What only one process can have must be free again.
    if (child.kill('SIGKILL')) await ended;
    throw error;
  } finally {
    clearTimeout(timer);
    child.removeAllListeners();
    child.on('error', () => {});
    if (child.connected) child.disconnect();
    child.unref();
  }
  return child.pid!;
}

async function give(child: ChildProcess, predecessor: Predecessor): Promise<void> {
  const shared = await predecessor.share();
  await predecessor.makeRoom();
  for (const [place, { port, mayShare, servers }] of shared) {
    // A Unix socket is opened anew by whoever takes over; it only has to know that it may.
    const each: (Server | undefined)[] = servers.length === 0 ? [undefined] : [...servers];
    for (const server of each) await send(child, { kind: 'socket', place, port, mayShare }, server);
  }
  await send(child, { kind: 'bans', bans: predecessor.bans() });
  await send(child, { kind: 'all' });
}

/** It serves, whether or not it can be told who else is banned. */
async function sendBans(child: ChildProcess, predecessor: Predecessor): Promise<void> {
  try {
    await send(child, { kind: 'bans', bans: predecessor.bans() });
  } catch {
    // One of another version does not wait for it.
  }
}

/**
 * A `net.Server` that is sent begins to accept as soon as it arrives, and what it had accepted would be lost if the new
 * process failed after all. The handle in it does not, before somebody listens with it. It is sent as `node:cluster` does.
 */
function send(child: ChildProcess, message: FromPredecessor, server?: Server): Promise<void> {
  const handle = (server as { _handle?: Server } | undefined)?._handle;
  return new Promise((resolve, reject) => {
    child.send(message, handle, (error) => (error === null ? resolve() : reject(error)));
  });
}
