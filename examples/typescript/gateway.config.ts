/**
 * A configuration in TypeScript. The names are checked as you type: a route that names an upstream or a policy that is
 * not there does not compile, and an editor completes them.
 */
import { defineGateway } from 'gatewright';

const services = { catalog: 3001, orders: 3002 };

export default defineGateway({
  listeners: { web: { host: '127.0.0.1', port: 8080 } },
  admin: { host: '127.0.0.1', port: 9901 },
  upstreams: {
    catalog: { targets: [`http://127.0.0.1:${services.catalog}`] },
    orders: { targets: [`http://127.0.0.1:${services.orders}`] },
  },
  policies: {
    small: { bodyLimit: { max: '64KiB' } },
  },
  defaults: { policies: ['requestId'] },
  routes: {
    catalog: { match: { path: '/catalog/*', methods: ['GET', 'HEAD'] }, policies: ['compress'], upstream: 'catalog' },
    orders: { match: { path: '/orders/*' }, policies: ['small'], upstream: 'orders' },
  },
});
