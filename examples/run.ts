/**
 * Runs one of the examples: `npm run example -- routing`. Starts two echo services, on 3001 and 3002, what else the example
 * needs (its `service.ts`), and a gateway with the configuration of the example; Ctrl-C stops them. What to try is in the
 * README of the example.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import type { Server } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { echoServer } from './echo.ts';

/** What the `service.ts` of an example exports. */
export interface OwnService {
  readonly port: number;
  readonly createService: () => Server;
}

const here = fileURLToPath(new URL('.', import.meta.url));
const command = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));

/** The examples by name, with their configuration files. `quickstart` has a start script of its own. */
function examples(): Map<string, string> {
  const found = new Map<string, string>();
  for (const name of readdirSync(here)) {
    const file = ['gateway.yaml', 'gateway.config.ts'].find((candidate) => existsSync(join(here, name, candidate)));
    if (file !== undefined && name !== 'quickstart') found.set(name, join(here, name, file));
  }
  return found;
}

async function run(name: string, configuration: string): Promise<void> {
  const certificates = join(here, name, 'make-certificates.sh');
  if (existsSync(certificates)) spawnSync(certificates, { stdio: 'inherit' });

  const servers = [3001, 3002].map((port) => echoServer(`echo-${port}`).listen(port, '127.0.0.1'));
  const own = join(here, name, 'service.ts');
  if (existsSync(own)) {
    const { createService, port } = (await import(own)) as OwnService;
    servers.push(createService().listen(port, '127.0.0.1'));
  }
  await Promise.all(servers.map((server) => once(server, 'listening')));
  console.log(`what to try is in examples/${name}/README.md; Ctrl-C stops the example\n`);
  const gateway = spawn(process.execPath, [command, 'run', configuration], {
    stdio: ['ignore', 'inherit', 'inherit'],
    // A process group of its own: a terminal sends Ctrl-C to a whole group, and one signal is enough for the gateway.
    detached: true,
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => gateway.kill('SIGTERM'));
  const [exitCode] = (await once(gateway, 'exit')) as [number | null];
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
  process.exitCode = exitCode ?? 1;
}

const known = examples();
const name = process.argv[2] ?? '';
const configuration = known.get(name);
if (configuration === undefined) {
  console.error(`usage: npm run example -- NAME, where NAME is one of: ${[...known.keys()].join(', ')}`);
  process.exitCode = 2;
} else {
  await run(name, configuration);
}
