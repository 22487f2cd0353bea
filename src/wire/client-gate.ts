/** Which clients may open another connection. Unlike `Admission`, which counts all, it goes by who they are. */
import type { ErrorCode } from '../errors.ts';

/** Why a connection is turned away. */
export interface TurnedAway {
  readonly code: ErrorCode;
  /** When it may be tried again. */
  readonly retrySeconds: number;
}

export interface ClientGate {
  /**
   * @param address as the kernel or the PROXY protocol reports it, canonical; empty for a peer on a Unix socket.
   * @returns null for one that may come in, and then has to `leave` once.
   */
  enter(address: string): TurnedAway | null;
  leave(address: string): void;
}
