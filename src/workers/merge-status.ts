/** Makes one status of those of several threads. */
import type { GatewayStatus, ListenerAddress, TargetStatus, ThreadStatus, UpstreamStatus } from '../gateway/gateway.ts';

/**
 * @param threads all of them, also those that have not answered.
 * @param own what those that have answered say of themselves.
 * @param totals of all of them.
 */
export function mergeStatus(
  threads: readonly ThreadStatus[],
  own: readonly GatewayStatus[],
  addresses: readonly ListenerAddress[],
  totals: Pick<GatewayStatus, 'authentication' | 'limits' | 'quotas' | 'overload' | 'protection'>,
): GatewayStatus {
  const listeners = addresses.map((address) => {
    const all = own.flatMap((status) => status.listeners.filter(({ name }) => name === address.name));
    return { ...address, connections: sum(all, ({ connections }) => connections) };
  });
  return { threads, listeners, upstreams: mergeUpstreams(own), ...totals };
}

function mergeUpstreams(own: readonly GatewayStatus[]): UpstreamStatus[] {
  const [first] = own;
  if (first === undefined) return [];
  return first.upstreams.map(({ name, targets }) => {
    const all = own.flatMap((status) => status.upstreams.filter((upstream) => upstream.name === name));
    // While a change is under way, threads may have different ones.
    const merge = (target: TargetStatus, index: number): TargetStatus => {
      const same = all.flatMap((upstream) =>
        upstream.targets[index]?.url === target.url ? [upstream.targets[index]] : [],
      );
      return {
        ...target,
        inFlight: sum(same, ({ inFlight }) => inFlight),
        connections: sum(same, ({ connections }) => connections),
      };
    };
    return { name, targets: targets.map(merge) };
  });
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
