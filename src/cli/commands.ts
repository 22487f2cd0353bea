/** The command line. Commands are loaded when they are called for: `run` should not wait for what it does not use. */
import { Command, CommanderError, Option } from 'commander';
import type { AddBanOptions, BansOptions } from './bans.ts';
import { type CommandIo, exitCodes } from './cli-io.ts';
import type { ExplainOptions } from './explain.ts';
import type { LimitsTestOptions } from './limits-test.ts';
import type { NewKeyOptions } from './new-key.ts';
import type { PlanOptions } from './plan.ts';
import { version } from './version.ts';

const format = new Option('--format <format>', 'how to print the result').choices(['text', 'json']).default('text');

const limitsFormat = new Option('--format <format>', 'how to print the result')
  .choices(['text', 'json', 'markdown'])
  .default('text');

const adminUrl = new Option('--admin <url>', 'where the admin API is (default: http://127.0.0.1:9901)');

/** What is wrong, what was probably meant, and where to look. */
function toOneLine(text: string): string {
  const line = text
    .trim()
    .replaceAll(/\s*\n\s*/g, ' ')
    .replace(/\.$/, '');
  return `${line}. Try: gatewright --help\n`;
}

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];

/** Does what a command is for, and keeps its exit code. */
type Perform = (command: (io: CommandIo) => Promise<number> | number) => Promise<void>;

function addRun(program: Command, perform: Perform): void {
  program
    .command('run')
    .argument('[file]', 'the configuration; by default gateway.yaml')
    .option('--last-good <path>', 'keep the last good configuration there, and start with it when the file is broken')
    .description(
      'serve; reload when the file changes or on SIGHUP; finish what was begun on SIGTERM or SIGINT, then exit',
    )
    .action((file: string | undefined, options: { lastGood?: string }) =>
      perform(async (io) => {
        const { spareThread } = await import('../workers/serving-thread.ts');
        const spare = spareThread();
        const { runGateway } = await import('./run.ts');
        return runGateway(file, options, io, spare);
      }),
    );
}

function addChecks(program: Command, perform: Perform): void {
  program
    .command('check')
    .argument('[file]', 'the configuration; by default gateway.yaml')
    .addOption(format)
    .description('find every problem of a configuration at once')
    .action((file: string | undefined, options: { format: 'text' | 'json' }) =>
      perform(async (io) => {
        const { runCheck } = await import('./check.ts');
        return runCheck(file, options, io);
      }),
    );

  program
    .command('plan')
    .argument('<new>', 'the new configuration')
    .option('--against <old>', 'the configuration to compare it with')
    .option('--admin <url>', 'the admin port of a running gateway to compare it with; token in GATEWRIGHT_ADMIN_TOKEN')
    .option('--fail-on <kinds>', 'end with 1 if there are such changes: auth-removed,route-removed,security')
    .addOption(format)
    .description('show what a new configuration would change, the most important first')
    .action((file: string, options: PlanOptions) =>
      perform(async (io) => {
        const { runPlan } = await import('./plan.ts');
        return runPlan(file, options, io);
      }),
    );

  program
    .command('test')
    .argument('[files...]', 'tests, or folders with tests; by default the working folder and all below')
    .addOption(format)
    .description('try requests on a configuration, with fake upstreams and a fake clock')
    .action((files: readonly string[], options: { format: 'text' | 'json' }) =>
      perform(async (io) => {
        const { runTests } = await import('./test.ts');
        return runTests(files, options, io);
      }),
    );
}

function addExplain(program: Command, perform: Perform): void {
  program
    .command('explain')
    .argument('<method>', 'the method of the request')
    .argument('<url>', 'http://host/path?query, or a path')
    .option('-H, --header <line>', "a header as 'name: value'; may be repeated", collect, [])
    .option('--listener <name>', 'the listener that the request comes in on')
    .option('--config <file>', 'the configuration; by default gateway.yaml')
    .option('--admin <url>', 'ask the admin API of a gateway that runs')
    .option('--token-env <name>', 'the environment variable with its token (default: GATEWRIGHT_ADMIN_TOKEN)')
    .option('--send', 'really send it, signed, and show what the gateway says of it (telemetry.debug)')
    .option('--to <url>', 'where the gateway listens; by default where the URL leads')
    .option('--secret-env <name>', 'the environment variable with the secret (default: GATEWRIGHT_DEBUG_SECRET)')
    .addOption(format)
    .description('say which route a request gets and why, and what would be done with it')
    .action((method: string, url: string, options: ExplainOptions) =>
      perform(async (io) => {
        const { runExplain } = await import('./explain.ts');
        return runExplain(method, url, options, io);
      }),
    );
}

function addLimitsTest(program: Command, perform: Perform): void {
  program
    .command('limits-test')
    .argument('<urls...>', 'where to send requests; several when gateways share one limit')
    .requiredOption('--rate <rate>', 'what the limit is said to be, such as 100/1s')
    .option('--burst <n>', 'how many may come at once besides the one that is due (default: the limit, less one)')
    .option('--algorithm <name>', 'gcra, sliding-window or fixed-window', 'gcra')
    .option('--clients <n>', 'threads that send', '4')
    .option('--connections <n>', 'connections of all of them together', '64')
    .option('--duration <time>', 'for how long', '20s')
    .option('--load <times>', 'how many times as many requests as the limit allows, such as 10x', '10x')
    .option('-H, --header <line>', "a header as 'name: value'; may be repeated", collect, [])
    .option('--method <method>', 'the method of the requests', 'GET')
    .option('--by-header <name>', 'a header whose value says who is counted: send many')
    .option('--keys <n>', 'how many different values of it')
    .option('--refused <statuses>', 'statuses of a refusal', '429,503')
    .option('--timeout <time>', 'when an answer is no longer waited for', '10s')
    .option('--stall <time>', 'an answer that takes longer is a failure', '2s')
    .option('--waits <n>', 'how many times a client waits as it is told and comes again', '3')
    .option('--longest-wait <time>', 'the longest that it waits each time', '10s')
    .option('--insecure', 'do not verify the certificate of the gateway')
    .option('--same-clock', 'make no allowance for the clock of the gateway: it runs on this machine, and precisely')
    .option('--json', 'the same as --format json')
    .addOption(limitsFormat)
    .description('measure how a gateway keeps a rate limit, this one or any other')
    .action((urls: readonly string[], options: LimitsTestOptions) =>
      perform(async (io) => {
        const { runLimitsTest } = await import('./limits-test.ts');
        return runLimitsTest(urls, options, io);
      }),
    );
}

function addFirstSteps(program: Command, perform: Perform): void {
  program
    .command('schema')
    .description('print the JSON Schema of the configuration, for editors')
    .action(() =>
      perform(async (io) => {
        const { runSchema } = await import('./schema.ts');
        return runSchema(io);
      }),
    );

  program
    .command('init')
    .description('write a commented gateway.yaml to begin with')
    .action(() =>
      perform(async (io) => {
        const { runInit } = await import('./init.ts');
        return runInit(io);
      }),
    );
}

function addAdministration(program: Command, perform: Perform): void {
  program
    .command('keys')
    .description('make keys of consumers')
    .helpCommand(false)
    .command('new')
    .argument('<consumer>', 'whose key it is')
    .option('--label <text>', 'what the key is for')
    .option('--expires <day>', 'the last day on which it is accepted, such as 2027-12-31')
    .option('--admin <url>', 'have a gateway that runs keep its hash; token in GATEWRIGHT_ADMIN_TOKEN')
    .addOption(format)
    .description('print a new API key once, and the hash that goes into the configuration')
    .action((consumer: string, options: NewKeyOptions) =>
      perform(async (io) => {
        const { runNewKey } = await import('./new-key.ts');
        return runNewKey(consumer, options, io);
      }),
    );

  program
    .command('status')
    .option('--admin <url>', 'where the admin API is (default: http://127.0.0.1:9901)')
    .addOption(format)
    .description('show how a running gateway is; its token is taken from GATEWRIGHT_ADMIN_TOKEN')
    .action((options: { admin?: string; format: 'text' | 'json' }) =>
      perform(async (io) => {
        const { runStatus } = await import('./status.ts');
        return runStatus(options, io);
      }),
    );
}

function addBans(program: Command, perform: Perform): void {
  const bans = program
    .command('bans')
    .description('show and change whom a running gateway turns away; its token is taken from GATEWRIGHT_ADMIN_TOKEN')
    .helpCommand(false);

  bans
    .command('list')
    .argument('[address]', 'only what holds for this address')
    .addOption(adminUrl)
    .addOption(format)
    .description('show who is banned, until when and why')
    .action((address: string | undefined, options: BansOptions) =>
      perform(async (io) => {
        const { listBans } = await import('./bans.ts');
        return listBans(address, options, io);
      }),
    );

  bans
    .command('add')
    .argument('<network>', 'an address, or a CIDR block')
    .requiredOption('--for <duration>', 'for how long, such as 1h')
    .option('--reason <text>', 'why, for those who read the list')
    .addOption(adminUrl)
    .addOption(format)
    .description('ban a client or a network')
    .action((network: string, options: AddBanOptions) =>
      perform(async (io) => {
        const { addBan } = await import('./bans.ts');
        return addBan(network, options, io);
      }),
    );

  bans
    .command('remove')
    .argument('<network>', 'an address, or a CIDR block, as the list shows it')
    .addOption(adminUrl)
    .addOption(format)
    .description('lift a ban')
    .action((network: string, options: BansOptions) =>
      perform(async (io) => {
        const { removeBan } = await import('./bans.ts');
        return removeBan(network, options, io);
      }),
    );
}

/** @returns the exit code of the command that the arguments name, which follow that of the program itself. */
export async function runCommand(args: readonly string[], io: CommandIo): Promise<number> {
  let exitCode: number = exitCodes.fine;
  const program = new Command('gatewright')
    .description('An API gateway: one entry point in front of a set of services.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show what a command does')
    .helpCommand(false)
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: (text, write) => write(toOneLine(text)),
    })
    .exitOverride();
  for (const add of [addRun, addChecks, addExplain, addLimitsTest, addFirstSteps, addAdministration, addBans]) {
    add(program, async (command) => {
      exitCode = await command(io);
    });
  }
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? exitCodes.fine : exitCodes.usage;
  }
  return exitCode;
}
