/**
 * The quickstart: three demo services on loopback ports and the gateway in front of them, as the command line starts
 * it. Prints what to try and stops everything on Ctrl-C. `PORT=9000 npm start` serves on another port.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { catalogService } from './services/catalog.ts';
import { jsonServer, listen, type Service } from './services/json-service.ts';
import { ordersService } from './services/orders.ts';
import { usersService } from './services/users.ts';

const commandLine = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const configuration = fileURLToPath(new URL('./gateway.yaml', import.meta.url));
const readyWithinMs = 30_000;

/** The ports in `gateway.yaml`, by the variables that change them. */
const defaultPorts = { GATEWAY_PORT: 8080, ADMIN_PORT: 9901, CATALOG_PORT: 3001, ORDERS_PORT: 3002, USERS_PORT: 3003 };

/** What has to be set. Not more, because what comes from the environment may be a secret and is not shown in logs. */
function differencesFrom(defaults: typeof defaultPorts, actual: typeof defaultPorts): Record<string, string> {
  const different = Object.entries(actual).filter(([name, port]) => defaults[name as keyof typeof defaults] !== port);
  return Object.fromEntries(different.map(([name, port]) => [name, String(port)]));
}

/** This port if it is free, otherwise another one that is. */
async function freePort(preferred: number): Promise<number> {
  const probe = createServer();
  const port = await listen(probe, preferred);
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** Until `/readyz` says that the gateway serves; false if it ended or did not come up in time. */
async function isReady(gateway: ChildProcess, adminPort: number): Promise<boolean> {
  const deadline = performance.now() + readyWithinMs;
  while (gateway.exitCode === null && performance.now() < deadline) {
    try {
      const response = await fetch(`http://127.0.0.1:${adminPort}/readyz`);
      await response.arrayBuffer();
      if (response.ok) return true;
    } catch {
      // Not listening yet.
    }
    await sleep(25);
  }
  return false;
}

function printInvitation(port: number, adminPort: number): void {
  const url = `http://127.0.0.1:${port}`;
  const key = "-H 'x-api-key: quickstart-demo-key'";
  const lines = [
    [`curl -i ${url}/products`, '200 from the catalog service, with a request id and security headers'],
    [`curl -s '${url}/products?tag=green'`, '200 the query goes along'],
    [`curl -i ${url}/users/ada`, '200 rewritten to /v1/users/ada of the users service'],
    [`curl -i ${url}/orders`, '401 the orders want a key'],
    [`curl -i ${url}/orders ${key} -d '{"product": 1, "quantity": 2}'`, '201 from the orders service'],
    [`curl -N ${url}/orders/events ${key}`, '200 server-sent events as they happen; Ctrl-C ends them'],
    [`curl -i ${url}/joke`, '200 ratelimit: "default";r=2;t=10: two more are left'],
    [`curl -i ${url}/joke`, '200 ratelimit: "default";r=1;t=20'],
    [`curl -i ${url}/joke`, '200 ratelimit: "default";r=0: that was the last one for now'],
    [`curl -i ${url}/joke`, '429 retry-after: 10'],
    [`curl -s ${url}/echo -d hello`, '200 the request as the service got it: via, x-forwarded-for …'],
    [`curl -i -X DELETE ${url}/products`, '405 the gateway knows which methods are allowed'],
    [`curl -i ${url}/shop/1`, '308 moved'],
    [`curl -i ${url}/nothing/here`, '404 problem details, with a code and the request id'],
    [`curl -i http://127.0.0.1:${adminPort}/readyz`, '200 ready for traffic'],
  ];
  const width = Math.max(...lines.map(([command]) => command.length));
  console.log(`
Gatewright serves three demo services at ${url} (examples/quickstart/gateway.yaml).
Its admin port, with /livez and /readyz, is http://127.0.0.1:${adminPort}

Try in another terminal:

${lines.map(([command, comment]) => `  ${command.padEnd(width)}  # ${comment}`).join('\n')}

How exactly the limit is kept, at a hundred times what it allows (half a minute):

  npm run gatewright -- limits-test ${url}/joke --rate 3/30s --load 100x --waits 1

Ctrl-C stops everything. Below is the access log.
`);
}

const services = { CATALOG_PORT: catalogService, ORDERS_PORT: ordersService, USERS_PORT: usersService };
const servers: Server[] = [];
const ports = { ...defaultPorts };
for (const [name, service] of Object.entries(services) as [keyof typeof services, Service][]) {
  const server = jsonServer(service);
  servers.push(server);
  ports[name] = await listen(server, defaultPorts[name]);
}
ports.GATEWAY_PORT = await freePort(Number(process.env['PORT'] ?? defaultPorts.GATEWAY_PORT));
ports.ADMIN_PORT = await freePort(defaultPorts.ADMIN_PORT);

const gateway = spawn(process.execPath, [commandLine, 'run', configuration], {
  stdio: ['ignore', 'inherit', 'inherit'],
  // A process group of its own: a terminal sends Ctrl-C to a whole group, and one signal is enough for the gateway.
  detached: true,
  env: { ...process.env, ...differencesFrom(defaultPorts, ports) },
});
const gatewayEnded = once(gateway, 'exit');

let stopping = false;
function stop(): void {
  if (!stopping) gateway.kill('SIGTERM');
  stopping = true;
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
process.on('exit', stop);
// npm passes a signal to the shell that it runs a script in, and that shell ends without passing it on.
const parent = process.ppid;
setInterval(() => process.ppid !== parent && stop(), 500).unref();

if (await isReady(gateway, ports.ADMIN_PORT)) {
  printInvitation(ports.GATEWAY_PORT, ports.ADMIN_PORT);
} else if (!stopping) {
  console.error('The gateway did not start; its message is above.');
  stop();
}
const [exitCode] = (await gatewayEnded) as [number | null];
for (const server of servers) {
  server.close();
  server.closeAllConnections();
}
process.exitCode = exitCode ?? 1;
