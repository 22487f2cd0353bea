/** The arms that are small Node programs in `servers/`: what one would otherwise build with. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { firstLineOf, type Launch } from '../lab.ts';
import type { Arm, Assignment } from './arm.ts';

const REPOSITORY = join(import.meta.dirname, '..', '..');
const PINNED_NODE = join(REPOSITORY, 'node_modules', '.bin', 'node');

/** The Node of the project, which is also the one that Gatewright runs on. */
export const NODE = existsSync(PINNED_NODE) ? PINNED_NODE : process.execPath;

let nodeVersion: string | undefined;

/** `v26.10.0` */
export function versionOfNode(): string {
  nodeVersion ??= firstLineOf(NODE, ['--version']) ?? process.version;
  return nodeVersion;
}

export const undiciPool: Arm = nodeArm(
  'undici',
  'undici Pool.dispatch behind node:http',
  'undici-pool.ts',
  ['undici'],
  false,
);
export const nodeHttp: Arm = nodeArm('node-http', 'node:http and http.request', 'node-http.ts', [], false);
export const fastify: Arm = nodeArm(
  'fastify',
  '@fastify/http-proxy',
  'fastify.ts',
  ['@fastify/http-proxy', 'fastify'],
  true,
);

function nodeArm(name: string, title: string, file: string, packages: readonly string[], routes: boolean): Arm {
  return {
    name,
    title,
    routes,
    installHint: 'npm ci',
    version() {
      const versions = packages.map((wanted) => [wanted, installedVersion(wanted)] as const);
      if (versions.some(([, version]) => version === undefined)) return undefined;
      return [...versions.map(([wanted, version]) => `${wanted} ${version}`), `Node ${versionOfNode()}`].join(', ');
    },
    prepare: (assignment) => launch(file, assignment),
  };
}

/** What a program in `servers/` finds in its first argument, as JSON. */
export interface ServerAssignment {
  readonly port: number;
  readonly upstreamPort: number;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
  readonly routes: number;
}

function launch(file: string, { port, upstreamPort, tls, routes }: Assignment): Launch {
  const assignment: ServerAssignment = { port, upstreamPort, tls: tls ?? null, routes };
  return {
    command: NODE,
    args: [join(import.meta.dirname, 'servers', file), JSON.stringify(assignment)],
    env: { NODE_ENV: 'production' },
  };
}

function installedVersion(name: string): string | undefined {
  const file = join(REPOSITORY, 'node_modules', name, 'package.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version : undefined;
}
