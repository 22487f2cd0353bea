import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { firstLineOf } from '../lab.ts';
import { routePrefixes, type Arm, type Assignment } from './arm.ts';

export const caddy: Arm = {
  name: 'caddy',
  title: 'Caddy',
  routes: true,
  installHint: 'apt-get install caddy',
  version: () => firstLineOf('caddy', ['version'])?.split(' ', 1)[0],
  prepare(assignment) {
    const file = join(assignment.directory, 'Caddyfile');
    writeFileSync(file, configuration(assignment));
    return {
      command: 'caddy',
      args: ['run', '--config', file, '--adapter', 'caddyfile'],
      // One core, one scheduler: more would only switch among each other. Caddy's own directories stay with the rest.
      env: { GOMAXPROCS: '1', XDG_DATA_HOME: assignment.directory, XDG_CONFIG_HOME: assignment.directory },
    };
  },
};

function configuration({ port, upstreamPort, tls, routes }: Assignment): string {
  // Without `compression off` Caddy would ask the upstream for gzip and unpack it, which nobody else does.
  const proxy = `reverse_proxy 127.0.0.1:${upstreamPort} {
      transport http {
        keepalive 600s
        keepalive_idle_conns 4096
        keepalive_idle_conns_per_host 1024
        compression off
      }
    }`;
  const handlers =
    routes === 0
      ? proxy
      : routePrefixes(routes)
          .map((prefix) => `handle ${prefix}/* {\n    ${proxy}\n  }`)
          .join('\n  ');
  return `
{
  admin off
  auto_https off
  grace_period 1s
  log {
    output discard
  }
  servers {
    protocols h1
    timeouts {
      idle 600s
    }
  }
}

${tls ? 'https' : 'http'}://:${port} {
  bind 127.0.0.1
  ${tls ? `tls ${tls.certFile} ${tls.keyFile}` : ''}
  ${handlers}
}
`;
}
