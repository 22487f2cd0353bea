/**
 * Documents that others publish, held ready: fetched when somebody first wants them, again before they get old, and kept
 * through outages. Whoever asks for the same one shares it.
 */
import type { DocumentSource, RemoteDocument } from '../contract.ts';
import { Keep, type Lease, identityOf } from '../util/keep.ts';
import { Timer, TimerWheel } from '../wire/timer-wheel.ts';
import { fetchDocument, type FetchEnv } from './fetch-document.ts';

/** Who has documents to give. */
export interface DocumentHolder {
  /** A share in a document: the last who lets go of it ends its being fetched. */
  lease(source: DocumentSource): Lease<RemoteDocument>;
}

export interface RemoteDocumentsEnv extends FetchEnv {
  /** Lines in the application log. */
  info(message: string, about: Readonly<Record<string, string>>): void;
  warn(message: string, about: Readonly<Record<string, string>>): void;
}

/** Where a configuration is only tried: nobody is asked for anything, and all documents are still to come. */
export const nothingFetched: DocumentHolder = {
  lease: () => ({
    value: { text: null, version: 0, confirmedAt: 0, problem: '', refresh: () => Promise.resolve() },
    release() {},
  }),
};

/** Of its time-to-live, after which it is fetched again: the rest is for attempts that fail. */
const freshPart = 0.8;
/** Whatever an answer says of its own lifetime, and whatever the cooldown is. */
const shortestRestMs = 1_000;
const longestBackoffMs = 300_000;
/** Documents live for minutes: half a second more or less does not matter, and an idle thread should sleep. */
const tickMs = 250;

export class RemoteDocuments implements DocumentHolder {
  private readonly env: RemoteDocumentsEnv;
  private readonly wheel: TimerWheel;
  private readonly keep = new Keep();
  private readonly open = new Set<FetchedDocument>();

  constructor(env: RemoteDocumentsEnv) {
    this.env = env;
    this.wheel = new TimerWheel(env.clock, tickMs);
  }

  lease(source: DocumentSource): Lease<FetchedDocument> {
    const make = (): FetchedDocument => {
      const document = new FetchedDocument(source, this.env, this.wheel);
      this.open.add(document);
      void document.refresh();
      return document;
    };
    return this.keep.lease(identityOf(source), make, (document) => {
      this.open.delete(document);
      document.close();
    });
  }

  /** Nothing is fetched any longer, whoever still has a share. */
  close(): void {
    for (const document of this.open) document.close();
    this.open.clear();
  }
}

export class FetchedDocument implements RemoteDocument {
  text: string | null = null;
  version = 0;
  confirmedAt = 0;
  problem = '';
  /** Told of every attempt that has ended. */
  readonly watchers = new Set<() => void>();
  private readonly source: DocumentSource;
  private readonly env: RemoteDocumentsEnv;
  private readonly wheel: TimerWheel;
  private readonly timer = new Timer(() => void this.refresh());
  private fetching: Promise<void> | null = null;
  private begunAt = -Infinity;
  /** In a row. */
  private failures = 0;
  private closed = false;

  constructor(source: DocumentSource, env: RemoteDocumentsEnv, wheel: TimerWheel) {
    this.source = source;
    this.env = env;
    this.wheel = wheel;
  }

  /** For how long yet nothing would come of asking for a fresh one; 0 while one is being fetched. */
  get restMs(): number {
    if (this.closed) return Infinity;
    if (this.fetching !== null) return 0;
    return Math.max(0, this.begunAt + this.source.cooldownMs - this.env.clock.now());
  }

  refresh(): Promise<void> {
    if (this.fetching !== null) return this.fetching;
    if (this.restMs > 0) return Promise.resolve();
    this.begunAt = this.env.clock.now();
    this.timer.disarm();
    this.fetching = this.attempt();
    return this.fetching;
  }

  close(): void {
    this.closed = true;
    this.timer.disarm();
    this.watchers.clear();
  }

  private async attempt(): Promise<void> {
    let nextMs: number;
    try {
      const { text, lifetimeMs } = await fetchDocument(this.source, this.env);
      nextMs = Math.min(this.source.refreshMs, lifetimeMs * freshPart);
      this.confirm(text);
    } catch (error) {
      this.fail(error instanceof Error ? error.message : String(error));
      nextMs = Math.min(longestBackoffMs, this.leastRestMs * 2 ** Math.min(this.failures - 1, 20));
    }
    this.fetching = null;
    if (this.closed) return;
    // One that has failed for long is not asked more seldom than one that answers.
    const leastMs = this.leastRestMs;
    this.wheel.arm(this.timer, Math.max(leastMs, Math.min(nextMs, Math.max(this.source.refreshMs, leastMs))));
    for (const watch of this.watchers) watch();
  }

  private get leastRestMs(): number {
    return Math.max(shortestRestMs, this.source.cooldownMs);
  }

  private confirm(text: string): void {
    if (text !== this.text) {
      this.text = text;
      this.version++;
    }
    this.confirmedAt = this.env.clock.wallNow();
    this.failures = 0;
    if (this.problem !== '' && !this.closed) {
      this.env.info('a document can be fetched again', { url: this.shownUrl });
    }
    this.problem = '';
  }

  /** The same problem is told once, however long it lasts. */
  private fail(problem: string): void {
    this.failures++;
    if (problem !== this.problem && !this.closed) {
      const consequence = this.text === null ? 'whoever needs it has to wait' : 'the last one stays in use';
      this.env.warn('a document cannot be fetched', { url: this.shownUrl, problem, consequence });
    }
    this.problem = problem;
  }

  /** A query may have a secret in it. */
  private get shownUrl(): string {
    return this.source.url.replace(/\?.*/s, '');
  }
}
