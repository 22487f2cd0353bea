/** What a connection of a client knows of the listener that it came in by. */
import type { HeadLimits } from './message-head.ts';
import type { ServerConnection } from './server-connection.ts';
import type { RequestHandler } from './server-stream.ts';

export interface ServerConnectionOptions {
  readonly limits: HeadLimits & { readonly bodyBytes: number };
  readonly timeouts: { readonly headMs: number; readonly bodyIdleMs: number; readonly keepAliveMs: number };
  readonly handler: RequestHandler;
}

/** Where the connection was accepted. Its settings may change between two requests. */
export interface ConnectionHome {
  readonly settings: ServerConnectionOptions;
  onConnectionClosed(connection: ServerConnection): void;
}
