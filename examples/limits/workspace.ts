import { defineLimitKey } from 'gatewright';

/** Workspaces of one customer are counted together: `acme/web` and `acme/shop` are both acme. */
export default defineLimitKey(({ requestHeaders }) => requestHeaders.get('x-workspace')?.split('/')[0]);
