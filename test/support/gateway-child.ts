/** The other end of `GatewayProcess`: a gateway in a process of its own, told what to do through its IPC channel. */
import { flushCompileCache } from 'node:module';
import { TestGateway } from './gateway.ts';
import { stampPolicy } from './stamp-policy.ts';
import type { GatewayAnswer, GatewayOrder } from './gateway-process.ts';

let gateway: TestGateway | null = null;

async function obey(order: GatewayOrder): Promise<GatewayAnswer> {
  switch (order.kind) {
    case 'start':
      gateway = await TestGateway.open(order.config, { modules: { './stamp.ts': stampPolicy } });
      // It is killed in the end, and would leave no compiled code to the next one.
      flushCompileCache();
      return { kind: 'started', url: gateway.url() };
    case 'measure':
      globalThis.gc?.();
      return { kind: 'measured', rss: process.memoryUsage.rss(), peak: process.resourceUsage().maxRSS * 1024 };
    case 'summarise': {
      const endings: Record<string, number> = {};
      for (const { status, code } of gateway!.observations.splice(0)) {
        const ending = code ?? String(status);
        endings[ending] = (endings[ending] ?? 0) + 1;
      }
      return { kind: 'summarised', endings };
    }
    case 'stop':
      await gateway!.gateway.stop(order.graceMs);
      return { kind: 'stopped' };
  }
}

process.on('message', (order: GatewayOrder) => {
  obey(order).then(
    (answer) => process.send!(answer),
    (error: unknown) => process.send!({ kind: 'failed', message: String(error) } satisfies GatewayAnswer),
  );
});
process.on('disconnect', () => process.exit());
