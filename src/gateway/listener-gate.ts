/** Who may open another connection to a listener: not who is banned, and not more or faster than its limits say. */
import type { MemoryLimiter, PermitPool } from '../contract.ts';
import type { ListenerConfig } from '../config/schema.ts';
import type { SharedBans } from '../stores/shared-bans.ts';
import type { SharedLimits } from '../stores/shared-limits.ts';
import { clientNetwork } from '../util/client-network.ts';
import { IpSet } from '../util/ip-set.ts';
import { identityOf } from '../util/keep.ts';
import type { Rate } from '../util/units.ts';
import type { ClientGate, TurnedAway } from '../wire/client-gate.ts';

export interface GateServices {
  readonly connections: SharedLimits;
  readonly bans: SharedBans;
}

const tooManyOfClient: TurnedAway = { code: 'TOO_MANY_CLIENT_CONNECTIONS', retrySeconds: 1 };
const tooManyInAll: TurnedAway = { code: 'TOO_MANY_CONNECTIONS', retrySeconds: 1 };

export class ListenerGate implements ClientGate {
  private readonly bans: SharedBans;
  private readonly connections: SharedLimits;
  /** Proxies are not responsible for the sum of their clients, and whoever bans one bans all of these. */
  private readonly proxies: IpSet;
  private readonly mostOfClient: PermitPool | null;
  private readonly rateOfClient: MemoryLimiter | null;
  private readonly rateOfAll: MemoryLimiter | null;

  /** @param place where it listens: see `placeOf`. What is counted there outlives a change of its limits. */
  constructor(place: string, { trustedProxies, limits }: ListenerConfig, { bans, connections }: GateServices) {
    this.bans = bans;
    this.connections = connections;
    this.proxies = IpSet.parse(trustedProxies);
    const { connectionsPerAddress: most, newConnections, newConnectionsPerAddress } = limits;
    const limiter = (kind: string, rate: Rate | undefined): MemoryLimiter | null => {
      if (rate === undefined) return null;
      return connections.limiter(identityOf(kind, place, rate), { algorithm: 'gcra', ...rate, capacity: rate.limit });
    };
    this.mostOfClient = most === undefined ? null : connections.permits(identityOf('connections', place), most, 0);
    this.rateOfClient = limiter('new connections of a client', newConnectionsPerAddress);
    this.rateOfAll = limiter('new connections', newConnections);
  }

  /** What one of the limits refuses is charged to none. */
  enter(address: string): TurnedAway | null {
    const banned = this.bans.isEmpty || !this.isClient(address) ? null : this.bannedFrom(address);
    if (banned !== null) return banned;
    const refusal = this.isLimitedByClient && this.isClient(address) ? this.enterAs(address) : this.enterInAll();
    if (refusal !== null) this.connections.noteRefusal(true);
    return refusal;
  }

  leave(address: string): void {
    if (this.mostOfClient !== null && this.isClient(address)) this.mostOfClient.release(clientNetwork(address));
  }

  /** Those behind a proxy share its address, and those at a Unix socket have none. */
  private isClient(address: string): boolean {
    return address !== '' && !this.proxies.has(address);
  }

  private get isLimitedByClient(): boolean {
    return this.mostOfClient !== null || this.rateOfClient !== null;
  }

  private bannedFrom(address: string): TurnedAway | null {
    const bannedMs = this.bans.remainingMs(address);
    if (bannedMs === 0) return null;
    this.bans.noteRefusal('connection');
    return { code: 'BANNED', retrySeconds: Math.ceil(bannedMs / 1000) };
  }

  private enterAs(address: string): TurnedAway | null {
    const { mostOfClient, rateOfClient } = this;
    const client = clientNetwork(address);
    if (mostOfClient?.tryAcquire(client) === false) return tooManyOfClient;
    const charge = rateOfClient?.charge(client, 1);
    const refusal = charge?.isAllowed === false ? tooManyOfClient : this.enterInAll();
    if (refusal === null) return null;
    if (charge?.isAllowed === true) rateOfClient!.undo(client, 1, charge);
    mostOfClient?.release(client);
    return refusal;
  }

  private enterInAll(): TurnedAway | null {
    return this.rateOfAll?.charge('', 1).isAllowed === false ? tooManyInAll : null;
  }
}
