/**
 * `gatewright …` in this process: the whole command line, without the third of a second that a process of its own takes. How a
 * process ends, and what it does to its streams, is seen in one of its own: `Command.run`.
 */
import { runCommand } from '../../src/cli/commands.ts';
import type { CommandOptions } from './command.ts';

export interface CommandOutcome {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function runHere(
  args: readonly string[],
  { cwd = process.cwd(), env = {} }: Pick<CommandOptions, 'cwd' | 'env'> = {},
): Promise<CommandOutcome> {
  let [stdout, stderr] = ['', ''];
  const exitCode = await runCommand(args, {
    cwd,
    env,
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
  });
  return { exitCode, stdout, stderr };
}
