/** What every command has in common: where it reads and writes, and what its exit codes mean. */

/** Where a command reads and writes. */
export interface CommandIo {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  /** The working folder. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export const processIo: CommandIo = {
  stdout: process.stdout,
  stderr: process.stderr,
  cwd: process.cwd(),
  env: process.env,
};

/** Exit codes of every command (CONFIG, section 6). */
export const exitCodes = {
  fine: 0,
  /** The configuration, or a check, failed. */
  failed: 1,
  usage: 2,
  /** It could not listen, or not reach the admin API. */
  unreachable: 3,
} as const;
