/** The command line. Commands are loaded when they are called for: `run` should not wait for what it does not use. */
import { Command, CommanderError, Option } from 'commander';
import { exitCodes, processIo } from './cli-io.ts';

const format = new Option('--format <format>', 'how to print the result').choices(['text', 'json']).default('text');

const program = new Command('gatewright')
  .description('An API gateway: routes, authenticates, limits, balances, caches and observes the traffic of services.')
  .helpOption('-h, --help', 'show what a command does')
  .helpCommand(false)
  .exitOverride();

program
  .command('run')
  .argument('[file]', 'the configuration; by default gateway.yaml')
  .description('serve; SIGTERM and SIGINT finish what was begun, then exit')
  .action(async (file: string | undefined) => {
    const { runGateway } = await import('./run.ts');
    process.exitCode = await runGateway(file, processIo);
  });

program
  .command('check')
  .argument('[file]', 'the configuration; by default gateway.yaml')
  .addOption(format)
  .description('find every problem of a configuration at once')
  .action(async (file: string | undefined, options: { format: 'text' | 'json' }) => {
    const { runCheck } = await import('./check.ts');
    process.exitCode = await runCheck(file, options, processIo);
  });

program
  .command('schema')
  .description('print the JSON Schema of the configuration, for editors')
  .action(async () => {
    const { runSchema } = await import('./schema.ts');
    process.exitCode = runSchema(processIo);
  });

program
  .command('init')
  .description('write a commented gateway.yaml to begin with')
  .action(async () => {
    const { runInit } = await import('./init.ts');
    process.exitCode = runInit(processIo);
  });

/** Runs the command that the arguments name; the exit code of the process says how it went. */
export async function runCommand(): Promise<void> {
  try {
    await program.parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? exitCodes.fine : exitCodes.usage;
  }
}
