/**
 * How a configuration gets to a thread. Messages between threads are cloned object by object, which for a hundred
 * thousand routes takes longer than to write them as text and read that. The options of policies may hold anything that
 * can be cloned, so lists of policies go beside the text, each once.
 */
import type { GatewayConfig, PolicyUse, RouteConfig } from '../config/schema.ts';

export interface ConfigParcel {
  /** Everything but the routes. */
  readonly rest: Omit<GatewayConfig, 'routes'>;
  /** The routes as JSON, with the index of its list in place of the policies of each. */
  readonly routes: string;
  readonly policies: readonly (readonly PolicyUse[])[];
}

type PackedRoute = Omit<RouteConfig, 'policies'> & { readonly policies: number };

export function packConfig({ routes, ...rest }: GatewayConfig): ConfigParcel {
  const indices = new Map<readonly PolicyUse[], number>();
  const pack = (route: RouteConfig): PackedRoute => {
    let index = indices.get(route.policies);
    if (index === undefined) {
      index = indices.size;
      indices.set(route.policies, index);
    }
    return { ...route, policies: index };
  };
  const packed = JSON.stringify(Object.values(routes).map(pack));
  return { rest, routes: packed, policies: [...indices.keys()] };
}

export function unpackConfig({ rest, routes, policies }: ConfigParcel): GatewayConfig {
  const unpacked = (JSON.parse(routes) as PackedRoute[]).map((route) => {
    return [route.name, { ...route, policies: policies[route.policies] }] as const;
  });
  return { ...rest, routes: Object.fromEntries(unpacked) };
}
