/**
 * Finds what belongs to a secret, such as a verified key, without keeping the secret and without comparing it: the table
 * has a 128-bit keyed hash of it (`KeyedHash`) whose seed is drawn for each table and never leaves it. So how long a look
 * takes says nothing about how much of a guess is right: half of a secret has a hash as different as any other
 * (constant-time comparison by what is called double HMAC), and nobody can choose texts that fall into one place.
 *
 * A fixed number of places, so that no flood makes it grow: four for each hash, taken in turns. A look allocates nothing.
 */
import { KeyedHash } from './keyed-hash.ts';

const ways = 4;
const hashWords = 4;

export class SecretTable<T extends object> {
  private readonly hash = new KeyedHash(crypto.getRandomValues(new Int32Array(hashWords)));
  private readonly digest = new Int32Array(hashWords);
  private readonly digests: Int32Array;
  private readonly values: (T | null)[];
  private readonly mask: number;
  private turn = 0;

  /** @param capacity how many are remembered at most: a power of two, 4 or more. */
  constructor(capacity: number) {
    this.digests = new Int32Array(capacity * hashWords);
    this.values = Array.from<T | null>({ length: capacity }).fill(null);
    this.mask = capacity / ways - 1;
  }

  /** Takes time in proportion to the length of the secret, so that has to be bounded. */
  get(secret: string): T | undefined {
    const place = this.find(secret);
    return place === -1 ? undefined : this.values[place]!;
  }

  set(secret: string, value: T): void {
    let place = this.find(secret);
    if (place === -1) {
      this.turn = (this.turn + 1) % ways;
      place = (this.digest[0] & this.mask) * ways + this.turn;
      this.digests.set(this.digest, place * hashWords);
    }
    this.values[place] = value;
  }

  clear(): void {
    this.values.fill(null);
  }

  private find(secret: string): number {
    const { digest, digests, values } = this;
    this.hash.hash(secret, digest);
    const first = (digest[0] & this.mask) * ways;
    for (let place = first; place < first + ways; place++) {
      const at = place * hashWords;
      const isSame =
        digests[at] === digest[0] &&
        digests[at + 1] === digest[1] &&
        digests[at + 2] === digest[2] &&
        digests[at + 3] === digest[3];
      if (isSame && values[place] !== null) return place;
    }
    return -1;
  }
}
