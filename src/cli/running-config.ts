/** Asks a running gateway, by its admin API, what it serves. */
import type { GatewayConfig } from '../config/schema.ts';
import { z } from '../util/schema.ts';
import { AdminUnreachable, adminRequest } from './admin-client.ts';

const names = z.array(z.string());

const policyUse = z.looseObject({ name: z.string(), label: z.string(), module: z.string().nullable() });

const respond = z.looseObject({ status: z.number() }).nullable();

const route = z.looseObject({
  match: z.looseObject({
    host: names,
    path: z.array(z.union([z.string(), z.looseObject({ regex: z.string() })])),
    methods: names.optional(),
    headers: z.array(z.looseObject({ name: z.string() })),
    query: z.array(z.looseObject({ name: z.string() })),
    listener: names,
  }),
  priority: z.number(),
  policies: z.array(policyUse),
  upstream: z.array(z.looseObject({ upstream: z.string(), weight: z.number() })).nullable(),
  redirect: z.looseObject({ to: z.string(), status: z.number() }).nullable(),
  respond,
});

/** As much of a document as is read when it is compared; whatever else is in it is compared as it is. */
const document = z.looseObject({
  baseDir: z.string(),
  listeners: z.record(
    z.string(),
    z.looseObject({ host: z.string(), port: z.number(), unix: z.string().nullable(), trustedProxies: names }),
  ),
  admin: z.looseObject({ host: z.string(), port: z.number() }),
  upstreams: z.record(z.string(), z.looseObject({ targets: z.array(z.looseObject({ url: z.string() })) })),
  routes: z.record(z.string(), route),
  notFound: z.looseObject({ policies: z.array(policyUse), respond }),
  telemetry: z.looseObject({ accessLog: z.looseObject({ file: z.string() }).nullable() }),
});

const snapshot = z.looseObject({ revision: z.looseObject({ number: z.number() }), config: document });

export interface RunningConfig {
  readonly revision: number;
  /** With `[secret]` in place of every secret. */
  readonly config: GatewayConfig;
}

/**
 * @param url of the admin port.
 * @throws {AdminUnreachable} when it cannot be asked, or does not answer with a configuration.
 */
export async function fetchRunningConfig(url: string, token: string | undefined): Promise<RunningConfig> {
  const { status, json } = await adminRequest(url, { method: 'GET', path: '/api/v1/snapshot', token });
  const parsed = z.safeParse(snapshot, json);
  if (status === 200 && parsed.success) {
    return { revision: parsed.data.revision.number, config: parsed.data.config as unknown as GatewayConfig };
  }
  const what = status === 200 ? 'with no configuration that can be compared' : `with status ${status}`;
  throw new AdminUnreachable(
    `the admin API at ${url} answered ${what}: is a gateway of this version there, or another one at another URL?`,
  );
}
