import { defineBalancer } from '../contract.ts';

/**
 * The smooth weighted round robin of nginx: before each pick every target gains its weight in credit, the richest is
 * picked and pays the sum of all weights. With weights 5, 1, 1 that gives a a b a c a a, where the naive way would send
 * five requests in a row to the same target.
 */
export const weightedRoundRobin = defineBalancer({
  name: 'weighted-round-robin',
  summary:
    'Takes the targets in turn, each as often as its weight says, evenly interleaved. One of weight 0 gets none.',
  create(targets) {
    const weights = Float64Array.from(targets, ({ weight }) => (weight > 0 ? weight : 0));
    const creditsOfFirst = new Float64Array(targets.length);
    // Retries have accounts of their own: paying from the same ones, those that a failing target causes would fall into
    // step with the first attempts and always hit the same target.
    const creditsOfRetry = new Float64Array(targets.length);
    return {
      pick(_exchange, tried) {
        const credits = tried.length === 0 ? creditsOfFirst : creditsOfRetry;
        let richest = -1;
        let total = 0;
        for (let index = 0; index < weights.length; index++) {
          const weight = weights[index];
          if (weight === 0 || tried.includes(index)) continue;
          total += weight;
          credits[index] += weight;
          if (richest === -1 || credits[index] > credits[richest]) richest = index;
        }
        if (richest !== -1) credits[richest] -= total;
        return richest;
      },
    };
  },
});
