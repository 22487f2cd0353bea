/** The process that takes over from another one: the other end of upgrade.ts. */
import type { Server } from 'node:net';
import type { GatewayConfig } from '../config/schema.ts';
import { placeOf } from '../gateway/places.ts';
import type { InheritedSockets } from '../workers/threaded-gateway.ts';
import type { ClaimedSockets } from './claimed-sockets.ts';
import type { FromPredecessor, ToPredecessor } from './upgrade.ts';

export const takeOverVariable = 'GATEWRIGHT_TAKE_OVER';

/** Whether a gateway that runs has started this process to be replaced by it. */
export function isTakingOver(env: Readonly<Record<string, string | undefined>>): boolean {
  return env[takeOverVariable] === '1' && process.send !== undefined;
}

/** Asks for the sockets of the process that serves, which goes on accepting beside this one until it is `ready`. */
export async function takeOver(listeners: GatewayConfig['listeners']): Promise<ClaimedSockets> {
  delete process.env[takeOverVariable];
  const claimed = new Map<string, InheritedSockets>();
  const nameAt = new Map(Object.entries(listeners).map(([name, listener]) => [placeOf(name, listener), name]));
  await new Promise<void>((resolve) => {
    process.on('message', (message: FromPredecessor, server?: Server) => {
      if (message.kind === 'all') resolve();
      if (message.kind !== 'socket') return;
      const name = nameAt.get(message.place);
      if (name === undefined) {
        // Connections that wait in its queue are lost: nobody is going to serve them.
        server?.close();
        return;
      }
      const { port, mayShare } = message;
      const servers = [...(claimed.get(name)?.servers ?? []), ...(server === undefined ? [] : [server])];
      claimed.set(name, { port, mayShare, servers });
    });
    tell({ kind: 'give' });
  });
  return {
    listeners: claimed,
    ready: () => {
      tell({ kind: 'serving' });
      process.disconnect?.();
    },
  };
}

function tell(message: ToPredecessor): void {
  process.send?.(message);
}
