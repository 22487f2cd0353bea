/** What the stress tests of shared memory and their threads agree on. */
import type { MetricFamily } from '../../src/util/metric-slab.ts';

export const families: readonly MetricFamily[] = [
  { name: 'things_total', labels: ['kind'] },
  { name: 'sizes', labels: ['kind'], bounds: [1, 2, 4] },
];

/** Words of `control`: what the threads and the test tell each other. */
export const control = { clock: 0, begin: 1, end: 2, broken: 3, shadow: 16 };

export interface Job {
  readonly kind: 'chain' | 'take' | 'permits' | 'counters' | 'metrics';
  readonly thread: number;
  /** Unlike that of any other thread, also of one that had the same number before. */
  readonly serial: number;
  readonly control: SharedArrayBuffer;
  readonly memory: SharedArrayBuffer;
  /** Steps to make; without an end when 0. */
  readonly steps: number;
  /** Keys or kinds to choose from. */
  readonly choices: number;
  /** For permits and `take`: how many there are to have. For `chain`: for how long an entry is kept. */
  readonly limit: number;
  /** For `chain`: three numbers for each step are left there. */
  readonly results: SharedArrayBuffer;
}
