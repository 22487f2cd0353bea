/** What all threads of a gateway serve. */
import type { GatewayConfig } from '../config/schema.ts';
import type { Addresses } from './addresses.ts';
import type { PublicationParcel } from './messages.ts';

export interface Served {
  readonly parcel: Omit<PublicationParcel, 'consumers'>;
  readonly listeners: GatewayConfig['listeners'];
  readonly open: Addresses;
  readonly routes: GatewayConfig['routes'];
}

/** The names of the routes that there were before and are no longer. */
export function goneRoutes(before: Served | null, { routes }: Served): string[] {
  return Object.keys(before?.routes ?? {}).filter((name) => !Object.hasOwn(routes, name));
}
