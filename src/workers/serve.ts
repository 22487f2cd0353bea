/** What a serving thread does: the other end of `ServingThread`. */
import { parentPort, type Transferable } from 'node:worker_threads';
import { importModule } from '../config/import-module.ts';
import { importModules, modulesOf } from '../config/policy-modules.ts';
import { policyUses } from '../config/policy-registry.ts';
import type { GatewayConfig } from '../config/schema.ts';
import { type GatewayStatus, ListenError, type ListenerAddress, type Publication } from '../gateway/gateway.ts';
import { LocalGateway, type Prepared } from '../gateway/local-gateway.ts';
import type { PolicyModules } from '../gateway/gateway-env.ts';
import { LocalServices } from '../gateway/services.ts';
import { AppLog } from '../telemetry/app-log.ts';
import { systemClock } from '../util/clock.ts';
import { Pace } from '../util/pace.ts';
import { SharedPermits } from '../util/shared-permits.ts';
import { lookEveryMs, StallWatch } from '../util/stall-watch.ts';
import { unpackConfig } from './config-parcel.ts';
import { unpackConsumers, usesAtOnce } from './consumer-parcel.ts';
import { SharedAdmission } from './connection-permits.ts';
import type {
  FromThread,
  Openings,
  Order,
  OrderResults,
  PublicationParcel,
  ThreadBirth,
  ToThread,
} from './messages.ts';
import { ThreadDocuments } from './thread-documents.ts';

class Server {
  private readonly birth: ThreadBirth;
  private readonly log: AppLog;
  private gateway: LocalGateway | null = null;
  private prepared: Prepared | null = null;
  /** From when it serves: before, it holds nobody up. */
  private stalls: StallWatch | null = null;
  /** Counts what was asked to be made ready or to be given up. */
  private attempt = 0;

  constructor(birth: ThreadBirth) {
    this.birth = birth;
    this.log = new AppLog({ level: 'info', clock: systemClock, thread: birth.thread });
    const heartbeat = new Int32Array(birth.heartbeat);
    Atomics.add(heartbeat, 0, 1);
    const beat = (): void => {
      Atomics.add(heartbeat, 0, 1);
      this.stalls?.look(systemClock.now());
    };
    setInterval(beat, lookEveryMs).unref();
  }

  receive(message: Exclude<ToThread, { kind: 'birth' }>): void {
    switch (message.kind) {
      case 'order':
        void this.answer(message.id, message.order);
        return;
      case 'adopt':
        if (this.gateway === null) message.server.close();
        else this.gateway.adopt(message.listener, message.server);
        return;
      case 'accept':
        if (this.gateway === null) message.socket.destroy();
        else this.gateway.accept(message.listener, message.socket);
        return;
      case 'routes-gone':
        this.gateway?.endRoutes(message.names, message.revision);
        return;
      case 'stop':
        void this.stop(message.graceMs, message.idleMs);
    }
  }

  private async answer(id: number, order: Order): Promise<void> {
    try {
      if (order.kind === 'release') this.release(id, order.kept);
      else tell({ kind: 'done', id, result: await this.obey(order) });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      tell({ kind: 'refused', id, reason, cannotListen: error instanceof ListenError });
    }
  }

  private release(id: number, kept: number): void {
    const result = this.gateway?.release(kept) ?? [];
    const servers = result.flatMap(([, released]) => released);
    tell({ kind: 'done', id, result }, servers);
  }

  private async obey(order: Exclude<Order, { kind: 'release' }>): Promise<OrderResults[Order['kind']]> {
    switch (order.kind) {
      case 'prepare':
        return this.prepare(order.publication, order.openings);
      case 'commit':
        this.stalls ??= new StallWatch(systemClock.now());
        this.prepared?.commit();
        this.prepared = null;
        return null;
      case 'abort':
        this.abort();
        return null;
      case 'status':
        return this.status(this.gateway!);
      case 'consumers':
        await this.gateway?.changeConsumers(unpackConsumers(order.consumers));
        return null;
      case 'uses':
        return this.gateway?.takeUses(usesAtOnce) ?? [];
    }
  }

  private async status(gateway: LocalGateway): Promise<GatewayStatus> {
    const status = await gateway.status();
    const stallMs = Math.round(this.stalls?.longestMs ?? 0);
    const [own] = status.threads;
    return { ...status, threads: [{ ...own, stallMs }] };
  }

  private async prepare(parcel: PublicationParcel, openings: Openings): Promise<readonly ListenerAddress[]> {
    this.abort();
    const { attempt } = this;
    const publication = await unpack(parcel);
    this.log.hide(publication.secrets);
    this.gateway ??= this.createGateway(publication);
    const prepared = await this.gateway.prepare(publication, (name) => openings[name]);
    if (attempt !== this.attempt) {
      // Nobody has waited for it.
      prepared.abort();
      throw new Error('it was given up');
    }
    this.prepared = prepared;
    return prepared.addresses;
  }

  private abort(): void {
    this.attempt++;
    this.prepared?.abort();
    this.prepared = null;
  }

  private createGateway(first: Publication): LocalGateway {
    const { thread, ticketSecret, connections, seat, services: memory, metrics, documents: port } = this.birth;
    const permits = SharedPermits.attach(connections, seat);
    const admission = (counter: number): SharedAdmission => new SharedAdmission(permits, counter);
    const documents = new ThreadDocuments(port, systemClock);
    return new LocalGateway(first, {
      log: this.log,
      modulesOf: policyModules,
      thread,
      ticketSecret,
      admission,
      metrics,
      services: (env) => new LocalServices({ ...env, memory, seat, documents }),
    });
  }

  private async stop(graceMs: number, idleMs: number): Promise<void> {
    await this.gateway?.stop(graceMs, idleMs);
    tell({ kind: 'uses', uses: this.gateway?.takeUses(Infinity) ?? [] });
    parentPort?.close();
    // What policies have begun and not ended (timers, sockets of their own) must not keep a thread that is done.
    setImmediate(() => process.exit());
  }
}

function tell(message: FromThread, transfer: Transferable[] = []): void {
  parentPort?.postMessage(message, transfer);
}

async function unpack({ config, consumers, ...rest }: PublicationParcel): Promise<Publication> {
  const pace = new Pace(() => systemClock.now());
  return { ...rest, config: await unpackConfig(config, pace), consumers: unpackConsumers(consumers) };
}

/** The modules are imported here again: what is alive cannot be handed from thread to thread. */
async function policyModules(config: GatewayConfig): Promise<PolicyModules> {
  const paths = new Set<string>();
  for (const use of policyUses(config)) for (const path of modulesOf(use, config.baseDir)) paths.add(path);
  return importModules(paths, importModule);
}

let server: Server | null = null;

parentPort?.on('message', (message: ToThread) => {
  if (message.kind === 'birth') server = new Server(message.birth);
  else server?.receive(message);
});
