/** Complete configurations for tests of their differences, also with policies that are not built yet. */
import { type GatewayConfig, type PolicyUse, gatewaySchema } from '../../../src/config/schema.ts';
import { type Change, formatChange } from '../../../src/config/plan/change.ts';
import type { DiffSurroundings } from '../../../src/config/plan/comparison.ts';
import { diffConfigs } from '../../../src/config/plan/diff-configs.ts';
import { z } from '../../../src/util/schema.ts';
import { loadText } from '../load-text.ts';

/** The configuration of a text that has no error. */
export async function configOf(text: string): Promise<GatewayConfig> {
  const { config, problems } = await loadText(text);
  if (config === null) throw new Error(problems.map(({ message }) => message).join('\n'));
  return config;
}

export async function changesOf(before: string, after: string, around?: DiffSurroundings): Promise<readonly Change[]> {
  return diffConfigs(await configOf(before), await configOf(after), around);
}

/** Kind and line of each change. */
export function linesOf(changes: readonly Change[]): string[] {
  return changes.map((change) => `${change.kind} | ${formatChange(change)}`);
}

export async function planOf(before: string, after: string, around?: DiffSurroundings): Promise<string[]> {
  return linesOf(await changesOf(before, after, around));
}

export const use = (name: string, options: unknown = {}, more: Partial<PolicyUse> = {}): PolicyUse => ({
  name,
  label: name,
  module: null,
  options,
  ...more,
});

/** A configuration of one route `catalog` with these policies. */
export function withPolicies(...policies: readonly PolicyUse[]): GatewayConfig {
  return withRoutes({ catalog: policies });
}

export function withRoutes(routes: Readonly<Record<string, readonly PolicyUse[]>>): GatewayConfig {
  const { listeners, admin, telemetry } = z.parse(gatewaySchema, {});
  return {
    baseDir: '/gw',
    listeners,
    admin,
    threads: 'auto',
    overload: null,
    identity: null,
    consumers: [],
    consumerSources: { files: [], database: null },
    stores: {},
    quotas: { database: null },
    upstreams: {},
    routes: Object.fromEntries(
      Object.entries(routes).map(([name, policies]) => [
        name,
        {
          name,
          match: {
            host: [],
            path: [`/${name}/*`],
            headers: [],
            query: [],
            listener: [],
            emptySegments: 'merge',
            encodedSlash: 'refuse',
          },
          priority: 0,
          importance: 'normal',
          policies,
          upstream: [{ upstream: 'u', weight: 1 }],
          redirect: null,
          respond: null,
          rewrite: null,
          timeouts: { connect: 2000, firstByte: 30_000, idle: 60_000, total: null },
        },
      ]),
    ),
    notFound: { policies: [], respond: null },
    defaultPolicies: 0,
    telemetry: { accessLog: telemetry.accessLog, metrics: telemetry.metrics, debug: null },
  };
}

export function policyPlan(
  before: readonly PolicyUse[],
  after: readonly PolicyUse[],
  around?: DiffSurroundings,
): string[] {
  return linesOf(diffConfigs(withPolicies(...before), withPolicies(...after), around)).map((line) =>
    line.replace('route catalog: ', ''),
  );
}
