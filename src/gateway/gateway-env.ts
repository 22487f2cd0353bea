/** What a gateway on one event loop is given by whoever makes it. */
import type { ConnectTarget } from '../compile/upstreams.ts';
import type { GatewayConfig } from '../config/schema.ts';
import type { OwnModule } from '../contract.ts';
import type { Observer } from '../proxy/finish.ts';
import type { Clock } from '../util/clock.ts';
import type { Admission } from '../wire/admission.ts';
import type { HttpCallerEnv } from '../wire/call/http-caller.ts';
import type { GatewayLog } from './gateway.ts';
import type { LocalServices, ServicesEnv } from './services.ts';

export type PolicyModules = ReadonlyMap<string, OwnModule>;

export interface GatewayEnv {
  readonly log: GatewayLog;
  /** What the modules export that a configuration brings along, by their absolute paths. */
  modulesOf(config: GatewayConfig): PolicyModules | Promise<PolicyModules>;
  /** Which thread this is; in the access log. */
  readonly thread?: number;
  /** Told of every exchange that has ended, besides the access log. */
  readonly observe?: Observer;
  readonly clock?: Clock;
  /** At least 32 random bytes that all threads share: see `ListenerTlsEnv`. */
  readonly ticketSecret?: Uint8Array;
  /** Counts connections where other threads count theirs as well: see `Opening.counter`. */
  readonly admission?: (counter: number) => Admission;
  /**
   * For a gateway without a network: connections to targets are opened by this, and clients come by `accept`. On either
   * side TLS counts as terminated.
   */
  readonly connect?: ConnectTarget;
  /** Likewise for what the gateway asks others on its own behalf. */
  readonly connectCall?: HttpCallerEnv['connect'];
  /** What to count in: see `ThreadMetrics`. */
  readonly metrics?: SharedArrayBuffer;
  /** See `OverloadEnv`. */
  readonly memoryShare?: (() => number) | undefined;
  /** What policies are given; by default what one event loop alone has need of. It is closed with the gateway. */
  readonly services?: (env: ServicesEnv) => LocalServices;
}
