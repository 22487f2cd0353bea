/** Users and hashes of their passwords in a file of Apache's form, a line each, which is read again when it changes. */
import { readFile, stat } from 'node:fs/promises';
import type { MaybePromise, PolicyEnv } from '../../contract.ts';
import { passwordHashProblem } from '../../util/password-hash.ts';

/** By name. */
export type HtpasswdUsers = ReadonlyMap<string, string>;

/** How long a change may go unnoticed by requests that come. */
const lookEveryMs = 1_000;
/** What changed longer ago than this is not being written any more. */
const settledAfterMs = 1_000;
const maxBytes = 16 * 1024 * 1024;

type Env = Pick<PolicyEnv, 'now' | 'wallNow' | 'warn'>;

/**
 * Looks at the file when somebody asks for its users, once a second at most, so that nothing has to be ended. While it
 * cannot be read, or has a line that could let nobody in, what was known before counts, and the log says why.
 */
export class HtpasswdFile {
  private readonly path: string;
  private readonly env: Env;
  private users: HtpasswdUsers;
  /** Of what was read, or refused, last. */
  private known: string;
  private seen: string;
  private lookedAt: number;
  private looking: Promise<HtpasswdUsers> | null = null;

  /** @throws {Error} when it cannot be used; the message says why and shows nothing of what is in it. */
  static async open(path: string, env: Env): Promise<HtpasswdFile> {
    const { identity } = await look(path);
    return new HtpasswdFile(path, env, identity, parseHtpasswd(await readFile(path, 'utf8'), path));
  }

  private constructor(path: string, env: Env, identity: string, users: HtpasswdUsers) {
    this.path = path;
    this.env = env;
    this.users = users;
    this.known = identity;
    this.seen = identity;
    this.lookedAt = env.now();
  }

  /** A promise when it is time for a look. */
  current(): MaybePromise<HtpasswdUsers> {
    if (this.looking !== null) return this.looking;
    if (this.env.now() - this.lookedAt < lookEveryMs) return this.users;
    this.looking = this.lookAgain().finally(() => {
      this.lookedAt = this.env.now();
      this.looking = null;
    });
    return this.looking;
  }

  private async lookAgain(): Promise<HtpasswdUsers> {
    try {
      const { identity, changedAt } = await look(this.path);
      const isSettled = identity === this.seen || this.env.wallNow() - changedAt >= settledAfterMs;
      this.seen = identity;
      if (identity === this.known || !isSettled) return this.users;
      this.known = identity;
      this.users = parseHtpasswd(await readFile(this.path, 'utf8'), this.path);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      // Told once for each thing that is wrong with it.
      if (this.seen !== reason) this.env.warn(`the users that were known before count: ${reason}`);
      this.seen = reason;
    }
    return this.users;
  }
}

async function look(path: string): Promise<{ readonly identity: string; readonly changedAt: number }> {
  const { dev, ino, size, mtimeMs } = await stat(path);
  if (size > maxBytes) throw new Error(`${path} is larger than 16 MiB`);
  return { identity: `${dev}:${ino}:${size}:${mtimeMs}`, changedAt: mtimeMs };
}

/** @throws {Error} that names the line, and nothing of it: it may have a password in it. */
function parseHtpasswd(text: string, path: string): HtpasswdUsers {
  const users = new Map<string, string>();
  for (const [index, line] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const refuse = (why: string): never => {
      throw new Error(`${path}: line ${index + 1}: ${why}`);
    };
    const colon = line.indexOf(':');
    if (colon < 1) refuse('write a user, a colon and the hash of the password');
    const user = line.slice(0, colon);
    const hash = line.slice(colon + 1).trimEnd();
    const problem = passwordHashProblem(hash);
    if (problem !== null) refuse(problem);
    if (user.length > 256) refuse('a user has a name of 256 characters at most');
    if (users.has(user)) refuse('the same user is in a line before');
    users.set(user, hash);
  }
  return users;
}
