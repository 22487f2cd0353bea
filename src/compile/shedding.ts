/** How important requests are: what a route says of them, and what their caller does. */
import { type Importance, importances } from '../config/schema/importance.ts';
import type { GatewayConfig, PolicyUse } from '../config/schema.ts';
import type { Consumer, PolicyDefinition } from '../contract.ts';
import type { NamedPolicy } from '../proxy/route.ts';
import { type ImportanceClass, type Shedding, neverRefused } from '../proxy/shedding.ts';

export function classOf(importance: Importance): ImportanceClass {
  return importances.indexOf(importance) as ImportanceClass;
}

/** What decides once it is known who calls. */
export class CallerImportance {
  private readonly classes: ReadonlyMap<string, ImportanceClass>;
  private readonly shedding: Shedding;
  private readonly definitionOf: (use: PolicyUse) => PolicyDefinition;

  constructor(
    { overload }: Pick<GatewayConfig, 'overload'>,
    shedding: Shedding,
    definitionOf: (use: PolicyUse) => PolicyDefinition,
  ) {
    this.classes = new Map(Object.entries(overload?.groups ?? {}).map(([group, word]) => [group, classOf(word)]));
    this.shedding = shedding;
    this.definitionOf = definitionOf;
  }

  /** See `RouteHandling.callerMayHave`. */
  mostFor(route: ImportanceClass, uses: readonly PolicyUse[]): ImportanceClass | null {
    if (this.placeIn(route, uses) === -1) return null;
    return Math.max(route, ...this.classes.values()) as ImportanceClass;
  }

  /** The policies of a route, with one more behind the last that finds out who calls, where that makes a difference. */
  withDecision(
    route: ImportanceClass,
    uses: readonly PolicyUse[],
    chain: readonly NamedPolicy[],
  ): readonly NamedPolicy[] {
    const place = this.placeIn(route, uses);
    return place === -1 ? chain : chain.toSpliced(place + 1, 0, this.decision(route));
  }

  /** Which policy is the last that finds out who calls; -1 where nobody's calling makes a difference. */
  private placeIn(route: ImportanceClass, uses: readonly PolicyUse[]): number {
    if (this.classes.size === 0 || route === neverRefused) return -1;
    return uses.findLastIndex((use) => this.definitionOf(use).provides?.includes('consumer') === true);
  }

  private decision(route: ImportanceClass): NamedPolicy {
    const { shedding } = this;
    const onRequest: NamedPolicy['policy']['onRequest'] = ({ consumer }) => {
      if (shedding.level === 0) return undefined;
      return shedding.refuse(this.classFor(consumer, route)) ?? undefined;
    };
    return { name: 'overload', policy: { onRequest } };
  }

  private classFor(consumer: Consumer | null, route: ImportanceClass): ImportanceClass {
    let most: ImportanceClass | null = null;
    for (const group of consumer?.groups ?? []) {
      const one = this.classes.get(group);
      if (one !== undefined && (most === null || one > most)) most = one;
    }
    return most ?? route;
  }
}
