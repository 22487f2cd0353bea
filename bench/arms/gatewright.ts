/** Ourselves, started as a user starts it, with one thread because there is one core. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Launch } from '../lab.ts';
import { routePrefixes, type Arm, type Assignment } from './arm.ts';
import { NODE, versionOfNode } from './node-servers.ts';

const REPOSITORY = join(import.meta.dirname, '..', '..');
/** Another checkout, to compare with: what was before a change. */
const BEFORE = process.env['GATEWRIGHT_BEFORE'] ?? '';
const entryOf = (repository: string): string => join(repository, 'src', 'cli', 'main.js');

export interface Settings {
  readonly pipelining?: number;
  readonly threads?: number;
  /** What all routes have, as YAML in one line: `[{apiKey: {}}]`. */
  readonly policies?: string;
  /** Over TLS, ask clients for certificates; the one of the bench vouches for itself. */
  readonly clientAuth?: boolean;
  /** More options of the upstream, as YAML in one line: `auth: {…}`. */
  readonly upstreamOptions?: string;
  /** The checkout that is run; by default this one. */
  readonly repository?: string;
  /** More of the configuration, as YAML: sections of its own, as `consumers:`. */
  readonly sections?: string;
}

export const gatewright: Arm = gatewrightArm('gatewright', 'Gatewright', {});
export const gatewrightPipelined: Arm = gatewrightArm('gatewright-pipelining', 'Gatewright, `pipelining: 8`', {
  pipelining: 8,
});

export const gatewrightBefore: Arm = gatewrightArm('before', 'Gatewright before', { repository: BEFORE });

export function gatewrightArm(name: string, title: string, settings: Settings): Arm {
  const { repository = REPOSITORY } = settings;
  return {
    name,
    title,
    routes: true,
    installHint: repository === '' ? 'GATEWRIGHT_BEFORE names no checkout' : 'src/cli/main.js is missing',
    version: () => versionOf(repository),
    prepare(assignment): Launch {
      const file = configurationFile(assignment);
      writeFileSync(file, configuration(assignment, settings));
      return { command: NODE, args: [entryOf(repository), 'run', file], env: { NODE_ENV: 'production' } };
    },
  };
}

export function configurationFile({ directory }: Assignment): string {
  return join(directory, 'gateway.yaml');
}

/** Every feature at its default, except what the scenarios need: no log, large bodies, many connections. */
export function configuration(
  assignment: Assignment,
  { pipelining = 1, threads = 1, policies = '[]', sections = '', upstreamOptions = '', clientAuth = false }: Settings,
): string {
  const { port, adminPort, upstreamPort, tls, routes, clients } = assignment;
  return `
listeners:
  web:
    host: 127.0.0.1
    port: ${port}
    limits: {bodyBytes: 2GiB, connections: ${clients + 1024}}
${tls ? `    tls: {certificates: [{cert: ${tls.certFile}, key: ${tls.keyFile}}]${clientAuth ? `, clientAuth: {ca: ${tls.certFile}, require: false}` : ''}}` : ''}
admin: {host: 127.0.0.1, port: ${adminPort}}
threads: ${threads}
telemetry: {accessLog: false}
defaults: {policies: ${policies}}
${sections}
upstreams:
  origin:
    targets: ["http://127.0.0.1:${upstreamPort}"]
    connections: {pipelining: ${pipelining}}
    ${upstreamOptions}
routes:
${routeLines(routes)}
`;
}

function routeLines(routes: number): string {
  if (routes === 0) return '  everything: {match: {path: /*}, upstream: origin}';
  return routePrefixes(routes)
    .map((prefix) => `  ${prefix.slice(1)}: {match: {path: ${prefix}/*}, upstream: origin}`)
    .join('\n');
}

/** `0.1.0 (69a18be, modified)` */
function versionOf(repository: string): string | undefined {
  if (repository === '' || !existsSync(entryOf(repository))) return undefined;
  const { version: released } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
    version: string;
  };
  const commit = git(repository, 'rev-parse', '--short', 'HEAD');
  const state = git(repository, 'status', '--porcelain', '--', 'src') ? ', modified' : '';
  return `${released}${commit ? ` (${commit}${state})` : ''}, Node ${versionOfNode()}`;
}

function git(repository: string, ...args: string[]): string {
  return spawnSync('git', ['-C', repository, ...args], { encoding: 'utf8' }).stdout?.trim() ?? '';
}
