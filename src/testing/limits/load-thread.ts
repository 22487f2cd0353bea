/** The thread that some of the clients of a measurement have to themselves. */
import { parentPort, workerData } from 'node:worker_threads';
import { LoadClients } from './load-clients.ts';
import type { FromLoadThread, ThreadPlan, ToLoadThread } from './load-plan.ts';

function tell(message: FromLoadThread, transfer: ArrayBuffer[] = []): void {
  parentPort!.postMessage(message, transfer);
}

const clients = new LoadClients(workerData as ThreadPlan);
try {
  await clients.connect();
  tell({ kind: 'ready' });
  const { atMs } = await new Promise<ToLoadThread>((resolve) => parentPort!.once('message', resolve));
  const result = await clients.run(atMs);
  const { sentMs, answeredMs, status, key } = result.exchanges;
  const columns = [sentMs, answeredMs, status, key].map(({ buffer }) => buffer as ArrayBuffer);
  tell({ kind: 'done', result }, columns);
} catch (error) {
  tell({ kind: 'unreachable', reason: error instanceof Error ? error.message : String(error) });
}
