/**
 * How consumers get to a thread: as pieces of text, like routes, since there may be very many; and only those that are
 * not what the thread knows already.
 */
import type { ConsumerChange } from '../consumers/consumer-index.ts';
import type { ConsumerRecord } from '../consumers/consumer-record.ts';

export interface ConsumerParcel {
  readonly isComplete: boolean;
  readonly removed: readonly string[];
  /** Lists of records in JSON (`textOf`), some in each. */
  readonly pieces: readonly string[];
}

/** So many uses of credentials a thread tells of at a time: it takes it less than a millisecond. */
export const usesAtOnce = 2_000;

/** Reading one piece takes about a millisecond. */
const inPiece = 250;

/** Shared by all: most consumers have one kind of credential. */
const NONE: readonly never[] = [];

/** A record in JSON, without what most consumers have alike. Equal for equal records. */
export function textOf(record: ConsumerRecord): string {
  const { name, groups, apiKeys, basic, hmac, signing, jwt, certificates } = record;
  return JSON.stringify({
    name,
    groups: unlessEmpty(groups),
    apiKeys: unlessEmpty(apiKeys),
    basic: basic ?? undefined,
    hmac: unlessEmpty(hmac),
    signing: unlessEmpty(signing),
    jwt: unlessEmpty(jwt),
    certificates: unlessEmpty(certificates),
  });
}

function unlessEmpty<T>(list: readonly T[]): readonly T[] | undefined {
  return list.length === 0 ? undefined : list;
}

/** @param texts see `textOf`. */
export function packConsumers(texts: Iterable<string>, removed: readonly string[] | null): ConsumerParcel {
  const pieces: string[] = [];
  let piece: string[] = [];
  for (const text of texts) {
    piece.push(text);
    if (piece.length < inPiece) continue;
    pieces.push(`[${piece.join(',')}]`);
    piece = [];
  }
  if (piece.length > 0) pieces.push(`[${piece.join(',')}]`);
  return { isComplete: removed === null, removed: removed ?? [], pieces };
}

/** Each piece is read when its records are asked for. */
export function unpackConsumers({ isComplete, removed, pieces }: ConsumerParcel): ConsumerChange {
  return { isComplete, removed, records: recordsOf(pieces) };
}

function* recordsOf(pieces: readonly string[]): Generator<ConsumerRecord> {
  for (const piece of pieces) {
    for (const read of JSON.parse(piece) as (Partial<ConsumerRecord> & Pick<ConsumerRecord, 'name'>)[]) {
      const { name, groups = NONE, apiKeys = NONE, basic = null, hmac = NONE, signing = NONE } = read;
      yield {
        name,
        groups,
        apiKeys,
        basic,
        hmac,
        signing,
        jwt: read.jwt ?? NONE,
        certificates: read.certificates ?? NONE,
      };
    }
  }
}
