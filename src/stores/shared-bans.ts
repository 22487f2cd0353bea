/**
 * Who is turned away for a while, whichever route they call: `BanList` in memory that all threads share, so that a ban holds
 * in all of them from the moment it is made.
 *
 * A ban is of a network. Looking an address up asks for each length of prefix that some ban has, which are few, and not again
 * before another ban is made. Bans that
 * policies make are of single clients and stand in a table of their own: when that is full, the one that ends first makes
 * room. A ban is only made for what its client has done, so that pushing one out takes as many clients that are each banned
 * for longer; and none of them pushes out what an operator has ordered.
 */
import type { BanList } from '../contract.ts';
import { type IpAddress, parseIp } from '../util/ip-set.ts';
import { type IpNetwork, keyOfNetwork, networkOf, networkOfClient } from '../util/ip-network.ts';
import { SharedTable, type TableDecision } from '../util/shared-table.ts';
import { bytesPerWord, cut, readText, writeText } from './word-text.ts';
import type { HandedBan } from './handed-bans.ts';

/** What all threads have in common. */
export interface BanMemory {
  /** Those that policies have made. */
  readonly found: SharedArrayBuffer;
  /** Those that operators have. */
  readonly ordered: SharedArrayBuffer;
  /** When the last of each length ends: see `endCells`. */
  readonly ends: SharedArrayBuffer;
  readonly totals: SharedArrayBuffer;
}

/** Since the gateway has started. */
export interface BanTotals {
  /** Bans that policies have made. */
  readonly made: number;
  /** Requests that were refused, on connections that were open. */
  readonly requests: number;
  /** Connections that were turned away. */
  readonly connections: number;
  /** Bans that ended before their time, because there were too many. */
  readonly evicted: number;
}

export interface Ban {
  readonly network: IpNetwork;
  /** Wall-clock milliseconds. */
  readonly since: number;
  readonly until: number;
  /** Who has made it. */
  readonly by: string;
  readonly reason: string;
}

export interface BanOrder {
  readonly network: IpNetwork;
  readonly forMs: number;
  readonly by: string;
  readonly reason: string;
}

export interface BanClock {
  /** Monotonic milliseconds, the same for all threads. */
  now(): number;
  wallNow(): number;
}

/** Bans that live at a time. Memory that was never written to costs nothing. */
const capacity = 32_768;
/** Of operators. Far fewer than there is room for, so that none has to make room. */
export const mostOrdered = 4_096;

/** Numbers of an entry. */
const [atSince, atShape, atAddress, atTextBytes, atText] = [0, 1, 2, 6, 7];
const textWords = 40;
const entryWords = atText + textWords;

/**
 * Cells of `ends`, in seconds of the monotonic clock: of any ban, of those of policies by family, and of those of operators
 * by family and prefix.
 */
const [anyCell, foundV4Cell, foundV6Cell, orderedV4Cells] = [0, 1, 2, 3];
const orderedV6Cells = orderedV4Cells + 33;
/** Counts the bans that were made, modulo 2³²: whoever is not banned stays so until there is another one. */
const versionCell = orderedV6Cells + 129;
const endCells = versionCell + 1;
/** Of addresses that are known not to be banned, for each thread. */
const mostUnbanned = 8_192;

const [madeTotal, requestsTotal, connectionsTotal] = [0, 1, 2];

export class SharedBans implements BanList {
  private readonly found: SharedTable;
  private readonly ordered: SharedTable;
  private readonly ends: Int32Array<SharedArrayBuffer>;
  private readonly totalCells: BigInt64Array<SharedArrayBuffer>;
  private readonly clock: BanClock;
  private readonly write = new Write();
  private readonly look = new Look();
  private readonly copy = new Copy();
  private readonly unbanned = new Set<string>();
  private seenVersion = 0;

  /** @param threads how many may live at a time. */
  static create(threads: number, shape: { readonly capacity: number } = { capacity }): BanMemory {
    const table = (bans: number): SharedArrayBuffer =>
      // One more than there are threads: whoever gives orders is none of them.
      SharedTable.create({ capacity: bans, words: entryWords, threads: threads + 1 });
    return {
      found: table(shape.capacity),
      ordered: table(4 * mostOrdered),
      ends: new SharedArrayBuffer(endCells * 4),
      totals: new SharedArrayBuffer(3 * 8),
    };
  }

  /** @param seat a number that no other living thread has. */
  constructor(memory: BanMemory, seat: number, clock: BanClock) {
    this.found = SharedTable.attach(memory.found, seat);
    this.ordered = SharedTable.attach(memory.ordered, seat);
    this.ends = new Int32Array(memory.ends);
    this.totalCells = new BigInt64Array(memory.totals);
    this.clock = clock;
  }

  get isEmpty(): boolean {
    // Every request asks; a plain read sees what others have written a moment later, and costs a tenth.
    const end = this.ends[anyCell];
    return end === 0 || end * 1000 <= this.clock.now();
  }

  remainingMs(address: string): number {
    const nowMs = this.clock.now();
    if (!this.isCurrent(anyCell, nowMs)) return 0;
    const version = Atomics.load(this.ends, versionCell);
    if (version !== this.seenVersion || this.unbanned.size >= mostUnbanned) this.unbanned.clear();
    this.seenVersion = version;
    if (this.unbanned.has(address)) return 0;
    const ip = parseIp(address);
    if (ip === null) return 0;
    const leftMs = Math.max(0, this.endFor(ip, nowMs) - nowMs);
    if (leftMs === 0) this.unbanned.add(address);
    return leftMs;
  }

  private endFor(ip: IpAddress, nowMs: number): number {
    const isV4 = ip.family === 4;
    let untilMs = 0;
    if (this.isCurrent(isV4 ? foundV4Cell : foundV6Cell, nowMs)) {
      untilMs = this.endOf(this.found, networkOfClient(ip), nowMs);
    }
    const cells = isV4 ? orderedV4Cells : orderedV6Cells;
    for (let prefix = isV4 ? 32 : 128; prefix >= 0; prefix--) {
      if (!this.isCurrent(cells + prefix, nowMs)) continue;
      untilMs = Math.max(untilMs, this.endOf(this.ordered, networkOf(ip, prefix), nowMs));
    }
    return untilMs;
  }

  add(address: string, forMs: number, by: string, reason: string): boolean {
    const ip = parseIp(address);
    if (ip === null) return false;
    if (!this.putFound({ network: networkOfClient(ip), forMs, by, reason })) return false;
    Atomics.add(this.totalCells, madeTotal, 1n);
    return true;
  }

  /** @returns whether it was not there before. */
  private putFound(ban: BanOrder, since?: number): boolean {
    this.write.isOrder = false;
    if (!this.put(this.found, ban, since)) return false;
    this.noteEnd(ban.network.family === 4 ? foundV4Cell : foundV6Cell, ban.forMs);
    return this.write.isNew;
  }

  /**
   * Makes a ban, or another in the place of one that was ordered before.
   * @param since wall-clock milliseconds, if it was not made now.
   * @returns null where there are too many.
   */
  order(ban: BanOrder, since?: number): Ban | null {
    const isKnown = !Number.isNaN(this.endOf(this.ordered, ban.network, this.clock.now(), NaN));
    if (!isKnown && this.countOrdered() >= mostOrdered) return null;
    this.write.isOrder = true;
    if (!this.put(this.ordered, ban, since)) return null;
    const { family, prefix } = ban.network;
    this.noteEnd((family === 4 ? orderedV4Cells : orderedV6Cells) + prefix, ban.forMs);
    return this.read(this.ordered, ban.network);
  }

  /** Lifts the bans of exactly this network, whoever has made them. @returns whether there was one. */
  lift(network: IpNetwork): boolean {
    const key = keyOfNetwork(network);
    const nowMs = this.clock.now();
    const ends = [this.found, this.ordered].map((table) => {
      const untilMs = this.endOf(table, network, nowMs);
      if (untilMs > nowMs) table.update(key, nowMs, forget);
      return untilMs;
    });
    return Math.max(...ends) > nowMs;
  }

  /** Those that hold, the one that ends last first. */
  list(): Ban[] {
    const bans = [...this.listed(this.ordered), ...this.listed(this.found)];
    return bans.toSorted((a, b) => b.until - a.until);
  }

  /** All that hold, for a process that takes over. */
  handOver(): HandedBan[] {
    const from = (table: SharedTable, isOrdered: boolean): HandedBan[] =>
      this.listed(table).map((ban) => Object.assign(ban, { isOrdered }));
    return [...from(this.ordered, true), ...from(this.found, false)];
  }

  /** Makes the bans of a process before this one; those that are here already stay one. */
  takeOver(bans: readonly HandedBan[]): void {
    for (const { isOrdered, since, until, ...ban } of bans) {
      const order = { ...ban, forMs: until - this.clock.wallNow() };
      if (order.forMs <= 0) continue;
      if (isOrdered) this.order(order, since);
      else this.putFound(order, since);
    }
  }

  noteRefusal(what: 'request' | 'connection'): void {
    Atomics.add(this.totalCells, what === 'request' ? requestsTotal : connectionsTotal, 1n);
  }

  get totals(): BanTotals {
    const total = (index: number): number => Number(Atomics.load(this.totalCells, index));
    return {
      made: total(madeTotal),
      requests: total(requestsTotal),
      connections: total(connectionsTotal),
      evicted: this.found.evicted + this.ordered.evicted,
    };
  }

  private put(table: SharedTable, ban: BanOrder, since = this.clock.wallNow()): boolean {
    const { write } = this;
    const nowMs = this.clock.now();
    write.set(ban, nowMs + ban.forMs, since);
    return table.update(keyOfNetwork(ban.network), nowMs, write);
  }

  /** Once it stands in its table: whoever sees that there is one finds it. */
  private noteEnd(cell: number, forMs: number): void {
    const end = Math.min(2 ** 31 - 1, Math.ceil((this.clock.now() + forMs) / 1000));
    for (const one of [cell, anyCell]) {
      for (let known = Atomics.load(this.ends, one); known < end;) {
        const found = Atomics.compareExchange(this.ends, one, known, end);
        if (found === known) break;
        known = found;
      }
    }
    Atomics.add(this.ends, versionCell, 1);
  }

  private isCurrent(cell: number, nowMs: number): boolean {
    return Atomics.load(this.ends, cell) * 1000 > nowMs;
  }

  /** When the ban of this network ends; `otherwise` where there is none. */
  private endOf(table: SharedTable, network: IpNetwork, nowMs: number, otherwise = 0): number {
    const { look } = this;
    // One that cannot be looked up, because others keep changing what stands beside it, is not known to be banned.
    return table.update(keyOfNetwork(network), nowMs, look) && look.untilMs > 0 ? look.untilMs : otherwise;
  }

  private countOrdered(): number {
    return this.networksIn(this.ordered).size;
  }

  /** By their keys. What is torn may be among them: each has to be looked up. */
  private networksIn(table: SharedTable): ReadonlyMap<string, IpNetwork> {
    const networks = new Map<string, IpNetwork>();
    table.sweep(this.clock.now(), {
      decide(words) {
        const network = readNetwork(words);
        networks.set(keyOfNetwork(network), network);
        return NaN;
      },
    });
    return networks;
  }

  private listed(table: SharedTable): Ban[] {
    return Array.from(this.networksIn(table).values()).flatMap((network) => this.read(table, network) ?? []);
  }

  private read(table: SharedTable, network: IpNetwork): Ban | null {
    const { copy, clock } = this;
    const nowMs = clock.now();
    if (!table.update(keyOfNetwork(network), nowMs, copy) || copy.untilMs === 0) return null;
    const { words, untilMs } = copy;
    const [by, reason = ''] = readText(words, atText, words[atTextBytes]).split('\n');
    return { network, since: words[atSince], until: clock.wallNow() + untilMs - nowMs, by, reason };
  }
}

class Write implements TableDecision {
  /** An order takes the place of the one before; of what policies find, the ban that ends later stays. */
  isOrder = false;
  isNew = false;
  private untilMs = 0;
  private readonly words = new Float64Array(entryWords);

  set({ network, by, reason }: BanOrder, untilMs: number, wallMs: number): void {
    const { words } = this;
    this.untilMs = untilMs;
    words.fill(0);
    words[atSince] = Math.round(wallMs);
    words[atShape] = network.family * 256 + network.prefix;
    words.set(network.words, atAddress);
    const half = (textWords * bytesPerWord) / 2;
    words[atTextBytes] = writeText(words, atText, Buffer.concat([cut(by, half - 1), newline, cut(reason, half)]));
  }

  decide(words: Float64Array, isNew: boolean, _nowMs: number, expiresAtMs: number): number {
    this.isNew = isNew;
    if (!this.isOrder && expiresAtMs > this.untilMs) return NaN;
    words.set(this.words);
    return this.untilMs;
  }
}

class Look implements TableDecision {
  /** 0: there is none. */
  untilMs = 0;

  decide(_words: Float64Array, _isNew: boolean, _nowMs: number, expiresAtMs: number): number {
    this.untilMs = expiresAtMs;
    return NaN;
  }
}

class Copy implements TableDecision {
  untilMs = 0;
  readonly words = new Float64Array(entryWords);

  decide(words: Float64Array, _isNew: boolean, _nowMs: number, expiresAtMs: number): number {
    this.untilMs = expiresAtMs;
    this.words.set(words);
    return NaN;
  }
}

const forget: TableDecision = { decide: (_words, isNew, nowMs) => (isNew ? NaN : nowMs) };

function readNetwork(words: Float64Array): IpNetwork {
  const family = words[atShape] < 6 * 256 ? 4 : 6;
  const address = Array.from(words.subarray(atAddress, atAddress + (family === 4 ? 1 : 4)));
  return { family, prefix: words[atShape] % 256, words: address };
}

const newline = Buffer.from('\n');
