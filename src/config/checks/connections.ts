/** Limits of connections by address that do nothing, because another one is stricter or there are no addresses. */
import type { Rate } from '../../util/units.ts';
import { type Finding, formatPath } from '../problem.ts';
import type { ListenerConfig } from '../schema.ts';

export function checkConnections(listeners: Readonly<Record<string, ListenerConfig>>, findings: Finding[]): void {
  for (const [name, { unix, proxyProtocol, limits }] of Object.entries(listeners)) {
    const { connections, connectionsPerAddress: most, newConnections, newConnectionsPerAddress: rate } = limits;
    const tell = (option: string, why: string): void => {
      const path = ['listeners', name, 'limits', option];
      const message = `${formatPath(path)} has no effect: ${why}`;
      findings.push({ severity: 'warning', code: 'NO_EFFECT', message, path });
    };
    const hasAddresses = unix === null || proxyProtocol;
    const noAddress = 'who comes through a Unix socket has no address';
    if (most !== undefined && !hasAddresses) tell('connectionsPerAddress', noAddress);
    else if (most !== undefined && most >= connections) {
      tell('connectionsPerAddress', `limits.connections is ${connections}, for all together`);
    }
    if (rate !== undefined && !hasAddresses) tell('newConnectionsPerAddress', noAddress);
    else if (rate !== undefined && newConnections !== undefined && isNoLess(rate, newConnections)) {
      tell('newConnectionsPerAddress', 'limits.newConnections lets no more pass, of all together');
    }
  }
}

/** At once as in the long run. */
function isNoLess(one: Rate, other: Rate): boolean {
  return one.limit >= other.limit && one.limit * other.windowMs >= other.limit * one.windowMs;
}
