import { type Reply, definePolicy } from '../contract.ts';
import { IpSet } from '../util/ip-set.ts';
import { z } from '../util/schema.ts';
import { readableBy } from './readable-text.ts';

const EVERYBODY = ['0.0.0.0/0', '::/0', 'unix:'];

const addresses = z.array(readableBy((cidr) => IpSet.parse([cidr])));

const options = z
  .strictObject({
    allow: addresses
      .min(1)
      .optional()
      .describe('Addresses and CIDR blocks that may call, everybody by default; `unix:`: the peers of a Unix socket.'),
    deny: addresses.default([]).describe('Addresses and CIDR blocks that may not call, even if `allow` has them.'),
  })
  .refine(({ allow, deny }) => allow !== undefined || deny.length > 0, {
    message: 'name addresses to allow or to deny',
  });

const DENIED: Reply = { status: 403, code: 'IP_DENIED' };

/**
 * Lets clients pass by their address. An address that is unknown, or not an address at all, is in neither set, and so
 * is refused (fail closed), whichever of the two lists there is.
 */
export const ipFilter = definePolicy({
  name: 'ipFilter',
  summary: 'Allows or denies clients by their IP address; what is denied stays denied, whatever else allows it.',
  options,
  create({ allow, deny }) {
    const allowed = IpSet.parse(allow ?? EVERYBODY);
    const denied = IpSet.parse(deny);
    return {
      onRequest({ clientIp }) {
        return !allowed.has(clientIp) || denied.has(clientIp) ? DENIED : undefined;
      },
    };
  },
});
