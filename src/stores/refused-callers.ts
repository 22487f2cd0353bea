/**
 * Whom each limit refuses most lately, over all threads. There is room for some thousand callers of all limits together; when it
 * is full, whoever has not been refused for the longest time makes room. So a flood of addresses that come once displaces its
 * own kind, and not who is refused again and again.
 *
 * Callers are noted by their names or addresses, not by what a limit counts: that may be what a client has sent, a secret even.
 */
import type { RefusedCaller } from '../contract.ts';
import { clientNetwork } from '../util/client-network.ts';
import { nameOfClient } from '../util/ip-network.ts';
import { BucketCopy, SharedTable, type TableDecision } from '../util/shared-table.ts';
import { bytesPerWord, cut, readText, writeText } from './word-text.ts';

export interface Refusals {
  /** null for somebody who is not known. */
  readonly consumer: string | null;
  /** Of somebody who is not known; of IPv6 the /64. */
  readonly address: string | null;
  readonly refused: number;
  readonly wouldRefuse: number;
  /** Wall-clock milliseconds. */
  readonly lastAt: number;
}

interface RefusedClock {
  /** Monotonic milliseconds, the same for all threads. */
  now(): number;
  wallNow(): number;
}

const capacity = 8_192;
const keptMs = 3_600_000;
/** Numbers of an entry. Of the limit the beginning of its salt. */
const [atRefused, atWouldRefuse, atLimit, atKind, atTextBytes, atText] = [0, 1, 2, 4, 5, 6];
const textWords = 24;
const entryWords = atText + textWords;
const [consumerKind, addressKind] = [0, 1];

export class RefusedCallers {
  private readonly table: SharedTable;
  private readonly clock: RefusedClock;
  private readonly note = new Note();

  /** @param threads how many may live at a time, whoever only looks included. */
  static create(threads: number, shape: { readonly capacity: number } = { capacity }): SharedArrayBuffer {
    return SharedTable.create({ capacity: shape.capacity, words: entryWords, threads });
  }

  /** @param seat a number that no other living thread has. */
  constructor(buffer: SharedArrayBuffer, seat: number, clock: RefusedClock) {
    this.table = SharedTable.attach(buffer, seat);
    this.clock = clock;
  }

  /** @param limit the salt of the limit. What cannot be noted because others keep coming first is one refusal less. */
  add(limit: Int32Array, { consumer, clientIp }: RefusedCaller, isEnforced: boolean): void {
    const { note } = this;
    note.limit = limit;
    note.isEnforced = isEnforced;
    note.consumer = consumer?.name ?? null;
    note.clientIp = clientIp;
    const key =
      consumer === null ? `a${clientIp.includes(':') ? clientNetwork(clientIp) : clientIp}` : `c${consumer.name}`;
    this.table.update(key, this.clock.now(), note, limit);
  }

  /** Those that a limit has refused most, of whom it has refused within the last hour. */
  most(limit: Int32Array, count: number): Refusals[] {
    const nowMs = this.clock.now();
    const bucket = new BucketCopy(entryWords);
    const found: Refusals[] = [];
    for (let index = 0; index < this.table.buckets; index++) {
      if (!this.table.copyBucket(index, bucket)) continue;
      for (const [way, expiresAtMs] of bucket.expiresAtMs.entries()) {
        const words = bucket.words.subarray(way * entryWords, (way + 1) * entryWords);
        const isOfLimit = words[atLimit] === limit[0] && words[atLimit + 1] === limit[1];
        if (expiresAtMs > nowMs && isOfLimit) found.push(this.read(words, expiresAtMs - keptMs - nowMs));
      }
    }
    return found.toSorted((a, b) => total(b) - total(a)).slice(0, count);
  }

  /** @param agoMs how long ago it was refused last, below 0. */
  private read(words: Float64Array, agoMs: number): Refusals {
    const name = readText(words, atText, words[atTextBytes]);
    const isConsumer = words[atKind] === consumerKind;
    return {
      consumer: isConsumer ? name : null,
      address: isConsumer ? null : name,
      refused: words[atRefused],
      wouldRefuse: words[atWouldRefuse],
      lastAt: Math.round(this.clock.wallNow() + agoMs),
    };
  }
}

const total = ({ refused, wouldRefuse }: Refusals): number => refused + wouldRefuse;

class Note implements TableDecision {
  limit: Int32Array = new Int32Array(4);
  isEnforced = true;
  consumer: string | null = null;
  clientIp = '';

  decide(words: Float64Array, isNew: boolean, nowMs: number): number {
    if (isNew) this.introduce(words);
    words[this.isEnforced ? atRefused : atWouldRefuse]++;
    return nowMs + keptMs;
  }

  private introduce(words: Float64Array): void {
    words[atLimit] = this.limit[0];
    words[atLimit + 1] = this.limit[1];
    words[atKind] = this.consumer === null ? addressKind : consumerKind;
    const name = this.consumer ?? nameOfClient(this.clientIp);
    words[atTextBytes] = writeText(words, atText, cut(name, textWords * bytesPerWord));
  }
}
