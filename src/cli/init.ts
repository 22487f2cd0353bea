/** `gatewright init`: a first configuration, with what one wants to know next in its comments. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findConfigFile } from '../config/config-file.ts';
import { reasonOf } from '../config/source/interpolation.ts';
import { type CommandIo, exitCodes } from './cli-io.ts';

const STARTER = `# yaml-language-server: $schema=./gateway.schema.json
# The line above lets editors complete and check this file: gatewright schema > gateway.schema.json
#
# gatewright check        every problem at once
# gatewright run          serve

listeners:
  web:
    port: 8080
    # trustedProxies: [10.0.0.0/8]      # whose X-Forwarded-* and Forwarded headers are believed; by default nobody's

# Health for orchestrators: http://127.0.0.1:9901/livez and /readyz
admin:
  port: 9901
  # token: "\${env:GATEWRIGHT_ADMIN_TOKEN}"   # needed to listen on anything but loopback

# Who calls: \`gatewright keys new mobile-app\` makes a key, and prints what to write here.
# consumers:
#   mobile-app:
#     groups: [gold]
#     apiKeys: [{ hash: "sha256:<what it printed>" }]

upstreams:
  app:
    targets:
      - http://127.0.0.1:3000
      # - { url: "http://127.0.0.1:3001", weight: 3 }    # with \`balance: weighted-round-robin\`

# Run before the policies of every route.
defaults:
  policies: [requestId, securityHeaders]
  # timeouts: { connect: 2s, firstByte: 30s, idle: 60s, total: none }

routes:
  # The order of routes has no meaning: the more specific match wins.
  app:
    match: { path: /* }
    upstream: app

  # api:
  #   match: { path: "/api/*", methods: [GET, POST] }
  #   rewrite: { path: "/v1/{*}" }        # /api/users goes to /v1/users
  #   policies:
  #     - cors: { origins: ["https://shop.example.com"] }
  #     - apiKey                          # without one: 401
  #     - authorize: { groups: [gold] }
  #     - bodyLimit: { max: 1MiB }
  #   upstream: app

  health:
    match: { path: /health }
    respond: { status: 200, body: "ok\\n" }
`;

/**
 * Writes `gateway.yaml` into the working folder; never over an existing configuration.
 * @returns the exit code: 0, or 1 when there is a configuration already or it cannot be written.
 */
export function runInit(io: CommandIo): number {
  const existing = findConfigFile(io.cwd);
  if (existing !== null) {
    io.stderr.write(`There is ${existing} already; it was left as it is.\n`);
    return exitCodes.failed;
  }
  try {
    // wx: should the file appear in this very moment, it is not overwritten either.
    writeFileSync(join(io.cwd, 'gateway.yaml'), STARTER, { flag: 'wx' });
  } catch (error) {
    io.stderr.write(`gateway.yaml cannot be written (${reasonOf(error)}).\n`);
    return exitCodes.failed;
  }
  io.stdout.write('Wrote gateway.yaml. Point its upstream to your service, then: gatewright check && gatewright run\n');
  return exitCodes.fine;
}
