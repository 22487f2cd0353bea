/** Slows down whoever guesses tokens: an address has a few wrong ones free, and then one in a while. */
import { clientNetwork } from '../util/client-network.ts';

const freeAttempts = 10;
/** Each wrong token is forgotten after this time. */
const forgetMs = 6_000;
/** Beyond this many addresses the one that was wrong longest ago is forgotten. */
const maxAddresses = 4_096;

interface Attempts {
  /** Wrong tokens that are remembered at `atMs`; fewer later. */
  count: number;
  atMs: number;
}

export class AttemptLimit {
  private readonly now: () => number;
  /** The one that was wrong longest ago comes first. */
  private readonly byAddress = new Map<string, Attempts>();

  /** @param now monotonic milliseconds. */
  constructor(now: () => number) {
    this.now = now;
  }

  /** How long an address is refused for, in milliseconds; 0 when it is not. */
  refusedFor(address: string): number {
    const known = this.byAddress.get(clientNetwork(address));
    if (known === undefined) return 0;
    const excess = this.remembered(known) - (freeAttempts - 1);
    return excess > 0 ? Math.ceil(excess * forgetMs) : 0;
  }

  /** Takes down that an address has presented a wrong token. */
  failed(address: string): void {
    const key = clientNetwork(address);
    const known = this.byAddress.get(key);
    const count = known === undefined ? 0 : this.remembered(known);
    this.byAddress.delete(key);
    this.byAddress.set(key, { count: Math.min(count + 1, freeAttempts), atMs: this.now() });
    if (this.byAddress.size <= maxAddresses) return;
    for (const oldest of this.byAddress.keys()) {
      this.byAddress.delete(oldest);
      return;
    }
  }

  private remembered({ count, atMs }: Attempts): number {
    return Math.max(0, count - (this.now() - atMs) / forgetMs);
  }
}
