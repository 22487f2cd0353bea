/** What policies are given where nothing has to be shared with other threads. */
import type { PolicyServices } from '../compile/policies.ts';
import { ConsumerIndex } from '../consumers/consumer-index.ts';
import type {
  CallRequest,
  CallResponse,
  DocumentSource,
  RemoteDocument,
  SharedMemory,
  ValueStore,
} from '../contract.ts';
import type { GatewayConfig } from '../config/schema.ts';
import type { Lease } from '../util/keep.ts';
import { HttpCaller, type HttpCallerEnv } from '../wire/call/http-caller.ts';

/** For a gateway that is alone on its event loop: nothing has to be shared with other threads. */
export class LocalServices implements PolicyServices {
  readonly consumers = new ConsumerIndex();
  readonly damping: PolicyServices['damping'] = {
    look: () => undamped,
    failed() {},
    succeeded() {},
  };
  private readonly caller: HttpCaller;

  constructor(env: HttpCallerEnv) {
    this.caller = new HttpCaller(env);
  }

  /** Gives up what policies still wait for. */
  close(): void {
    this.caller.close();
  }

  sharedMemory(_name: string): SharedMemory {
    throw new Error('not available yet');
  }

  call(request: CallRequest): Promise<CallResponse> {
    return this.caller.call(request);
  }

  document(_source: DocumentSource): Lease<RemoteDocument> {
    throw new Error('not available yet');
  }

  store(_name: string, _config: GatewayConfig): ValueStore {
    throw new Error('not available yet');
  }
}

const undamped = Object.freeze({ delayMs: 0, refuseMs: 0 });
