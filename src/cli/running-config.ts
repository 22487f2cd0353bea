/** Asks a running gateway, by its admin API, what it serves. */
import type { GatewayConfig } from '../config/schema.ts';
import { z } from '../util/schema.ts';

const TIMEOUT_MS = 10_000;
/** A configuration of a hundred thousand routes has some fifty. */
const MAX_BYTES = 512 * 2 ** 20;

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

const snapshot = z.looseObject({ revision: z.union([z.string(), z.number()]), config: document });

export interface RunningConfig {
  readonly revision: string;
  /** With `[secret]` in place of every secret. */
  readonly config: GatewayConfig;
}

/**
 * @param admin the URL of the admin port.
 * @returns what it serves, or in one sentence why that is not known.
 */
export async function fetchRunningConfig(admin: URL, token: string | undefined): Promise<RunningConfig | string> {
  const base = admin.href.endsWith('/') ? admin.href : `${admin.href}/`;
  const url = new URL('api/v1/snapshot', base);
  let text: string;
  try {
    const response = await fetch(url, {
      headers: { accept: 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) },
      // A redirect would take the token elsewhere.
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (!response.ok) {
      await response.body?.cancel();
      return refusal(response.status, token !== undefined, url);
    }
    text = await readText(response);
  } catch (error) {
    return `The admin API at ${admin.origin} cannot be reached: ${reasonOf(error)}.`;
  }
  return parseSnapshot(text) ?? `What ${url.href} sent is not the configuration of a gateway.`;
}

function refusal(status: number, hasToken: boolean, url: URL): string {
  if (status === 401 || status === 403) {
    const hint = hasToken
      ? 'does not accept the token in GATEWRIGHT_ADMIN_TOKEN'
      : 'asks for a token: set GATEWRIGHT_ADMIN_TOKEN';
    return `The admin API at ${url.origin} ${hint}.`;
  }
  return `${url.href} answered ${status}: is this the admin port of a gateway?`;
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const body: AsyncIterable<Uint8Array> | null = response.body;
  for await (const chunk of body ?? []) {
    chunks.push(chunk);
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw new Error('the answer is too large');
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** fetch hides why it failed one level down. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  if (error.name === 'TimeoutError') return `there was no answer within ${TIMEOUT_MS / 1000} s`;
  const { cause } = error;
  if (!(cause instanceof Error)) return error.message;
  const { code } = cause as NodeJS.ErrnoException;
  return code ?? cause.message;
}

function parseSnapshot(text: string): RunningConfig | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const parsed = z.safeParse(snapshot, value);
  if (!parsed.success) return null;
  return { revision: String(parsed.data.revision), config: parsed.data.config as unknown as GatewayConfig };
}
