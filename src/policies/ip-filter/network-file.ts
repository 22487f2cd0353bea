/** Networks in a file, an address or a CIDR block a line, which is read again when it changes. */
import { readFile, stat } from 'node:fs/promises';
import type { ConsumerDirectory, PolicyEnv } from '../../contract.ts';
import { IpSet, IpSetBuilder } from '../../util/ip-set.ts';
import { Pace, type Steps } from '../../util/pace.ts';

/** How long a change may go unnoticed while requests come. */
const lookEveryMs = 1_000;
/** Whoever comes when nobody has looked for so long waits until somebody has. */
const staleAfterMs = 3_000;
/** But no longer than this: a disk that does not answer must not stop the traffic. */
const patienceMs = 1_000;
/** What changed longer ago than this is not being written any more. */
const settledAfterMs = 1_000;
const maxBytes = 64 * 1024 * 1024;
const mostNetworks = 1_000_000;
/** Of lines that are wrong. */
const mostProblems = 5;
const longestShown = 60;

type Env = Pick<PolicyEnv, 'now' | 'wallNow' | 'warn' | 'wait' | 'consumers'>;

/** Of each gateway, told apart by its consumers; held by the policies that use them. */
const shared = new WeakMap<ConsumerDirectory, Map<string, WeakRef<NetworkFile>>>();

/**
 * Looks at the file when somebody asks, so that nothing has to be ended. While it cannot be read, or has a line that is no
 * network, what was known before counts, and the log says why. All routes of a thread share what they have read.
 */
export class NetworkFile {
  networks: IpSet = IpSet.parse([]);
  private readonly path: string;
  private readonly env: Env;
  /** What `networks` was read from, and what was refused instead. */
  private loaded = '';
  private refused = '';
  private seen = '';
  /** What is wrong with it, as the log was told. */
  private problem = '';
  private lookedAtMs = -Infinity;
  private looking: Promise<void> | null = null;
  private waiting: Promise<void> | null = null;

  /** @throws {Error} when it cannot be used; the message says why, with the line. */
  static async open(path: string, env: Env): Promise<NetworkFile> {
    const known = shared.get(env.consumers) ?? new Map<string, WeakRef<NetworkFile>>();
    shared.set(env.consumers, known);
    for (const [other, file] of known) if (file.deref() === undefined) known.delete(other);
    const file = known.get(path)?.deref() ?? new NetworkFile(path, env);
    await file.readIfChanged();
    known.set(path, new WeakRef(file));
    return file;
  }

  private constructor(path: string, env: Env) {
    this.path = path;
    this.env = env;
  }

  /** @returns what to wait for before `networks` is as fresh as it should be; undefined for nothing. */
  look(): Promise<void> | undefined {
    const ageMs = this.env.now() - this.lookedAtMs;
    if (ageMs < lookEveryMs) return undefined;
    this.looking ??= this.lookAgain();
    this.waiting ??= Promise.race([this.looking, this.env.wait(patienceMs)]).then(() => {
      this.lookedAtMs = this.env.now();
      this.waiting = null;
    });
    return ageMs < staleAfterMs ? undefined : this.waiting;
  }

  private async lookAgain(): Promise<void> {
    try {
      const { identity, changedAt } = await identityOf(this.path);
      const isSettled = identity === this.seen || this.env.wallNow() - changedAt >= settledAfterMs;
      this.seen = identity;
      if (identity === this.loaded) this.problem = '';
      else if (isSettled && identity !== this.refused) await this.read(identity);
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      if (this.problem !== problem) this.env.warn(`the networks that were known before count: ${problem}`);
      this.problem = problem;
    }
    this.looking = null;
  }

  private async readIfChanged(): Promise<void> {
    const { identity } = await identityOf(this.path);
    if (identity !== this.loaded) await this.read(identity);
    this.lookedAtMs = this.env.now();
  }

  private async read(identity: string): Promise<void> {
    this.refused = identity;
    const bytes = await readFile(this.path);
    if (bytes.length > maxBytes) throw tooLarge(this.path);
    const pace = new Pace(() => this.env.now());
    this.networks = await pace.run(networksIn(bytes.toString('latin1'), this.path));
    this.loaded = identity;
    this.problem = '';
  }
}

async function identityOf(path: string): Promise<{ readonly identity: string; readonly changedAt: number }> {
  const stats = await stat(path);
  // A pipe would be waited for, and a device has no end.
  if (!stats.isFile()) throw new Error(`${path} is not a file`);
  const { dev, ino, size, mtimeMs } = stats;
  if (size > maxBytes) throw tooLarge(path);
  return { identity: `${dev}:${ino}:${size}:${mtimeMs}`, changedAt: mtimeMs };
}

function tooLarge(path: string): Error {
  return new Error(`${path} is larger than 64 MiB`);
}

/** @throws {Error} that names the lines that are wrong. */
function* networksIn(text: string, path: string): Steps<IpSet> {
  const builder = new IpSetBuilder();
  const problems: string[] = [];
  let [line, count] = [0, 0];
  // The mark of UTF-8 that some editors put in front, as latin1.
  for (let start = text.startsWith('\u00EF\u00BB\u00BF') ? 3 : 0; start < text.length;) {
    const newline = text.indexOf('\n', start);
    const end = newline === -1 ? text.length : newline;
    const network = withoutComment(text.substring(start, end));
    start = end + 1;
    if (++line % 512 === 0) yield;
    if (network === '') continue;
    if (++count > mostNetworks) throw new Error(`${path}:${line}: there are more than ${mostNetworks} networks`);
    const problem = addTo(builder, network);
    if (problem !== null && problems.push(`${path}:${line}: ${problem}`) >= mostProblems) break;
  }
  if (problems.length > 0) throw new Error(problems.join('; '));
  yield;
  return builder.build();
}

function withoutComment(line: string): string {
  const comment = line.search(/[#;]/);
  return (comment === -1 ? line : line.substring(0, comment)).trim();
}

function addTo(builder: IpSetBuilder, network: string): string | null {
  if (network.length > longestShown) return `not an IP address or CIDR block: ${network.length} characters`;
  try {
    builder.add(network);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}
