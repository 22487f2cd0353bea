/** What the algorithms of limits have in common: a charge is decided and made in one step on the entry of its key. */
import type { TableDecision } from '../shared-table.ts';

/**
 * One limit by one algorithm. Pure but for its own fields, which say what the last `decide` came to; so nothing is allocated.
 *
 * The entry of a key lives until nothing of it counts any more. Among those that live, one with more to forget never expires
 * before one with less, as far as the algorithm allows: a table that is full makes those with the least to forget room.
 */
export interface RateAlgorithm extends TableDecision {
  /** What the next charge takes; 0 only looks. */
  cost: number;
  isAllowed: boolean;
  /** What is left once it was decided. */
  remaining: number;
  /** How long until everything is there again. */
  resetMs: number;
  /** How long until one more is there than `remaining`; 0 when nothing is missing. */
  moreMs: number;
  /** When it was refused, how long until the same charge would be allowed; Infinity for never. Otherwise 0. */
  retryMs: number;
  /** What `undo` has to be told of a charge that was allowed. */
  mark: number;
  /** Takes back a charge, or a part of it. Never gives back more than is still there, so that it lets nobody in who was not due. */
  readonly undo: UndoDecision;
  /** Charges whatever is left: for what was used already. Nothing is allowed to a key before that is paid off. */
  readonly debit: DebitDecision;
}

export interface UndoDecision extends TableDecision {
  /** What was charged. */
  cost: number;
  /** How much of it is to be taken back, at most all. */
  back: number;
  /** When it was charged. */
  chargedAtMs: number;
  mark: number;
}

export interface DebitDecision extends TableDecision {
  cost: number;
}
