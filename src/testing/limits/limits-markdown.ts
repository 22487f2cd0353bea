/** Measurements as a table in Markdown: a row for each. */
import { formatDuration, formatRate } from '../../util/units.ts';
import type { LimitMeasurement } from './limit-measurement.ts';
import type { PromisedLimit } from './promised-limit.ts';

export interface NamedMeasurement {
  /** What was measured, for the first column. */
  readonly name: string;
  readonly measured: LimitMeasurement;
}

const columns = [
  'limit',
  'keys',
  'sent',
  'load',
  'admitted',
  'within a window, allowed',
  'for certain',
  'possibly',
  'usable',
  'longest answer',
  'verdict',
];

export function limitsMarkdown(rows: readonly NamedMeasurement[]): string {
  const head = ['', ...columns];
  const lines = [head, head.map((_, index) => (index < 2 ? '---' : '---:')), ...rows.map(cellsOf)];
  return lines.map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`).join('');
}

export function limitInWords({ algorithm, burst, ...rate }: PromisedLimit): string {
  return `${formatRate(rate)}${algorithm === 'gcra' ? `, burst ${burst}` : ''} (${algorithm})`;
}

/** Of what a limit without a fault would have admitted. Since nobody knows when exactly it decides, it can seem more. */
export function usableInWords({ usable, due }: LimitMeasurement): string {
  if (due === 0) return '–';
  return `${(100 * Math.min(1, usable)).toFixed(1)} %`;
}

function cellsOf({ name, measured }: NamedMeasurement): string[] {
  const { promised, keys, sent, load, admitted, window, answers, verdict } = measured;
  return [
    name,
    limitInWords(promised),
    (keys ?? 1).toLocaleString('en'),
    sent.toLocaleString('en'),
    `${load.toFixed(1)} ×`,
    admitted.toLocaleString('en'),
    `${window.allowed} in ${formatDuration(window.spanMs)}`,
    String(window.certain),
    String(window.possible),
    usableInWords(measured),
    `${Math.round(answers.longestMs)} ms`,
    verdict,
  ];
}
