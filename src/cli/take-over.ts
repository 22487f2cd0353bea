/** The process that takes over from another one: the other end of upgrade.ts. */
import { Server } from 'node:net';
import type { GatewayConfig } from '../config/schema.ts';
import { ListenError } from '../gateway/gateway.ts';
import { placeOf } from '../gateway/places.ts';
import { type HandedBan, understoodBans } from '../stores/handed-bans.ts';
import type { InheritedSocket, InheritedSockets } from '../workers/inherited-sockets.ts';
import type { ClaimedSockets } from './claimed-sockets.ts';
import type { FromPredecessor, ToPredecessor } from './upgrade.ts';

/** A socket that listens and that nobody accepts from yet; what `child.send` makes of the handle of a server. */
interface Handle {
  close(): void;
}

export const takeOverVariable = 'GATEWRIGHT_TAKE_OVER';

/** Whether a gateway that runs has started this process to be replaced by it. */
export function isTakingOver(env: Readonly<Record<string, string | undefined>>): boolean {
  return env[takeOverVariable] === '1' && process.send !== undefined;
}

/**
 * Asks for the sockets of the process that serves, which goes on accepting beside this one until it is `ready`.
 * @throws {ListenError} when that process ends before it has given them.
 */
export async function takeOver(listeners: GatewayConfig['listeners']): Promise<ClaimedSockets> {
  delete process.env[takeOverVariable];
  const claimed = new Map<string, InheritedSockets>();
  const nameAt = new Map(Object.entries(listeners).map(([name, listener]) => [placeOf(name, listener), name]));
  const claim = ({ place, port, mayShare }: FromPredecessor & { kind: 'socket' }, handle?: Handle): void => {
    const name = nameAt.get(place);
    if (name === undefined) {
      // Connections that wait in its queue are the old process's to serve.
      handle?.close();
      return;
    }
    const sockets = [...(claimed.get(name)?.sockets ?? []), ...(handle === undefined ? [] : [inherit(handle)])];
    claimed.set(name, { port, mayShare, sockets });
  };
  const bans: HandedBan[] = [];
  let onBans = (more: readonly HandedBan[]): void => void bans.push(...more);
  await new Promise<void>((resolve, reject) => {
    process.on('message', (message: FromPredecessor, handle?: Handle) => {
      if (message.kind === 'all') resolve();
      else if (message.kind === 'bans') onBans(understoodBans(message.bans));
      else claim(message, handle);
    });
    process.once('disconnect', () => reject(new ListenError('the process to take over from has ended')));
    tell({ kind: 'give' });
  });
  return {
    listeners: claimed,
    bans,
    ready: (takeBans) => {
      // Then the other process closes the channel, as one of another version does at once.
      onBans = takeBans;
      tell({ kind: 'serving' });
    },
    abandon: () => {
      leave();
      for (const { sockets } of claimed.values()) for (const socket of sockets) socket.close();
    },
  };
}

function inherit(handle: Handle): InheritedSocket {
  return { accept: () => new Server().listen(handle), close: () => handle.close() };
}

function tell(message: ToPredecessor): void {
  // Whether the other process is still there does not matter to this one any longer.
  process.send?.(message, undefined, undefined, () => {});
}

function leave(): void {
  process.removeAllListeners('message');
  if (process.connected) process.disconnect?.();
}
