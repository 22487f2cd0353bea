/** What the admin API can do with bans: tell of all that hold, order some and lift any. */
import type { Ban, BanOrder } from '../stores/shared-bans.ts';
import { type IpNetwork, formatNetwork } from '../util/ip-network.ts';
import { formatDuration } from '../util/units.ts';

/** `SharedBans`, or what stands in for it. What it does holds for all threads once it returns. */
export interface BanPlane {
  /** Those that hold, the one that ends last first. */
  list(): readonly Ban[];
  /** @returns null where there are too many. */
  order(ban: BanOrder): Ban | null;
  /** @returns whether there was one of exactly this network. */
  lift(network: IpNetwork): boolean;
}

/** Bans whose changes somebody is told of. */
export class BanControl implements BanPlane {
  private readonly bans: BanPlane;
  private readonly onChange: (about: Readonly<Record<string, string>>) => void;

  constructor(bans: BanPlane, onChange: (about: Readonly<Record<string, string>>) => void) {
    this.bans = bans;
    this.onChange = onChange;
  }

  list(): readonly Ban[] {
    return this.bans.list();
  }

  order(ban: BanOrder): Ban | null {
    const made = this.bans.order(ban);
    if (made === null) return null;
    const { network, forMs, reason } = ban;
    this.onChange({ what: 'added', network: formatNetwork(network), for: formatDuration(forMs), reason });
    return made;
  }

  lift(network: IpNetwork): boolean {
    if (!this.bans.lift(network)) return false;
    this.onChange({ what: 'removed', network: formatNetwork(network) });
    return true;
  }
}
