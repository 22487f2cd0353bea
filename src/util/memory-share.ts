/** How much is in use of the memory that there is, for the thread that asks. */
import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';

/** What the process may have: the machine's memory, or less where a control group says so. */
const mostBytes = limitOf(totalmem(), process.constrainedMemory());

/** @param constrained 0 where nobody limits it, or a number past all memory. */
export function limitOf(total: number, constrained: number): number {
  return constrained > 0 && constrained < total ? constrained : total;
}

/**
 * The larger of two shares: of the heap that this thread may have, beyond which it is ended, and of the memory that the whole
 * process may have, beyond which the kernel ends it. Takes some ten microseconds.
 */
export function memoryShare(): number {
  const { used_heap_size: used, heap_size_limit: most } = getHeapStatistics();
  return Math.max(used / most, process.memoryUsage.rss() / mostBytes);
}
