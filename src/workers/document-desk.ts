/**
 * Where serving threads get documents that others publish: the main thread fetches each once for all of them. The other
 * end is `thread-documents.ts`.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { CallRequest, CallResponse, DocumentSource } from '../contract.ts';
import type { GatewayLog } from '../gateway/gateway.ts';
import { type FetchedDocument, RemoteDocuments } from '../gateway/remote-documents.ts';
import type { Clock } from '../util/clock.ts';
import type { Lease } from '../util/keep.ts';
import { Timer, TimerWheel } from '../wire/timer-wheel.ts';

/** How a document is, on its way to a thread. */
export interface DocumentState {
  readonly text: string | null;
  readonly version: number;
  readonly confirmedAt: number;
  readonly problem: string;
}

/** What a thread says; `id` is its own name for a document. */
export type ToDesk =
  | { readonly kind: 'want'; readonly id: number; readonly source: DocumentSource }
  | { readonly kind: 'refresh'; readonly id: number }
  | { readonly kind: 'release'; readonly id: number };

export type FromDesk =
  | { readonly kind: 'state'; readonly id: number; readonly state: DocumentState }
  /** What was to be refreshed is as fresh as it gets for so long; the state has come before. */
  | { readonly kind: 'refreshed'; readonly id: number; readonly restMs: number };

export interface DocumentDeskEnv {
  readonly clock: Clock;
  readonly log: GatewayLog;
  /** See `PolicyEnv.call`; made when the first document is wanted. */
  readonly caller?: () => Promise<DocumentCaller>;
}

export interface DocumentCaller {
  call(request: CallRequest): Promise<CallResponse>;
  close(): void;
}

/** A document that the only thread with a use for it had does not get lost with that thread. */
const lingerMs = 60_000;

export class DocumentDesk {
  private readonly documents: RemoteDocuments;
  private readonly wheel: TimerWheel;
  private readonly clerks = new Set<Clerk>();
  private caller: Promise<DocumentCaller> | null = null;
  private closed = false;

  constructor(env: DocumentDeskEnv) {
    this.documents = new RemoteDocuments({
      clock: env.clock,
      info: (message, about) => env.log.info(message, about),
      warn: (message, about) => env.log.warn(message, about),
      call: async (request) => {
        if (this.closed) throw new Error('the gateway stops');
        this.caller ??= env.caller?.() ?? createCaller(env);
        return (await this.caller).call(request);
      },
    });
    this.wheel = new TimerWheel(env.clock, 1_000);
  }

  /** A way to the desk, for a thread. What it wants is let go when the thread ends. */
  connect(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    const clerk = new Clerk(port1, this.documents, (lease) => this.letGo(lease));
    this.clerks.add(clerk);
    port1.on('close', () => {
      clerk.close();
      this.clerks.delete(clerk);
    });
    return port2;
  }

  close(): void {
    this.closed = true;
    for (const clerk of this.clerks) clerk.close();
    this.clerks.clear();
    this.documents.close();
    void this.caller?.then((caller) => caller.close());
  }

  private letGo(lease: Lease<unknown>): void {
    if (this.closed) lease.release();
    else this.wheel.arm(new Timer(() => lease.release()), lingerMs);
  }
}

/** Serves one thread. */
class Clerk {
  private readonly port: MessagePort;
  private readonly documents: RemoteDocuments;
  private readonly letGo: (lease: Lease<unknown>) => void;
  private readonly held = new Map<number, { readonly lease: Lease<FetchedDocument>; readonly tell: () => void }>();

  constructor(port: MessagePort, documents: RemoteDocuments, letGo: (lease: Lease<unknown>) => void) {
    this.port = port;
    this.documents = documents;
    this.letGo = letGo;
    port.on('message', (message: ToDesk) => this.receive(message));
    port.unref();
  }

  close(): void {
    for (const id of this.held.keys()) this.release(id);
    this.port.close();
  }

  private receive(message: ToDesk): void {
    switch (message.kind) {
      case 'want':
        this.want(message.id, message.source);
        return;
      case 'refresh':
        void this.refresh(message.id);
        return;
      case 'release':
        this.release(message.id);
    }
  }

  private want(id: number, source: DocumentSource): void {
    const lease = this.documents.lease(source);
    const { value: document } = lease;
    const tell = (): void => {
      const { text, version, confirmedAt, problem } = document;
      this.tell({ kind: 'state', id, state: { text, version, confirmedAt, problem } });
    };
    document.watchers.add(tell);
    this.held.set(id, { lease, tell });
    tell();
  }

  private async refresh(id: number): Promise<void> {
    const document = this.held.get(id)?.lease.value;
    await document?.refresh();
    this.tell({ kind: 'refreshed', id, restMs: document?.restMs ?? 0 });
  }

  private release(id: number): void {
    const held = this.held.get(id);
    if (held === undefined) return;
    this.held.delete(id);
    held.lease.value.watchers.delete(held.tell);
    this.letGo(held.lease);
  }

  private tell(message: FromDesk): void {
    this.port.postMessage(message);
  }
}

/** Loaded only where somebody has to be called. */
async function createCaller({ clock, log }: DocumentDeskEnv): Promise<DocumentCaller> {
  const { HttpCaller } = await import('../wire/call/http-caller.ts');
  return new HttpCaller({ clock, wheel: new TimerWheel(clock), warn: (message, about) => log.warn(message, about) });
}
