/** What a serving thread does. */
import { parentPort } from 'node:worker_threads';
import type { PolicyDefinition } from '../contract.ts';
import { importModule } from '../config/import-module.ts';
import { importPolicies } from '../config/policy-modules.ts';
import type { GatewayConfig } from '../config/schema.ts';
import { ListenError, type Gateway } from '../gateway/gateway.ts';
import { LocalGateway } from '../gateway/local-gateway.ts';
import { AppLog } from '../telemetry/app-log.ts';
import { systemClock } from '../util/clock.ts';
import { unpackConfig } from './config-parcel.ts';
import type { FromThread, ThreadAssignment, ToThread } from './messages.ts';

let gateway: Gateway | null = null;

function tell(message: FromThread): void {
  parentPort?.postMessage(message);
}

/** The modules are imported here again: what is alive cannot be handed from thread to thread. */
async function policyModules({ routes, notFound }: GatewayConfig): Promise<ReadonlyMap<string, PolicyDefinition>> {
  const uses = [...Object.values(routes).flatMap((route) => route.policies), ...notFound.policies];
  const paths = new Set(uses.flatMap(({ module }) => (module === null ? [] : [module])));
  return importPolicies(paths, importModule);
}

async function serve({ config: parcel, thread, secrets }: ThreadAssignment): Promise<void> {
  const log = new AppLog({ level: 'info', clock: systemClock, thread, secrets });
  try {
    const config = unpackConfig(parcel);
    gateway = new LocalGateway(config, { log, modules: await policyModules(config), thread });
    tell({ kind: 'serving', addresses: await gateway.start() });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    tell({ kind: 'failed', reason, cannotListen: error instanceof ListenError });
    parentPort?.close();
  }
}

async function stop(graceMs: number): Promise<void> {
  await gateway?.stop(graceMs);
  parentPort?.close();
}

parentPort?.on('message', (message: ToThread) => {
  void (message.kind === 'serve' ? serve(message.assignment) : stop(message.graceMs));
});
