/** Rounds over arms for the scenarios in which every measurement starts its gateway anew. */
import type { Arm } from '../arms/arm.ts';
import type { Sample } from '../measure.ts';
import { unlessItFails } from './load.ts';
import type { Bench, Row } from './scenario.ts';

export async function inRounds(
  bench: Bench,
  arms: readonly Arm[],
  measure: (arm: Arm) => Promise<Sample>,
  describe: (sample: Sample) => string,
): Promise<Row[]> {
  const rows = arms.map((arm): Row => ({ arm: arm.name, title: arm.title, samples: [], failure: undefined }));
  for (let round = 1; round <= bench.rounds; round++) {
    for (const [index, row] of rows.entries()) {
      if (row.failure !== undefined) continue;
      await unlessItFails(bench, row, async () => {
        const sample = await measure(arms[index]);
        row.samples.push(sample);
        bench.say(`  round ${round}  ${row.arm}  ${describe(sample)}`);
      });
    }
  }
  return rows;
}
