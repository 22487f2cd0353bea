/** `gatewright check [FILE]`: every problem of a configuration at once. */
import { relative, resolve } from 'node:path';
import { findConfigFile } from '../config/config-file.ts';
import type { LoadResult } from '../config/load.ts';
import { type Problem, formatProblem } from '../config/problem.ts';
import { loadGatewayConfig } from './load-config.ts';

/** Where a command reads and writes. */
export interface CommandIo {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  /** The working folder. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface CheckOptions {
  /** Lines for people, or one JSON object for programs. */
  readonly format: 'text' | 'json';
}

/**
 * Checks a configuration, by default the one in the working folder, and reports on standard output.
 * @returns the exit code: 0 when there is no error (there may be warnings), 1 otherwise, 2 when no file is named and
 * none is there.
 */
export async function runCheck(file: string | undefined, options: CheckOptions, io: CommandIo): Promise<number> {
  const name = file ?? findConfigFile(io.cwd);
  if (name === null) {
    io.stderr.write('There is no gateway.yaml here: name a file, or make one with `gatewright init`.\n');
    return 2;
  }
  const path = resolve(io.cwd, name);
  const result = await loadGatewayConfig(path, io.env);
  // Problems name the file as it was named here, so that a terminal or an editor can open it.
  const shown = file ?? relative(io.cwd, path);
  const problems = result.problems.map((problem) => (problem.file === path ? { ...problem, file: shown } : problem));
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  io.stdout.write(options.format === 'json' ? toJson(shown, problems) : toText(shown, problems, result));
  return errors === 0 ? 0 : 1;
}

function toJson(file: string, problems: readonly Problem[]): string {
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  const report = { file, ok: errors === 0, errors, warnings: problems.length - errors, problems };
  return `${JSON.stringify(report, null, 2)}\n`;
}

function toText(file: string, problems: readonly Problem[], { config }: LoadResult): string {
  const lines = problems.map((problem) => formatProblem(problem));
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  const counts = [count(errors, 'error'), count(problems.length - errors, 'warning')].filter((text) => text !== '');
  if (counts.length > 0) lines.push(`${file}: ${counts.join(', ')}`);
  if (errors === 0 && config !== null) {
    const routes = count(Object.keys(config.routes).length, 'route') || 'no routes';
    const upstreams = count(Object.keys(config.upstreams).length, 'upstream') || 'no upstreams';
    lines.push(
      `${file} can be served: ${routes}, ${upstreams}, ${count(Object.keys(config.listeners).length, 'listener')}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/** `1 route`, `2 routes`; empty for none. */
function count(number: number, noun: string): string {
  return number === 0 ? '' : `${number} ${noun}${number === 1 ? '' : 's'}`;
}
