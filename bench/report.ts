/** Turns results into tables: Markdown for the file, and the same Markdown, aligned, is readable in a terminal. */
import { cpus, release, totalmem } from 'node:os';
import { judge } from './bars.ts';
import { pairedRatios, summarise } from './measure.ts';
import type { Metric, Row, ScenarioResult } from './scenarios/scenario.ts';

export interface RunFacts {
  /** The date of the run, YYYY-MM-DD. */
  readonly date: string;
  /** The command as it was typed. */
  readonly command: string;
  readonly gatewayCores: string;
  readonly loadCores: string;
  /** See `Lab`. */
  readonly coresStayAwake: boolean;
  /** Title of an arm → its version. */
  readonly versions: ReadonlyMap<string, string>;
  /** Arms and scenarios that were left out, and why. */
  readonly leftOut: readonly string[];
}

/** Above this share of the gateway's core, what others did there is worth a warning. */
const DISTURBED_PERCENT = 5;

/** The whole report in Markdown. */
export function markdownReport(facts: RunFacts, results: readonly ScenarioResult[]): string {
  const names = results.map(({ scenario }) => scenario.name).join(', ');
  return [
    `# Benchmark of ${facts.date}: ${names}`,
    '',
    ...machineLines(facts),
    '',
    'Compare ratios within this file. Absolute numbers belong to this machine and this hour.',
    '',
    '## What is to be reached',
    '',
    verdictTable(results),
    '',
    ...results.flatMap((result) => [scenarioSection(result), '']),
    ...(facts.leftOut.length > 0 ? ['## Left out', '', ...facts.leftOut.map((reason) => `- ${reason}`), ''] : []),
  ].join('\n');
}

/** The table of one scenario with what was done and who dropped out. */
export function scenarioSection({ scenario, rounds, seconds, rows }: ScenarioResult): string {
  const duration = seconds > 0 ? `, ${seconds} s each` : '';
  const reference = rows.find(({ arm }) => arm === scenario.reference);
  const judged = rows.filter(({ failure }) => failure === undefined);
  const header = ['', ...scenario.metrics.map(({ title }) => title)];
  if (reference) header.splice(2, 0, `ratio to ${reference.title} [range]`);
  const lines = [
    `## ${scenario.title}`,
    '',
    `${scenario.method} ${rounds} ${rounds === 1 ? 'round' : 'rounds'}${duration}; medians.`,
    '',
    alignedTable([header, ...judged.map((row) => cells(row, scenario.metrics, reference))]),
  ];
  const foreign = Math.max(0, ...rows.flatMap(({ samples }) => samples.map((sample) => sample.foreignPercent ?? 0)));
  if (foreign > DISTURBED_PERCENT) {
    lines.push(
      '',
      `Disturbed: other processes used up to ${foreign.toFixed(0)} % of the gateway's core during a measurement.`,
    );
  }
  const failures = rows.filter(({ failure }) => failure !== undefined);
  if (failures.length > 0) lines.push('');
  lines.push(...failures.map(({ title, failure }) => `- ${title} dropped out: ${failure}`));
  return lines.join('\n');
}

export function verdictTable(results: readonly ScenarioResult[]): string {
  const verdicts = judge(results);
  const word = (holds: boolean | undefined): string => (holds === undefined ? '–' : holds ? 'yes' : '**no**');
  return alignedTable([
    ['', 'bar', 'measured [range]', 'holds'],
    ...verdicts.map(({ what, limit, measured, holds }) => [what, limit, measured, word(holds)]),
  ]);
}

function cells(row: Row, metrics: readonly Metric[], reference: Row | undefined): string[] {
  const values = metrics.map(({ key, digits }, index) => {
    const summary = summarise(row.samples.flatMap((sample) => sample[key] ?? []));
    if (!summary) return '–';
    const show = (value: number): string =>
      value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
    // The spread of the first metric is what says how far to trust the row.
    return index === 0 ? `${show(summary.median)} [${show(summary.min)}–${show(summary.max)}]` : show(summary.median);
  });
  if (reference) values.splice(1, 0, ratioCell(row, reference, metrics[0].key));
  return [row.title, ...values];
}

function ratioCell(row: Row, reference: Row, key: string): string {
  if (reference.failure !== undefined) return '–';
  const summary = summarise(pairedRatios(row.samples, reference.samples, key));
  if (!summary) return '–';
  if (row === reference) return '1';
  return `${summary.median.toFixed(2)} [${summary.min.toFixed(2)}–${summary.max.toFixed(2)}]`;
}

function machineLines(facts: RunFacts): string[] {
  const processors = cpus();
  return [
    `- Machine: ${processors[0]?.model.trim() ?? 'unknown processor'}, ${processors.length} cores, ` +
      `${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`,
    `- Cores: gateway under test on ${facts.gatewayCores}; wrk and the upstream nginx on ${facts.loadCores}; ` +
      (facts.coresStayAwake ? 'idle cores poll' : 'idle cores may sleep, which slow arms pay for at every wake-up'),
    `- Run as: \`${facts.command}\``,
    ...[...facts.versions].map(([title, version]) => `- ${title}: ${version}`),
  ];
}

/** A Markdown table whose source is aligned as well: first column left, the others right. */
function alignedTable(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, column) => Math.max(3, ...rows.map((row) => row[column].length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => pad(cell, widths[column], column)).join(' | ')} |`;
  const rule = widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`));
  return [line(rows[0]), `|${rule.join('|')}|`, ...rows.slice(1).map(line)].join('\n');
}

function pad(cell: string, width: number, column: number): string {
  const space = ' '.repeat(width - cell.length);
  return column === 0 ? cell + space : space + cell;
}
