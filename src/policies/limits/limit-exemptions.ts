/** Who is not limited. */
import type { Exchange } from '../../contract.ts';
import { IpSet } from '../../util/ip-set.ts';
import { z } from '../../util/schema.ts';
import { readableBy } from '../readable-text.ts';

const names = z.array(z.string().min(1)).min(1).optional();

export const exempt = z
  .strictObject({
    consumers: names.describe('Consumers by name.'),
    groups: names.describe('Consumers who are in one of these groups.'),
    addresses: z
      .array(readableBy((cidr) => IpSet.parse([cidr])))
      .min(1)
      .optional()
      .describe('Addresses and CIDR blocks of clients.'),
  })
  .optional()
  .describe('Who is not limited, and not counted.');

type Exempt = NonNullable<z.infer<typeof exempt>>;

/** Null when nobody is. */
export function exemption(given: Exempt | undefined): ((exchange: Exchange) => boolean) | null {
  if (given === undefined) return null;
  const { consumers = [], groups = [], addresses = [] } = given;
  const [known, members, networks] = [new Set(consumers), new Set(groups), IpSet.parse(addresses)];
  return ({ consumer, clientIp }) => {
    if (addresses.length > 0 && networks.has(clientIp)) return true;
    if (consumer === null) return false;
    return known.has(consumer.name) || (members.size > 0 && consumer.groups.some((group) => members.has(group)));
  };
}
