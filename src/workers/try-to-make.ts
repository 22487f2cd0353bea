/**
 * Makes everything that a configuration is served by, as a thread that serves does, and lets go of it again: so that it is
 * known beforehand what would be refused then, such as a file of users with a line that is wrong. Nobody is asked for
 * anything, and nothing is connected to.
 */
import type { PolicyMakerEnv, PolicyServices } from '../compile/policies.ts';
import { CompileError } from '../compile/compile-error.ts';
import { compile } from '../compile.ts';
import type { Finding } from '../config/problem.ts';
import type { GatewayConfig } from '../config/schema.ts';
import { databaseProblem } from '../consumers/database-problem.ts';
import { nothingFetched } from '../gateway/remote-documents.ts';
import { LocalServices } from '../gateway/services.ts';
import { Shedding } from '../proxy/shedding.ts';
import { systemClock } from '../util/clock.ts';
import { Keep } from '../util/keep.ts';
import { TimerWheel } from '../wire/timer-wheel.ts';

export interface Makings extends Pick<PolicyMakerEnv, 'definitionOf' | 'functionIn'> {
  readonly config: GatewayConfig;
  readonly secrets: readonly string[];
}

/** @returns what cannot be made; null when all of it can. */
export async function tryToMake({ config, secrets, ...code }: Makings): Promise<Finding | null> {
  const around = { clock: systemClock, wheel: new TimerWheel(systemClock), info: () => {}, warn: () => {} };
  const services = new UnconnectedServices({ ...around, documents: nothingFetched });
  try {
    const shedding = new Shedding(Shedding.createTotals());
    const compiled = await compile(config, { ...around, keep: new Keep(), services, shedding, secrets, ...code });
    compiled.close();
    return findDatabaseProblem(config);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const path = error instanceof CompileError ? error.path : [];
    return { severity: 'error', code: 'CANNOT_SERVE', message, path };
  } finally {
    services.close();
  }
}

function findDatabaseProblem({ consumerSources, quotas }: GatewayConfig): Finding | null {
  const all = {
    consumerSources: ['consumers', consumerSources.database],
    quotas: ['quotas', quotas.database],
  } as const;
  for (const [section, [what, database]] of Object.entries(all)) {
    const problem = database === null ? null : databaseProblem(database);
    if (problem === null) continue;
    const message = `the database of ${what} ${database} ${problem}`;
    return { severity: 'error', code: 'CANNOT_SERVE', message, path: [section, 'database'] };
  }
  return null;
}

class UnconnectedServices extends LocalServices {
  /** One that is let go at once never connects; that its library is missing is told all the same. */
  override store(...asked: Parameters<PolicyServices['store']>): ReturnType<PolicyServices['store']> {
    const lease = super.store(...asked);
    lease.release();
    return { value: lease.value, release: () => {} };
  }
}
