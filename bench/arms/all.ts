import type { Arm } from './arm.ts';
import { caddy } from './caddy.ts';
import { gatewright, gatewrightBefore, gatewrightPipelined } from './gatewright.ts';
import { haproxy } from './haproxy.ts';
import { nginx, nginxLargeBuffers } from './nginx.ts';
import { fastify, nodeHttp, undiciPool } from './node-servers.ts';

/** In the order in which the rounds go through them and the tables show them. */
export const ARMS: readonly Arm[] = [
  gatewright,
  gatewrightBefore,
  gatewrightPipelined,
  nginx,
  nginxLargeBuffers,
  haproxy,
  caddy,
  undiciPool,
  fastify,
  nodeHttp,
];
