/** The problems of a configuration as commands print them: for people, or for programs. */
import { type Problem, formatProblem } from '../config/problem.ts';

export function countErrors(problems: readonly Problem[]): number {
  return problems.filter(({ severity }) => severity === 'error').length;
}

/** A line for each problem, and one that counts them if there are any. */
export function problemLines(file: string, problems: readonly Problem[]): string[] {
  const lines = problems.map((problem) => formatProblem(problem));
  const errors = countErrors(problems);
  const counts = [count(errors, 'error'), count(problems.length - errors, 'warning')].filter((text) => text !== '');
  if (counts.length > 0) lines.push(`${file}: ${counts.join(', ')}`);
  return lines;
}

/** What programs get to read about a configuration and its problems. */
export function problemObject(file: string, problems: readonly Problem[]): object {
  const errors = countErrors(problems);
  return { file, ok: errors === 0, errors, warnings: problems.length - errors, problems };
}

/** `1 route`, `2 routes`; empty for none. */
export function count(number: number, noun: string): string {
  return number === 0 ? '' : `${number} ${noun}${number === 1 ? '' : 's'}`;
}
