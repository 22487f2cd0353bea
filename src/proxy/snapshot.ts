/** Everything that is needed to serve, compiled from one configuration and frozen. Exchanges keep the one they began with. */
import type { BanList, RouteInfo } from '../contract.ts';
import type { IpSet } from '../util/ip-set.ts';
import type { Clock } from '../util/clock.ts';
import type { TimerWheel } from '../wire/timer-wheel.ts';
import type { Observer } from './finish.ts';
import type { Route, RouteHandling } from './route.ts';
import type { Router } from './router/router.ts';
import type { Shedding } from './shedding.ts';
import type { DebugHeader } from './trace.ts';

export interface Snapshot {
  readonly router: Router<RouteInfo, RouteHandling>;
  /** Serves requests that no route matches. */
  readonly notFound: Route;
  /** For each listener, whose forwarding headers are believed. */
  readonly trustedProxies: ReadonlyMap<string, IpSet>;
  /** null when nobody may ask how a request was handled. */
  readonly debugHeader: DebugHeader | null;
}

/** What the stations need of their surroundings. One per thread. */
export interface Surroundings {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly log: ProxyLog;
  /** Told of every exchange that has ended; null when nobody listens. */
  readonly observe: Observer | null;
  readonly traffic: Traffic;
  readonly meter: Meter;
  readonly shedding: Shedding;
  /** Whose requests are refused before any policy sees them. */
  readonly bans: BanList;
}

/** Where it is counted what becomes of exchanges. */
export interface Meter {
  /** @param route the name; empty for none. */
  ended(route: string, method: string, status: number, durationMs: number): void;
  /** @param durationMs from the last attempt to the head of the response. */
  answered(upstream: string, durationMs: number): void;
}

/** How many exchanges have begun and ended on this thread. */
export interface Traffic {
  begun: number;
  ended: number;
}

export interface ProxyLog {
  /** A defect, in a policy or in the gateway: constant message, what it concerns, and the error. */
  defect(message: string, about: Readonly<Record<string, string>>, error: unknown): void;
}
