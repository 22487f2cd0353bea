/** Verifies passwords, away from the event loop that serves: a hash that is good takes a tenth of a second. */
import crypto from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { type PasswordHash, parsePasswordHash } from '../../util/password-hash.ts';
import type { BasicCredentials } from './basic-credentials.ts';
import type { BcryptQuestion } from './password-thread.ts';

/** Those that wait beyond it are answered at once: nobody waits for more. */
const mostQueued = 64;
/** One client cannot take all the places. */
const mostOfClient = 16;

interface Job {
  readonly clientIp: string;
  readonly run: () => Promise<boolean>;
  readonly resolve: (isRight: boolean) => void;
  readonly reject: (error: Error) => void;
}

export class PasswordVerifier {
  private readonly queue: Job[] = [];
  private running: Job | null = null;
  /** Clients with many connections begin with the same password on all of them. */
  private readonly underWay = new Map<string, Promise<boolean>>();
  private worker: Worker | null = null;

  /**
   * Whether it is the password. One after another; what is cheap at once.
   * @param hash one that can be verified: see `parsePasswordHash`.
   * @returns Null when too many others wait. Rejects when it could not be found out.
   */
  verify({ user, password }: BasicCredentials, hash: string, clientIp: string): Promise<boolean> | null {
    const parsed = parsePasswordHash(hash);
    if (parsed === null) return Promise.reject(new Error('a hash that cannot be verified'));
    if (parsed.kind === 'sha1') return Promise.resolve(isSha1Of(password, parsed.digest));
    // With the user in it: what others wait for must not tell that two users have one hash, as those have who are not there.
    const key = `${user}:${hash}:${password}`;
    const same = this.underWay.get(key);
    if (same !== undefined) return same;
    const own = this.queue.reduce((count, job) => count + Number(job.clientIp === clientIp), 0);
    if (this.queue.length >= mostQueued || own >= mostOfClient) return null;
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const run = (): Promise<boolean> =>
      parsed.kind === 'argon2id' ? isArgon2Of(password, parsed) : this.askThread({ password, hash });
    this.queue.push({ clientIp, run, resolve, reject });
    this.underWay.set(key, promise);
    const forget = (): void => void this.underWay.delete(key);
    promise.then(forget, forget);
    this.next();
    return promise;
  }

  private next(): void {
    if (this.running !== null) return;
    const job = this.queue.shift();
    if (job === undefined) return;
    this.running = job;
    job
      .run()
      .then(job.resolve, job.reject)
      .finally(() => {
        this.running = null;
        this.next();
      });
  }

  private askThread(question: BcryptQuestion): Promise<boolean> {
    const worker = (this.worker ??= startThread());
    return new Promise((resolve, reject) => {
      const settle = (settled: () => void): void => {
        worker.off('message', onMessage).off('error', onEnd).off('exit', onEnd);
        settled();
      };
      const onMessage = (isRight: unknown): void => settle(() => resolve(isRight === true));
      const onEnd = (): void => {
        this.worker = null;
        settle(() => reject(new Error('the thread that verifies passwords has ended')));
      };
      worker.on('message', onMessage).on('error', onEnd).on('exit', onEnd);
      worker.postMessage(question);
    });
  }
}

function startThread(): Worker {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const worker = new Worker(new URL(`./password-thread.${extension}`, import.meta.url), { name: 'passwords' });
  worker.unref();
  return worker;
}

function isSha1Of(password: string, digest: Buffer): boolean {
  return crypto.timingSafeEqual(crypto.hash('sha1', password, 'buffer'), digest);
}

type Argon2Hash = Extract<PasswordHash, { readonly kind: 'argon2id' }>;

function isArgon2Of(password: string, { memoryKiB, passes, lanes, salt, tag }: Argon2Hash): Promise<boolean> {
  const parameters = {
    message: password,
    nonce: salt,
    parallelism: lanes,
    tagLength: tag.length,
    memory: memoryKiB,
    passes,
  };
  return new Promise((resolve, reject) => {
    crypto.argon2('argon2id', parameters, (error, made) => {
      if (error === null) resolve(crypto.timingSafeEqual(made, tag));
      else reject(error);
    });
  });
}
