/** What a gateway is, without what it is made of: cheap to import. */
/** A gateway, wherever its threads are. */
export interface Gateway {
  /** Opens the listeners. Rejects with a `ListenError` if one of them cannot be opened; then none is. */
  start(): Promise<readonly ListenerAddress[]>;
  /** Stops accepting, finishes what was begun, and breaks off what is left after the grace. */
  stop(graceMs: number): Promise<void>;
}

export interface ListenerAddress {
  readonly name: string;
  /** As in `http://127.0.0.1:8080` or `unix:/run/gw.sock`. */
  readonly url: string;
}

/** A listener that could not be opened. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

export interface GatewayLog {
  info(message: string, about: Readonly<Record<string, unknown>>): void;
  warn(message: string, about: Readonly<Record<string, unknown>>): void;
  error(message: string, about: Readonly<Record<string, unknown>>): void;
}
