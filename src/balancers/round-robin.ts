import { type BalancerTarget, defineBalancer } from '../contract.ts';

/** Each target in its turn. */
export const roundRobin = defineBalancer({
  name: 'round-robin',
  summary: 'Takes the targets in turn; every target gets the same number of requests. One of weight 0 gets none.',
  create(targets) {
    const inTurn = indicesInUse(targets);
    let next = 0;
    return {
      pick(_exchange, tried) {
        for (let step = 0; step < inTurn.length; step++) {
          const index = inTurn[next];
          next = next + 1 === inTurn.length ? 0 : next + 1;
          if (!tried.includes(index)) return index;
        }
        return -1;
      },
    };
  },
});

function indicesInUse(targets: readonly BalancerTarget[]): number[] {
  return Array.from(targets.keys()).filter((index) => targets[index].weight > 0);
}
