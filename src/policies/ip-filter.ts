import { resolve } from 'node:path';
import { type PolicyEnv, type Reply, definePolicy } from '../contract.ts';
import { IpSet } from '../util/ip-set.ts';
import { z } from '../util/schema.ts';
import { NetworkFile } from './ip-filter/network-file.ts';
import { readableBy } from './readable-text.ts';

const EVERYBODY = ['0.0.0.0/0', '::/0', 'unix:'];

const file = z.strictObject({
  file: z
    .string()
    .min(1)
    .describe(
      'A file with an address or CIDR block a line, relative to the configuration; read again when it changes.',
    ),
});

const addresses = z.array(z.union([readableBy((cidr) => IpSet.parse([cidr])), file]));

const options = z
  .strictObject({
    allow: addresses
      .min(1)
      .optional()
      .describe(
        'Addresses and CIDR blocks that may call, everybody by default; `unix:`: the peers of a Unix socket; ' +
          '`{file: …}`: those in a file.',
      ),
    deny: addresses
      .default([])
      .describe('Addresses and CIDR blocks that may not call, even if `allow` has them; files as well.'),
  })
  .refine(({ allow, deny }) => allow !== undefined || deny.length > 0, {
    message: 'name addresses to allow or to deny',
  });

type Entries = z.infer<typeof addresses>;

const DENIED: Reply = { status: 403, code: 'IP_DENIED' };

/**
 * Lets clients pass by their address. An address that is unknown, or not an address at all, is in neither set, and so
 * is refused (fail closed), whichever of the two lists there is.
 */
export const ipFilter = definePolicy({
  name: 'ipFilter',
  summary: 'Allows or denies clients by their IP address; what is denied stays denied, whatever else allows it.',
  options,
  create({ allow = EVERYBODY, deny }, env) {
    const isPlain = ![...allow, ...deny].some((entry) => typeof entry !== 'string');
    if (isPlain) return filterOf(setOf(allow), setOf(deny));
    return Promise.all([listOf(allow, env), listOf(deny, env)]).then(([allowed, denied]) => {
      return filterOf(allowed, denied, [...allowed.files, ...denied.files]);
    });
  },
});

function filterOf(allowed: Pick<IpSet, 'has'>, denied: Pick<IpSet, 'has'>, files: readonly NetworkFile[] = []) {
  const decide = (clientIp: string): Reply | undefined =>
    !allowed.has(clientIp) || denied.has(clientIp) ? DENIED : undefined;
  return {
    onRequest({ clientIp }: { readonly clientIp: string }) {
      let pending: Promise<void>[] | null = null;
      for (const one of files) {
        const look = one.look();
        if (look !== undefined) (pending ??= []).push(look);
      }
      return pending === null ? decide(clientIp) : Promise.all(pending).then(() => decide(clientIp));
    },
  };
}

function setOf(entries: Entries): IpSet {
  return IpSet.parse(entries.filter((entry) => typeof entry === 'string'));
}

/** Addresses that are written down, and those in files. */
class AddressList {
  readonly files: readonly NetworkFile[];
  private readonly own: IpSet;

  constructor(own: IpSet, files: readonly NetworkFile[]) {
    this.own = own;
    this.files = files;
  }

  has(address: string): boolean {
    if (this.own.has(address)) return true;
    for (const { networks } of this.files) if (networks.has(address)) return true;
    return false;
  }
}

async function listOf(entries: Entries, env: PolicyEnv): Promise<AddressList> {
  const names = entries.flatMap((entry) => (typeof entry === 'string' ? [] : [entry.file]));
  const files = await Promise.all(names.map((name) => NetworkFile.open(resolve(env.baseDir, name), env)));
  return new AddressList(setOf(entries), files);
}
