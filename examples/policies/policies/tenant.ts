/** A policy of one's own: it looks like the built-in ones, because those use nothing else either. */
import { definePolicy, z } from 'gatewright';

export default definePolicy({
  name: 'tenant',
  summary: 'Lets only requests of known tenants pass, and tells the service which tenant it is.',
  options: z.strictObject({
    header: z.string().default('x-tenant').describe('The header in which clients name their tenant.'),
    tenants: z.array(z.string()).min(1).describe('The tenants that exist.'),
  }),
  // Runs once for each use in the configuration; what can be prepared is prepared here.
  create({ header, tenants }) {
    const known = new Set(tenants);
    return {
      // Runs for every request, before the upstream is called. Returning a reply answers here.
      onRequest({ requestHeaders }) {
        const tenant = requestHeaders.get(header);
        if (tenant === undefined || !known.has(tenant)) {
          return { status: 403, headers: [['content-type', 'text/plain']], body: 'unknown tenant\n' };
        }
        requestHeaders.remove(header);
        requestHeaders.set('x-tenant-id', `tenant:${tenant}`);
        return undefined;
      },
      // Runs for every response, also for the reply above.
      onResponse({ responseHeaders }) {
        responseHeaders.add('vary', header);
      },
    };
  },
});
