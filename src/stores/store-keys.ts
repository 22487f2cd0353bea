/** What the keys of a limit are called in a store. */
import { hash } from 'node:crypto';

/** Of how many the name is remembered, so that it is not computed again for each request. */
const mostKept = 4096;
/** 132 bits: of what others choose, no two are the same by chance or by effort. */
const nameLength = 22;

/**
 * A key is only ever known by its digest: it may be as long as it likes, and may be the API key of somebody. All of the digest is
 * a hash tag, so that in a cluster the keys are spread over all nodes.
 */
export class StoreKeys {
  private readonly prefix: string;
  private readonly salt: string;
  private readonly names = new Map<string, string>();

  /** @param identity of the limit; the same on all machines. */
  constructor(prefix: string, identity: string) {
    this.prefix = prefix;
    this.salt = hash('sha256', identity, 'hex');
  }

  of(key: string): string {
    const known = this.names.get(key);
    if (known !== undefined) return known;
    const name = `${this.prefix}l/{${hash('sha256', this.salt + key, 'base64url').slice(0, nameLength)}}`;
    if (this.names.size >= mostKept) this.names.clear();
    this.names.set(key, name);
    return name;
  }
}
