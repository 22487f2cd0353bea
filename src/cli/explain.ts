/** `gatewright explain METHOD URL`: what would become of a request, and why. Nothing is sent, unless with `--send`. */
import { hostOf, readUrl } from '../compile/explain/asked-exchange.ts';
import type { Explanation, LiveExplanation } from '../compile/explain/explanation.ts';
import { ExplainError, type ExplainRequest, explain } from '../compile/explain/explain.ts';
import { hiderOf } from '../compile/explain/hide-secrets.ts';
import { formatProblem, sortProblems } from '../config/problem.ts';
import { AdminUnreachable, adminRequest, standardAdminUrl, tokenVariable } from './admin-client.ts';
import { type CommandIo, exitCodes } from './cli-io.ts';
import { explanationText, liveText } from './explanation-text.ts';
import { NotExplained, debugSecretVariable, sendLive, whyNotSent } from './live-request.ts';
import { loadCommandConfig } from './load-config.ts';

export interface ExplainOptions {
  /** `name: value`, each. */
  readonly header: readonly string[];
  readonly listener?: string;
  /** The configuration; by default the one of the working folder. */
  readonly config?: string;
  /** Where the admin API of a gateway is that is to be asked instead. */
  readonly admin?: string;
  /** The environment variable with its token. */
  readonly tokenEnv?: string;
  /** Whether the request is really sent, to a gateway that serves. */
  readonly send?: boolean;
  /** Where that listens; by default where the URL leads. */
  readonly to?: string;
  /** The environment variable with its `telemetry.debug.secret`. */
  readonly secretEnv?: string;
  readonly format: 'text' | 'json';
}

/** What the command says instead of an explanation. */
interface Refusal {
  readonly exitCode: number;
  /** One line. */
  readonly message: string;
}

/**
 * Explains on standard output: by a configuration, by what a gateway runs with, or by what it has done with the request.
 * @returns the exit code: 0 also for a request that is refused, since that is what was asked; 1 when the configuration
 * has an error, 2 for a request that cannot be, 3 when the gateway cannot be reached or does not explain.
 */
export async function runExplain(method: string, url: string, options: ExplainOptions, io: CommandIo): Promise<number> {
  const result = await ask(method, url, options, io);
  if (typeof result === 'number') return result;
  if ('exitCode' in result) {
    io.stderr.write(`${result.message}\n`);
    return result.exitCode;
  }
  const toText = (): string => ('timings' in result ? liveText(result) : explanationText(result));
  io.stdout.write(options.format === 'json' ? `${JSON.stringify(result, null, 2)}\n` : toText());
  return exitCodes.fine;
}

/** @returns an exit code alone when everything has been said. */
async function ask(
  method: string,
  url: string,
  options: ExplainOptions,
  io: CommandIo,
): Promise<Explanation | LiveExplanation | Refusal | number> {
  if (options.send !== true && (options.to !== undefined || options.secretEnv !== undefined)) {
    return usage('--to and --secret-env are for a request that is sent: add --send');
  }
  if (options.admin !== undefined && options.config !== undefined) {
    return usage(`--config and --admin are two places to ask: a file, or a gateway such as ${standardAdminUrl}`);
  }
  const headers: [name: string, value: string][] = [];
  for (const line of options.header) {
    const colon = line.indexOf(':');
    // The line is not repeated: it may be a credential.
    if (colon < 1) return usage("a header is written as -H 'name: value'");
    headers.push([line.substring(0, colon), line.substring(colon + 1).trim()]);
  }
  if (options.send === true) return askLive(method, url, headers, options, io);
  const { listener } = options;
  const request: ExplainRequest = { method, url, headers, ...(listener !== undefined && { listener }) };
  return options.admin === undefined ? askFile(request, options, io) : askAdmin(options.admin, request, options, io);
}

const usage = (message: string): Refusal => ({ exitCode: exitCodes.usage, message });

async function askFile(
  request: ExplainRequest,
  options: ExplainOptions,
  io: CommandIo,
): Promise<Explanation | Refusal | number> {
  const loaded = await loadCommandConfig(options.config, io);
  if (loaded === null) return exitCodes.usage;
  const problems = sortProblems([...loaded.problems, ...(await loaded.analyse())]);
  const errors = problems.filter(({ severity }) => severity === 'error');
  if (loaded.config === null || errors.length > 0) {
    for (const problem of errors) io.stderr.write(`${formatProblem(problem)}\n`);
    return { exitCode: exitCodes.failed, message: `${loaded.file} cannot be served, so there is nothing to explain` };
  }
  const { policies, secrets } = loaded;
  try {
    return explain(loaded.config, request, {
      // Code of the user is not run in this process, so what it says of itself is not known.
      definitionOf: ({ name, module }) => (module === null ? policies.get(name) : undefined),
      hide: hiderOf(secrets),
    });
  } catch (error) {
    if (error instanceof ExplainError) return usage(error.message);
    throw error;
  }
}

/** Header names with their values: what the admin API takes. */
function byName(headers: readonly (readonly [name: string, value: string])[]): Record<string, string[]> {
  const lists = new Map<string, string[]>();
  for (const [name, value] of headers) {
    const list = lists.get(name);
    if (list === undefined) lists.set(name, [value]);
    else list.push(value);
  }
  return Object.fromEntries(lists);
}

/** Sends the request, and says what the gateway says of it. */
async function askLive(
  method: string,
  url: string,
  headers: readonly (readonly [name: string, value: string])[],
  { to, secretEnv = debugSecretVariable, config, admin, listener }: ExplainOptions,
  io: CommandIo,
): Promise<LiveExplanation | Refusal> {
  if ((config ?? admin ?? listener) !== undefined) {
    return usage('--send asks the gateway that gets the request: --config, --admin and --listener are not for it');
  }
  const secret = io.env[secretEnv];
  if (!secret) return usage(`set ${secretEnv} to the telemetry.debug.secret of the gateway`);
  try {
    const { scheme, authority, target } = readUrl(url, method);
    if (to === undefined && authority === '') {
      return usage('a path alone does not say where to send it: add --to http://127.0.0.1:8080');
    }
    const place = URL.parse(to ?? `${scheme}://${authority}`);
    if (place === null || !/^https?:$/.test(place.protocol) || place.pathname !== '/' || place.username !== '') {
      return usage('--to is where the gateway listens: scheme, host and port, such as http://127.0.0.1:8080');
    }
    const host = hostOf(headers) ?? (authority === '' ? place.host : authority);
    const others = headers.filter(([name]) => name.toLowerCase() !== 'host');
    const request = { method, target, host, headers: others, to: place, secret };
    const reason = whyNotSent(request);
    if (reason !== null) return usage(reason);
    return await sendLive(request);
  } catch (error) {
    if (error instanceof ExplainError) return usage(error.message);
    if (error instanceof NotExplained) return { exitCode: exitCodes.unreachable, message: error.message };
    throw error;
  }
}

async function askAdmin(
  admin: string,
  request: ExplainRequest,
  options: ExplainOptions,
  io: CommandIo,
): Promise<Explanation | Refusal> {
  const { headers, ...others } = request;
  const body = JSON.stringify({ ...others, headers: byName(headers as [string, string][]) });
  const token = io.env[options.tokenEnv ?? tokenVariable];
  try {
    const { status, json } = await adminRequest(admin, { method: 'POST', path: '/api/v1/explain', body, token });
    if (status === 200) return json as Explanation;
    return {
      exitCode: status === 400 || status === 422 ? exitCodes.usage : exitCodes.unreachable,
      message: reasonOf(status, json),
    };
  } catch (error) {
    if (!(error instanceof AdminUnreachable)) throw error;
    return { exitCode: exitCodes.unreachable, message: error.message };
  }
}

/** From problem details (RFC 9457). */
function reasonOf(status: number, json: unknown): string {
  const { title, detail } = (typeof json === 'object' && json !== null ? json : {}) as Record<string, unknown>;
  const said = [title, detail].filter((text): text is string => typeof text === 'string').join(': ');
  return `the admin API answers ${status}${said === '' ? '' : `: ${said}`}`;
}
