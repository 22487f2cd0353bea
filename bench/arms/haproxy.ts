import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { firstLineOf } from '../lab.ts';
import { routePrefixes, type Arm, type Assignment } from './arm.ts';

export const haproxy: Arm = haproxyArm('haproxy', 'HAProxy');

/** @param rules more lines of the frontend. */
export function haproxyArm(name: string, title: string, rules = ''): Arm {
  return {
    name,
    title,
    routes: true,
    installHint: 'apt-get install haproxy',
    version: () => firstLineOf('haproxy', ['-v'])?.replace(/^HAProxy version (\S+).*$/, '$1'),
    prepare(assignment) {
      const file = join(assignment.directory, 'haproxy.cfg');
      writeFileSync(file, configuration(assignment, rules));
      return { command: 'haproxy', args: ['-db', '-q', '-f', file] };
    },
  };
}

function configuration({ directory, port, upstreamPort, tls, routes, clients }: Assignment, rules: string): string {
  return `
global
  nbthread 1
  maxconn ${clients + 1024}
  no strict-limits
  ${tls ? 'ssl-default-bind-options ssl-min-ver TLSv1.3' : ''}

defaults
  mode http
  no log
  http-reuse always
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  timeout http-request 600s
  timeout http-keep-alive 600s

frontend web
  bind 127.0.0.1:${port}${tls ? ` ssl crt ${tls.combinedFile}` : ''}
  ${rules}
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto ${tls ? 'https' : 'http'}
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  ${routes === 0 ? 'default_backend origin' : `use_backend %[path,map_beg(${routeMap(directory, routes)},nowhere)]`}

backend origin
  server origin 127.0.0.1:${upstreamPort}

backend nowhere
  http-request return status 404
`;
}

/** HAProxy's own way for many prefixes: a map that it keeps as a prefix tree. */
function routeMap(directory: string, routes: number): string {
  const file = join(directory, 'routes.map');
  writeFileSync(
    file,
    routePrefixes(routes)
      .map((prefix) => `${prefix}/ origin\n`)
      .join(''),
  );
  return file;
}
