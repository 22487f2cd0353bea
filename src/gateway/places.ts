/** Where listeners listen, in words and as text to compare: cheap to import for whoever only plans. */
import type { ListenerConfig } from '../config/schema.ts';
import { identityOf } from '../util/keep.ts';
import { ListenError } from './gateway.ts';

/** How a listener that is not open yet gets what accepts its connections. */
export type Opening = {
  readonly port: number;
  /** Where its connections are counted together with those of other threads; undefined where there are none. */
  readonly counter?: number;
} & (
  | /** It opens its address. `shared`: other threads do so as well, and somebody has made sure that it is free. */
    { readonly kind: 'listen'; readonly shared: boolean }
  /** It is given a server that listens already, or single connections. */
  | { readonly kind: 'wait' }
);

/** Where a listener listens, as text to compare. Of two with port 0, each has a port of its own. */
export function placeOf(name: string, { unix, host, port }: ListenerConfig): string {
  if (unix !== null) return identityOf('unix', unix);
  return port === 0 ? identityOf(host, 0, name) : identityOf(host, port);
}

/** As in `http://127.0.0.1:8080`. */
export function urlOf(config: ListenerConfig, port: number): string {
  if (config.unix !== null) return `unix:${config.unix}`;
  const host = config.host.includes(':') ? `[${config.host}]` : config.host;
  return `${config.tls === undefined ? 'http' : 'https'}://${host}:${port}`;
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the address is in use',
  EACCES: 'permission denied',
  EADDRNOTAVAIL: 'this machine does not have the address',
};

/** What an operator is told when an address cannot be opened. */
export function listenError(name: string, config: ListenerConfig, port: number, error: unknown): ListenError {
  return new ListenError(`listener ${name} cannot listen on ${urlOf(config, port)}: ${listenReason(error)}`);
}

/** Why, in words. */
export function listenReason(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return reasons[code] ?? (error instanceof Error ? error.message : String(error));
}
