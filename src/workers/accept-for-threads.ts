import type { GatewayConfig } from '../config/schema.ts';
import { listenError, placeOf } from '../gateway/places.ts';
import type { Acceptor } from './acceptor.ts';
import type { Addresses } from './addresses.ts';

/**
 * Opens what the main thread accepts for others, where it is not open yet.
 * @param opened gets the places that were not open before.
 * @throws {ListenError}
 */
export async function acceptForThreads(
  acceptor: Acceptor,
  listeners: GatewayConfig['listeners'],
  open: Addresses,
  known: Addresses,
  opened: string[],
): Promise<void> {
  for (const [name, listener] of Object.entries(listeners)) {
    const place = placeOf(name, listener);
    const { acceptedBy, port } = open.get(place)!;
    if (acceptedBy !== 'main-thread' || known.has(place)) continue;
    try {
      await acceptor.listen(place, { host: listener.host, port });
    } catch (error) {
      throw listenError(name, listener, port, error);
    }
    opened.push(place);
  }
}
