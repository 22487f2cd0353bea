import { accessPolicies } from './access-policies.ts';
import { apiKey, jwt, session } from './authentication.ts';
import { idle } from './idle.ts';
import { clientCertificates, signatures } from './proofs.ts';
import { bare, response1MiB, tls, upload1MiB } from './proxying.ts';
import { limitsCost, limitsExact } from './limits-compared.ts';
import { rateLimit, sharedLimit } from './limits.ts';
import { reload, reload10k } from './reload.ts';
import { routes1000, routes100000 } from './routing.ts';
import type { Scenario } from './scenario.ts';
import { start } from './start.ts';
import { streamDown, streamUp } from './stream.ts';
import { threads } from './threads.ts';

/** In the order in which they run. */
export const SCENARIOS: readonly Scenario[] = [
  bare,
  response1MiB,
  upload1MiB,
  tls,
  routes1000,
  routes100000,
  apiKey,
  jwt,
  session,
  accessPolicies,
  signatures,
  clientCertificates,
  rateLimit,
  sharedLimit,
  limitsCost,
  limitsExact,
  idle,
  streamDown,
  streamUp,
  start,
  threads,
  reload,
  reload10k,
];
