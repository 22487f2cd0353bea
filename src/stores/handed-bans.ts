/** Bans on their way from one process to the one that takes over from it, as plain data. */
import { z } from '../util/schema.ts';
import type { Ban } from './shared-bans.ts';

export interface HandedBan extends Ban {
  /** Made by an operator, and not by a policy. */
  readonly isOrdered: boolean;
}

const word = z.int().min(0).max(0xffff_ffff);
const handedBan = z.object({
  network: z.union([
    z.object({ family: z.literal(4), prefix: z.int().min(0).max(32), words: z.tuple([word]) }),
    z.object({ family: z.literal(6), prefix: z.int().min(0).max(128), words: z.tuple([word, word, word, word]) }),
  ]),
  since: z.number().min(0),
  until: z.number().min(0),
  by: z.string(),
  reason: z.string(),
  isOrdered: z.boolean(),
});

/** Those of a list that this version understands: another version may have sent it. */
export function understoodBans(sent: unknown): readonly HandedBan[] {
  if (!Array.isArray(sent)) return [];
  return sent.flatMap((ban) => handedBan.safeParse(ban).data ?? []);
}
