import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { firstLineOf } from '../lab.ts';
import { temporaryPaths } from '../upstream.ts';
import { routePrefixes, type Arm, type Assignment } from './arm.ts';

/** nginx as its documentation says to proxy with keep-alive: response buffering on, as it is by default. */
export const nginx: Arm = nginxArm('nginx', 'nginx', {});

/**
 * nginx with buffers that suit large bodies on this machine. Not what the bars refer to; shown beside it in the
 * scenarios with bodies, so that nobody has to wonder what tuning would have brought.
 */
export const nginxLargeBuffers: Arm = nginxArm(
  'nginx-large-buffers',
  'nginx, 16 × 64 KiB buffers, no temporary files',
  {
    tuning:
      'proxy_buffers 16 64k; proxy_busy_buffers_size 512k; proxy_max_temp_file_size 0; client_body_buffer_size 64k;',
  },
);

export interface NginxSettings {
  /** More lines of the server. */
  readonly tuning?: string;
  /** More lines outside of it. */
  readonly http?: string;
}

export function nginxArm(name: string, title: string, settings: NginxSettings): Arm {
  return {
    name,
    title,
    routes: true,
    installHint: 'apt-get install nginx',
    version: () => firstLineOf('nginx', ['-v'])?.replace(/^.*nginx\//, ''),
    prepare(assignment) {
      const file = join(assignment.directory, 'nginx.conf');
      writeFileSync(file, configuration(assignment, settings));
      return { command: 'nginx', args: ['-p', assignment.directory, '-c', file] };
    },
  };
}

function configuration(
  { directory, port, upstreamPort, tls, routes, clients }: Assignment,
  { tuning = '', http = '' }: NginxSettings,
): string {
  const pass = 'proxy_pass http://origin;';
  const locations =
    routes === 0
      ? `location / { ${pass} }`
      : routePrefixes(routes)
          .map((prefix) => `location ${prefix}/ { ${pass} }`)
          .join('\n    ');
  return `
daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log ${directory}/error.log crit;
events { worker_connections ${clients + 2048}; }
http {
  access_log off;
  ${temporaryPaths(directory)}
  keepalive_timeout 600s;
  keepalive_requests 100000000;
  client_max_body_size 0;
  variables_hash_max_size 2048;
  ${http}

  upstream origin {
    server 127.0.0.1:${upstreamPort};
    keepalive 64;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
  }

  server {
    listen 127.0.0.1:${port}${tls ? ' ssl' : ''};
    ${tls ? `ssl_protocols TLSv1.3; ssl_certificate ${tls.certFile}; ssl_certificate_key ${tls.keyFile};` : ''}
    ${tuning}
    # All the others stream request bodies; with buffering nginx would write each upload to a file first.
    proxy_request_buffering off;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $http_host;
    ${locations}
  }
}
`;
}
