/** `gatewright check [FILE]`: every problem of a configuration at once. */
import { type Problem, formatProblem, sortProblems } from '../config/problem.ts';
import { type CommandIo, exitCodes } from './cli-io.ts';
import { type CommandConfig, loadCommandConfig } from './load-config.ts';

export interface CheckOptions {
  /** Lines for people, or one JSON object for programs. */
  readonly format: 'text' | 'json';
}

/**
 * Checks a configuration, by default the one in the working folder, and reports on standard output.
 * @returns the exit code: 0 when there is no error (there may be warnings), 1 otherwise, 2 when no file is named and
 * none is there.
 */
export async function runCheck(named: string | undefined, options: CheckOptions, io: CommandIo): Promise<number> {
  const loaded = await loadCommandConfig(named, io);
  if (loaded === null) return exitCodes.usage;
  const problems = sortProblems([...loaded.problems, ...(await loaded.analyse())]);
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  io.stdout.write(options.format === 'json' ? toJson(loaded.file, problems) : toText(loaded, problems));
  return errors === 0 ? exitCodes.fine : exitCodes.failed;
}

function toJson(file: string, problems: readonly Problem[]): string {
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  const report = { file, ok: errors === 0, errors, warnings: problems.length - errors, problems };
  return `${JSON.stringify(report, null, 2)}\n`;
}

function toText({ file, config }: CommandConfig, problems: readonly Problem[]): string {
  const lines = problems.map((problem) => formatProblem(problem));
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  const counts = [count(errors, 'error'), count(problems.length - errors, 'warning')].filter((text) => text !== '');
  if (counts.length > 0) lines.push(`${file}: ${counts.join(', ')}`);
  if (errors === 0 && config !== null) {
    const routes = count(Object.keys(config.routes).length, 'route') || 'no routes';
    const upstreams = count(Object.keys(config.upstreams).length, 'upstream') || 'no upstreams';
    const listeners = count(Object.keys(config.listeners).length, 'listener') || 'no listeners';
    lines.push(`${file} can be served: ${routes}, ${upstreams}, ${listeners}`);
  }
  return `${lines.join('\n')}\n`;
}

/** `1 route`, `2 routes`; empty for none. */
function count(number: number, noun: string): string {
  return number === 0 ? '' : `${number} ${noun}${number === 1 ? '' : 's'}`;
}
