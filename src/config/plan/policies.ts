/** Compares the policies of a route: which are gone, new or changed, and whether their order is another one. */
import { innerUses } from '../inner-uses.ts';
import type { PolicyUse } from '../schema.ts';
import { type Difference, changeKinds } from './change.ts';
import type { Comparison } from './comparison.ts';
import { compareFields } from './fields.ts';
import type { Direction } from './judges.ts';
import { isSame } from './plain-compare.ts';
import {
  type PolicyKnowledge,
  type PolicyRole,
  authentication,
  authorisation,
  knowledgeOf,
  plainRole,
} from './policy-table.ts';

type Uses = readonly PolicyUse[];

/** A use at its place: the same use may be in a list twice. */
interface Entry {
  readonly use: PolicyUse;
  readonly index: number;
}

/** The same use in both lists. */
interface Pair {
  readonly before: Entry;
  readonly after: Entry;
}

/** Many routes have the same lists of policies, the very same objects; each two are compared once. */
export class PolicyComparison {
  private readonly comparison: Comparison;
  private readonly known = new WeakMap<Uses, WeakMap<Uses, readonly Difference[]>>();

  constructor(comparison: Comparison) {
    this.comparison = comparison;
  }

  compare(before: Uses, after: Uses): readonly Difference[] {
    if (before === after) return [];
    let byAfter = this.known.get(before);
    if (byAfter === undefined) this.known.set(before, (byAfter = new WeakMap()));
    let found = byAfter.get(after);
    if (found === undefined) byAfter.set(after, (found = this.compareLists(before, after)));
    return found;
  }

  private compareLists(before: Uses, after: Uses): readonly Difference[] {
    const pairs = pairUses(before, after);
    const removed = before.filter((_, index) => !pairs.some((pair) => pair.before.index === index));
    const added = after.filter((_, index) => !pairs.some((pair) => pair.after.index === index));
    return [
      ...this.comeAndGone(removed, added),
      ...pairs.flatMap((pair) => this.compareUse(pair.before.use, pair.after.use)),
      ...compareOrder(pairs),
    ];
  }

  /** One way to authenticate in the place of another is another thing than none. */
  private comeAndGone(removed: Uses, added: Uses): Difference[] {
    const isReplaceable = (use: PolicyUse): boolean => this.roleOf(use).isReplaceable === true;
    const [from, to] = [removed.filter(isReplaceable), added.filter(isReplaceable)];
    const isReplaced = from.length > 0 && to.length > 0;
    const rest = (uses: Uses): Uses => (isReplaced ? uses.filter((use) => !isReplaceable(use)) : uses);
    const kind = authentication.changed[isReplaced ? directionOf(from, to) : 'other'];
    const detail = `${from.map(fullNameOf).join(', ')} → ${to.map(fullNameOf).join(', ')}`;
    return [
      ...(isReplaced ? [{ kind, detail }] : []),
      ...rest(removed).map((use) => this.told(use, 'removed')),
      ...rest(added).map((use) => this.told(use, 'added')),
    ];
  }

  private told(use: PolicyUse, what: 'added' | 'removed'): Difference {
    const role = this.roleOf(use);
    const kind = role[what];
    const isInTitle = kind.endsWith(what);
    const detail = isInTitle ? `(${fullNameOf(use)})` : `${fullNameOf(use)} ${what}`;
    return titled({ kind, detail }, role);
  }

  /** @param around the names of the policies among whose options they are. */
  private compareUse(before: PolicyUse, after: PolicyUse, around = ''): Difference[] {
    const differences: Difference[] = [];
    const { role, options } = this.knowledgeOf(after);
    const place = `${nameOf(after)}${around}`;
    const suffix = ` (${place})`;
    if (before.label !== after.label) {
      differences.push({ kind: 'policy-renamed', detail: `${nameOf(before)} → ${nameOf(after)}` });
    }
    if (!this.comparison.isSameFile(before.module ?? '', after.module ?? '')) {
      const [from, to] = [this.placeOf(before, 'before'), this.placeOf(after, 'after')];
      differences.push({ kind: role.changed.other, detail: `from ${from} → from ${to}${suffix}` });
    }
    const hasInner = innerUses(before).length > 0 || innerUses(after).length > 0;
    const found = hasInner
      ? this.compareWays(before, after, place)
      : compareFields(before.options, after.options, options, {
          comparison: this.comparison,
          kinds: role.changed,
          secretKeys: this.comparison.secretKeysOf(after),
          suffix,
        });
    return [...differences, ...found].map((difference) => titled(difference, role));
  }

  /** One more of several ways is one more way in. */
  private compareWays(before: PolicyUse, after: PolicyUse, place: string): Difference[] {
    const { weaker, stronger } = this.roleOf(after).changed;
    const [from, to] = [innerUses(before), innerUses(after)];
    const pairs = pairUses(from, to);
    const added = to.filter((_, index) => !pairs.some((pair) => pair.after.index === index));
    const removed = from.filter((_, index) => !pairs.some((pair) => pair.before.index === index));
    return [
      ...added.map((use) => ({ kind: weaker, detail: `+ ${fullNameOf(use)} (${place})` })),
      ...removed.map((use) => ({ kind: stronger, detail: `- ${fullNameOf(use)} (${place})` })),
      ...pairs.flatMap((pair) => this.compareUse(pair.before.use, pair.after.use, ` in ${place}`)),
      ...compareOrder(pairs),
    ];
  }

  private placeOf({ module }: PolicyUse, side: 'before' | 'after'): string {
    return module === null ? 'the gateway itself' : this.comparison.fileName(module, side);
  }

  private roleOf(use: PolicyUse): PolicyRole {
    return this.knowledgeOf(use).role;
  }

  /** A policy of one's own that says who is calling authenticates, whatever it is called; one that says who may authorises. */
  private knowledgeOf(use: PolicyUse): PolicyKnowledge {
    const standard = use.module === null ? knowledgeOf(use.name) : null;
    if (standard !== null) return standard;
    const provides = this.comparison.factsOf(use)?.provides ?? [];
    if (provides.includes('authorisation')) return { role: authorisation, options: {} };
    return { role: provides.includes('consumer') ? authentication : plainRole, options: {} };
  }
}

/** In the words of the role, where the kind has those of another one. */
function titled(difference: Difference, { noun }: PolicyRole): Difference {
  if (noun === undefined) return difference;
  return { ...difference, title: changeKinds[difference.kind].title.replace('authentication', noun) };
}

/** How it is called in the configuration, and what it is where that is not the same. */
function nameOf({ name, label }: PolicyUse): string {
  return name === label ? name : `${name} ${label}`;
}

/** The same with the policies among its options: `anyOf of apiKey, jwt`. */
function fullNameOf(use: PolicyUse): string {
  const inner = innerUses(use);
  return inner.length === 0 ? nameOf(use) : `${nameOf(use)} of ${inner.map(fullNameOf).join(', ')}`;
}

/**
 * Of policies that authenticate all have to be satisfied, so fewer are weaker; of the ways that one of them leaves open one
 * is enough, so more are weaker.
 */
function directionOf(from: Uses, to: Uses): Direction {
  if (from.length !== to.length) return to.length < from.length ? 'weaker' : 'other';
  if (from.length !== 1) return 'other';
  const [before, after] = [waysOf(from[0]), waysOf(to[0])];
  const hasAll = (ways: Uses, others: Uses): boolean => others.every((other) => ways.some((way) => isSame(way, other)));
  if (hasAll(after, before)) return 'weaker';
  return hasAll(before, after) ? 'stronger' : 'other';
}

function waysOf(use: PolicyUse): Uses {
  const inner = innerUses(use);
  return inner.length === 0 ? [use] : inner.flatMap(waysOf);
}

/** The steps in which uses find each other, the surest first. What is left then is gone, or new. */
const steps: readonly ((a: PolicyUse, b: PolicyUse) => boolean)[] = [
  (a, b) => isSame(a, b),
  (a, b) => a.label === b.label && a.name === b.name,
  (a, b) => a.name === b.name && isSame(a.options, b.options),
  (a, b) => a.name === b.name,
];

function pairUses(before: Uses, after: Uses): Pair[] {
  const pairs: Pair[] = [];
  const left = new Set(after.map((use, index) => ({ use, index })));
  let waiting: readonly Entry[] = before.map((use, index) => ({ use, index }));
  for (const matches of steps) {
    waiting = waiting.filter((entry) => {
      const found = [...left].find((other) => matches(entry.use, other.use));
      if (found === undefined) return true;
      left.delete(found);
      pairs.push({ before: entry, after: found });
      return false;
    });
  }
  return pairs;
}

function compareOrder(pairs: readonly Pair[]): Difference[] {
  const was = pairs.toSorted((a, b) => a.before.index - b.before.index);
  const is = pairs.toSorted((a, b) => a.after.index - b.after.index);
  if (was.every((pair, index) => pair === is[index])) return [];
  const [from, to] = [was, is].map((list) => list.map((pair) => nameOf(pair.after.use)).join(', '));
  return [{ kind: 'policy-order-changed', detail: `${from} → ${to}`, before: from, after: to }];
}
