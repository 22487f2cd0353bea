/**
 * What the kernel knows about a process tree and about the cores, read from /proc, and the few statistics that the
 * report uses.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';

/** One measurement of one arm: metric key → value. The units belong to the metric (see `scenarios/scenario.ts`). */
export type Sample = Readonly<Record<string, number>>;

/** proc_pid_stat(5) counts CPU time in clock ticks. */
const MICROS_PER_TICK = 1_000_000 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
const BYTES_PER_PAGE = Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' }));

interface ProcessStat {
  readonly parent: number;
  readonly cpuTicks: number;
}

/** The process and all its descendants that are alive now. */
export function processTree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    const stat = Number.isInteger(pid) ? processStat(pid) : undefined;
    if (!stat) continue;
    const siblings = children.get(stat.parent);
    if (siblings) siblings.push(pid);
    else children.set(stat.parent, [pid]);
  }
  const tree = [root];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}

/** User and system time that the whole tree has used so far, all threads, in microseconds. */
export function treeCpuMicros(root: number): number {
  return processTree(root).reduce((sum, pid) => sum + (processStat(pid)?.cpuTicks ?? 0), 0) * MICROS_PER_TICK;
}

/** Resident memory of the given processes in bytes. Pages that they share are counted once for each. */
export function residentBytes(pids: readonly number[]): number {
  let pages = 0;
  for (const pid of pids) {
    const statm = readProc(`/proc/${pid}/statm`);
    if (statm) pages += Number(statm.split(' ')[1]);
  }
  return pages * BYTES_PER_PAGE;
}

/** CPU time that a list of cores (`0`, `1-3`, `1,3`) has spent on anything but idling so far, in microseconds. */
export function coresBusyMicros(cores: string): number {
  const wanted = new Set(coreNumbers(cores).map((core) => `cpu${core}`));
  let ticks = 0;
  for (const line of readFileSync('/proc/stat', 'utf8').split('\n')) {
    const [name, ...fields] = line.split(/\s+/);
    if (!wanted.has(name)) continue;
    const [user, nice, system, , , irq, softirq] = fields.map(Number);
    ticks += user + nice + system + irq + softirq;
  }
  return ticks * MICROS_PER_TICK;
}

/** `0,2-3` → [0, 2, 3]. */
export function coreNumbers(cores: string): number[] {
  return cores.split(',').flatMap((part) => {
    const [first, last = first] = part.split('-').map(Number);
    if (!Number.isInteger(first) || !Number.isInteger(last)) throw new Error(`not a list of cores: ${cores}`);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/** How many files this process, and so what it starts, may have open. */
export function openFilesLimit(): number {
  const line = readFileSync('/proc/self/limits', 'utf8')
    .split('\n')
    .find((text) => text.startsWith('Max open files'));
  return Number(line?.split(/\s{2,}/)[1] ?? 0);
}

export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function summarise(values: readonly number[]): Summary | undefined {
  if (values.length === 0) return undefined;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, min: sorted[0], max: sorted[sorted.length - 1] };
}

/**
 * Ratios of what was measured in the same round, so that whatever slowed the machine for a while slowed both sides of
 * a ratio.
 */
export function pairedRatios(samples: readonly Sample[], reference: readonly Sample[], key: string): number[] {
  return pairs(samples, reference, key).map(([value, base]) => value / base);
}

/** The same for how much more it is. */
export function pairedDifferences(samples: readonly Sample[], reference: readonly Sample[], key: string): number[] {
  return pairs(samples, reference, key).map(([value, base]) => value - base);
}

/** Rounds in which both have the metric. */
function pairs(samples: readonly Sample[], reference: readonly Sample[], key: string): [number, number][] {
  return samples
    .slice(0, reference.length)
    .map((sample, round): [number, number] => [sample[key], reference[round][key]])
    .filter(([value, base]) => value !== undefined && base !== undefined);
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function processStat(pid: number): ProcessStat | undefined {
  const text = readProc(`/proc/${pid}/stat`);
  if (!text) return undefined;
  // The second field is the command in parentheses and may itself contain spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  // utime, stime, and the same of children that were already waited for.
  const cpuTicks = Number(fields[11]) + Number(fields[12]) + Number(fields[13]) + Number(fields[14]);
  return { parent: Number(fields[1]), cpuTicks };
}

/** A process may end between finding and reading it; then there is nothing to read. */
function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
