/** `gatewright explain METHOD URL`: what would become of a request, and why. Nothing is sent. */
import type { Explanation } from '../compile/explain/explanation.ts';
import { ExplainError, type ExplainRequest, explain } from '../compile/explain/explain.ts';
import { formatProblem, sortProblems } from '../config/problem.ts';
import { builtinPolicies } from '../policies/index.ts';
import { AdminUnreachable, adminRequest, standardAdminUrl, tokenVariable } from './admin-client.ts';
import { type CommandIo, exitCodes } from './cli-io.ts';
import { explanationText } from './explanation-text.ts';
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
  readonly format: 'text' | 'json';
}

/** What the command says instead of an explanation. */
interface Refusal {
  readonly exitCode: number;
  /** One line. */
  readonly message: string;
}

/**
 * Explains on standard output, by a configuration or by what a gateway runs with.
 * @returns the exit code: 0 also for a request that is refused, since that is what was asked; 1 when the configuration
 * has an error, 2 for a request that cannot be, 3 when the admin API cannot be reached.
 */
export async function runExplain(method: string, url: string, options: ExplainOptions, io: CommandIo): Promise<number> {
  const result = await ask(method, url, options, io);
  if (typeof result === 'number') return result;
  if ('exitCode' in result) {
    io.stderr.write(`${result.message}\n`);
    return result.exitCode;
  }
  io.stdout.write(options.format === 'json' ? `${JSON.stringify(result, null, 2)}\n` : explanationText(result));
  return exitCodes.fine;
}

/** @returns an exit code alone when everything has been said. */
async function ask(
  method: string,
  url: string,
  options: ExplainOptions,
  io: CommandIo,
): Promise<Explanation | Refusal | number> {
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
  const builtin = new Map(builtinPolicies.map((policy) => [policy.name, policy]));
  const { secrets } = loaded;
  try {
    return explain(loaded.config, request, {
      // Code of the user is not run in this process, so what it says of itself is not known.
      definitionOf: ({ name, module }) => (module === null ? builtin.get(name) : undefined),
      hide: (text) =>
        secrets.reduce((shown, secret) => (secret === '' ? shown : shown.replaceAll(secret, '***')), text),
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
