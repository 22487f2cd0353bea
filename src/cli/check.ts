/** `gatewright check [FILE]`: every problem of a configuration at once. */
import { type Problem, sortProblems } from '../config/problem.ts';
import { type CommandIo, exitCodes } from './cli-io.ts';
import { type CommandConfig, loadCommandConfig } from './load-config.ts';
import { count, countErrors, problemLines, problemObject } from './problem-report.ts';

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
  const found = [...loaded.problems, ...(await loaded.analyse())];
  const problems = sortProblems(countErrors(found) > 0 ? found : [...found, ...(await loaded.tryToMake())]);
  io.stdout.write(options.format === 'json' ? toJson(loaded.file, problems) : toText(loaded, problems));
  return countErrors(problems) === 0 ? exitCodes.fine : exitCodes.failed;
}

function toJson(file: string, problems: readonly Problem[]): string {
  return `${JSON.stringify(problemObject(file, problems), null, 2)}\n`;
}

function toText({ file, config }: CommandConfig, problems: readonly Problem[]): string {
  const lines = problemLines(file, problems);
  if (countErrors(problems) === 0 && config !== null) {
    const routes = count(Object.keys(config.routes).length, 'route') || 'no routes';
    const upstreams = count(Object.keys(config.upstreams).length, 'upstream') || 'no upstreams';
    const listeners = count(Object.keys(config.listeners).length, 'listener') || 'no listeners';
    lines.push(`${file} can be served: ${routes}, ${upstreams}, ${listeners}`);
  }
  return `${lines.join('\n')}\n`;
}
