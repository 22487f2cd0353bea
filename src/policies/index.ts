/** Every policy that a configuration can name without bringing it along. */
import type { PolicyDefinition } from '../contract.ts';
import { bodyLimit } from './body-limit.ts';
import { compress } from './compress.ts';
import { cors } from './cors.ts';
import { headers } from './headers.ts';
import { ipFilter } from './ip-filter.ts';
import { requestId } from './request-id.ts';
import { securityHeaders } from './security-headers.ts';

export const builtinPolicies: readonly PolicyDefinition[] = [
  requestId,
  headers,
  cors,
  ipFilter,
  bodyLimit,
  securityHeaders,
  compress,
];
