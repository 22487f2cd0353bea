/** Compares what is refused when there is more to do than can be done. */
import type { GatewayConfig } from '../schema.ts';
import { formatPercentage } from '../../util/units.ts';
import type { Difference } from './change.ts';
import { type Comparison, show } from './comparison.ts';
import { type DirectedKinds, type FieldRules, compareFields, showDuration } from './fields.ts';
import * as judge from './judges.ts';

const kinds: DirectedKinds = {
  weaker: 'protection-removed',
  stronger: 'protection-added',
  other: 'setting-changed',
};

const threshold: judge.Judge = (before, after) => {
  const direction = judge.higherIsWeaker(before, after);
  return direction === 'other' ? judge.absenceIsWeaker(before, after) : direction;
};

const rules: FieldRules = {
  eventLoopLag: { what: 'event loop lag', judge: threshold, show: showThreshold(showDuration) },
  memory: { judge: threshold, show: showThreshold((share) => formatPercentage(share as number)) },
  retryAfter: { show: showDuration },
  // Whoever becomes more important takes the place of others; neither is less protection.
  groups: {},
};

function showThreshold(format: (value: unknown) => string): (value: unknown) => string {
  return (value) => (typeof value === 'number' ? format(value) : value === null ? 'none' : show(value));
}

export function compareOverload(
  before: GatewayConfig['overload'],
  after: GatewayConfig['overload'],
  comparison: Comparison,
): readonly Difference[] {
  if (before === null && after === null) return [];
  if (after === null) return [{ kind: 'protection-removed', detail: 'nothing is refused for overload' }];
  if (before === null) return [{ kind: 'protection-added', detail: 'requests are refused for overload' }];
  return compareFields(before, after, rules, { comparison, kinds });
}
