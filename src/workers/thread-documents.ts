/** A serving thread's own copies of documents that the main thread holds: the other end of `document-desk.ts`. */
import type { MessagePort } from 'node:worker_threads';
import type { DocumentSource, RemoteDocument } from '../contract.ts';
import type { DocumentHolder } from '../gateway/remote-documents.ts';
import type { Clock } from '../util/clock.ts';
import { Keep, type Lease, identityOf } from '../util/keep.ts';
import type { DocumentState, FromDesk, ToDesk } from './document-desk.ts';

/** The main thread keeps the time itself; this is for one that stands still. */
const graceMs = 1_000;

export class ThreadDocuments implements DocumentHolder {
  private readonly port: MessagePort;
  private readonly clock: Clock;
  private readonly keep = new Keep();
  private readonly open = new Map<number, PublishedDocument>();
  private lastId = 0;

  constructor(port: MessagePort, clock: Clock) {
    this.port = port;
    this.clock = clock;
    port.on('message', (message: FromDesk) => this.receive(message));
    port.unref();
  }

  lease(source: DocumentSource): Lease<RemoteDocument> {
    const make = (): PublishedDocument => {
      const id = ++this.lastId;
      const document = new PublishedDocument(id, source.timeoutMs + graceMs, this.clock, (message) =>
        this.port.postMessage(message),
      );
      this.open.set(id, document);
      this.port.postMessage({ kind: 'want', id, source } satisfies ToDesk);
      return document;
    };
    return this.keep.lease(identityOf(source), make, ({ id }) => {
      this.open.delete(id);
      this.port.postMessage({ kind: 'release', id } satisfies ToDesk);
    });
  }

  private receive(message: FromDesk): void {
    const document = this.open.get(message.id);
    if (message.kind === 'state') document?.become(message.state);
    else document?.onRefreshed(message.restMs);
  }
}

class PublishedDocument implements RemoteDocument {
  readonly id: number;
  private readonly patienceMs: number;
  private readonly clock: Clock;
  private readonly tell: (message: ToDesk) => void;
  private state: DocumentState = { text: null, version: 0, confirmedAt: 0, problem: '' };
  private refreshing: { readonly done: Promise<void>; readonly end: () => void } | null = null;
  /** The main thread would not ask anybody before. */
  private restUntil = -Infinity;

  /** @param patienceMs how long to wait for the main thread. */
  constructor(id: number, patienceMs: number, clock: Clock, tell: (message: ToDesk) => void) {
    this.id = id;
    this.patienceMs = patienceMs;
    this.clock = clock;
    this.tell = tell;
  }

  get text(): string | null {
    return this.state.text;
  }

  get version(): number {
    return this.state.version;
  }

  get confirmedAt(): number {
    return this.state.confirmedAt;
  }

  get problem(): string {
    return this.state.problem;
  }

  /** However many requests want it, the main thread is asked once. */
  refresh(): Promise<void> {
    if (this.refreshing !== null) return this.refreshing.done;
    if (this.clock.now() < this.restUntil) return Promise.resolve();
    const { promise: done, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(() => this.onRefreshed(0), this.patienceMs);
    const end = (): void => {
      clearTimeout(timer);
      resolve();
    };
    this.refreshing = { done, end };
    this.tell({ kind: 'refresh', id: this.id });
    return done;
  }

  become(state: DocumentState): void {
    this.state = state;
  }

  onRefreshed(restMs: number): void {
    this.restUntil = this.clock.now() + restMs;
    this.refreshing?.end();
    this.refreshing = null;
  }
}
