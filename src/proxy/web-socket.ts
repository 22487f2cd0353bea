import { UPGRADE } from '../http/field-kind.ts';
import type { ProxyExchange } from './exchange.ts';

/** The one protocol that is tunnelled. Never `h2c`: what follows it would bypass every rule of the gateway. */
export function isWebSocket(exchange: ProxyExchange): boolean {
  const { stream } = exchange;
  return (
    exchange.method === 'GET' &&
    stream.bodyText === '' &&
    stream.headers.getKind(UPGRADE)?.toLowerCase() === 'websocket'
  );
}
