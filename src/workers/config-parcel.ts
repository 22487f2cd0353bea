/**
 * How a configuration gets to a thread. Messages between threads are cloned object by object, which for a hundred
 * thousand routes takes longer than to write them as text and read that; and all at once, which holds up a thread that
 * serves. So routes travel as pieces of text. The options of policies may hold anything that can be cloned, so lists of
 * policies go beside the text, each once.
 */
import type { GatewayConfig, PolicyUse, RouteConfig } from '../config/schema.ts';
import type { Pace } from '../util/pace.ts';

export interface ConfigParcel {
  /** Everything but the routes. */
  readonly rest: Omit<GatewayConfig, 'routes'>;
  /** The routes as JSON, some in each piece, with the index of its list in place of the policies of each. */
  readonly routes: readonly string[];
  readonly policies: readonly (readonly PolicyUse[])[];
}

type PackedRoute = Omit<RouteConfig, 'policies'> & { readonly policies: number };

/** Reading one piece takes about a millisecond. */
const routesInPiece = 250;

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
  const all = Object.values(routes);
  const pieces: string[] = [];
  for (let from = 0; from < all.length; from += routesInPiece) {
    pieces.push(JSON.stringify(all.slice(from, from + routesInPiece).map(pack)));
  }
  return { rest, routes: pieces, policies: [...indices.keys()] };
}

export async function unpackConfig({ rest, routes, policies }: ConfigParcel, pace: Pace): Promise<GatewayConfig> {
  const unpacked: Record<string, RouteConfig> = {};
  for (const piece of routes) {
    if (pace.isDue) await pace.rest();
    for (const route of JSON.parse(piece) as PackedRoute[]) {
      unpacked[route.name] = { ...route, policies: policies[route.policies] };
    }
  }
  return { ...rest, routes: unpacked };
}
