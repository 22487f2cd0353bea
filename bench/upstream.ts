/**
 * The service behind every gateway: one nginx worker on the load core, fast enough that the gateway is what is
 * measured.
 */
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab, Running } from './lab.ts';
import { probe } from './probe.ts';
import { sleep } from './measure.ts';

export const MEBIBYTE = 1024 * 1024;
/** What the upstream answers to any path that it does not know better. */
export const SMALL_JSON = '{"id":7,"name":"walnut table","price":{"amount":"349.00","currency":"EUR"},"inStock":true}';
export const UPLOAD_REPLY = '{"stored":true}';
export const ONE_MEBIBYTE_PATH = '/files/one-mebibyte.bin';
export const UPLOAD_PATH = '/upload';
/** Below any route: an answer that tells which forwarding headers arrived. */
export const ECHO_SUFFIX = '/forwarded-headers';

export interface Upstream {
  readonly port: number;
  readonly running: Running;
}

/** What the echo path answers. */
export interface ArrivedHeaders {
  readonly host: string;
  readonly forwardedFor: string;
  readonly forwardedProto: string;
  readonly forwardedHost: string;
  readonly protocol: string;
}

/** Starts the upstream and resolves when it answers. */
export async function startUpstream(lab: Lab): Promise<Upstream> {
  const directory = join(lab.directory, 'upstream');
  mkdirSync(join(directory, 'files'), { recursive: true });
  writeFileSync(join(directory, 'files', 'one-mebibyte.bin'), '');
  truncateSync(join(directory, 'files', 'one-mebibyte.bin'), MEBIBYTE);
  const port = await lab.freePort();
  const file = join(directory, 'nginx.conf');
  writeFileSync(file, configuration(directory, port));
  const running = lab.startLoad('upstream', { command: 'nginx', args: ['-p', directory, '-c', file] });
  for (let attempt = 0; attempt < 200; attempt++) {
    const answer = await probe({ port, tls: false }, { path: '/' }).catch(() => undefined);
    if (answer?.status === 200) return { port, running };
    await sleep(20);
  }
  throw new Error('the upstream nginx did not start');
}

const ECHO_REPLY =
  '{"host":"$http_host","forwardedFor":"$http_x_forwarded_for","forwardedProto":"$http_x_forwarded_proto",' +
  '"forwardedHost":"$http_x_forwarded_host","protocol":"$server_protocol"}';

function configuration(directory: string, port: number): string {
  const socket = join(directory, 'stored.sock');
  return `
daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log ${directory}/error.log error;
events { worker_connections 16384; }
http {
  access_log off;
  default_type application/json;
  ${temporaryPaths(directory)}
  sendfile on;
  tcp_nopush on;
  keepalive_timeout 600s;
  keepalive_requests 100000000;
  client_max_body_size 0;

  server {
    listen 127.0.0.1:${port};
    location / { return 200 '${SMALL_JSON}'; }
    location = ${ECHO_SUFFIX} { return 200 '${ECHO_REPLY}'; }
    location = /service-0${ECHO_SUFFIX} { return 200 '${ECHO_REPLY}'; }
    location /files/ { root ${directory}; default_type application/octet-stream; }
    # "return" would answer before the body was read. A proxied location with request buffering reads all of it first;
    # it stays in memory, and what is proxied is one small request without a body.
    location = ${UPLOAD_PATH} {
      client_body_buffer_size 2m;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_pass http://unix:${socket};
    }
  }
  server {
    listen unix:${socket};
    location / { return 200 '${UPLOAD_REPLY}'; }
  }
}
`;
}

/** nginx keeps its temporary files where it may write, whoever started it. */
export function temporaryPaths(directory: string): string {
  return ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${directory}/${kind}_temp;`)
    .join('\n  ');
}
