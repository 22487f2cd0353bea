/** The gateways with a limit on what one client may send, each by its own means. */
import type { PromisedLimit } from '../../src/testing/index.ts';
import { formatRate } from '../../src/util/units.ts';
import type { Arm } from './arm.ts';
import { gatewrightArm } from './gatewright.ts';
import { haproxyArm } from './haproxy.ts';
import { nginxArm } from './nginx.ts';

export interface LimitedArm {
  readonly arm: Arm;
  /** The arm without a limit. */
  readonly of: string;
  /** What this gateway makes of the limit. */
  readonly promised: PromisedLimit;
}

const windowMs = 1000;

/** @param limit in a second. @param burst of those that have one. */
export function limitedArms(limit: number, burst: number): readonly LimitedArm[] {
  const bucket: PromisedLimit = { algorithm: 'gcra', limit, windowMs, burst };
  const sliding: PromisedLimit = { algorithm: 'sliding-window', limit, windowMs, burst: 0 };
  const rate = formatRate(sliding);
  const policies = (options: string): string => `[{rateLimit: {rate: ${rate}, by: ip, ${options}}}]`;
  return [
    {
      of: 'gatewright',
      promised: bucket,
      arm: gatewrightArm('gatewright-gcra', 'Gatewright, `rateLimit` with a burst', {
        policies: policies(`burst: ${burst}`),
      }),
    },
    {
      of: 'gatewright',
      promised: sliding,
      arm: gatewrightArm('gatewright-sliding', 'Gatewright, `rateLimit` with a sliding window', {
        policies: policies('algorithm: sliding-window'),
      }),
    },
    {
      of: 'nginx',
      promised: bucket,
      arm: nginxArm('nginx-limit-req', 'nginx, `limit_req`, nodelay', {
        http: `limit_req_zone $binary_remote_addr zone=clients:10m rate=${limit}r/s; limit_req_status 429;`,
        tuning: `limit_req zone=clients burst=${burst} nodelay;`,
      }),
    },
    ...haproxyArms(sliding),
  ];
}

function haproxyArms(promised: PromisedLimit): readonly LimitedArm[] {
  const { limit } = promised;
  return [
    {
      of: 'haproxy',
      promised,
      // As its documentation has it: what is refused counts as well.
      arm: haproxyArm(
        'haproxy-req-rate',
        'HAProxy, `http_req_rate` in a stick table',
        lines(
          'stick-table type ip size 100k expire 60s store http_req_rate(1s)',
          'http-request track-sc0 src',
          `http-request deny deny_status 429 if { sc_http_req_rate(0) gt ${limit} }`,
        ),
      ),
    },
    {
      of: 'haproxy',
      promised,
      // Only what comes through counts, which takes a counter of one's own.
      arm: haproxyArm(
        'haproxy-gpc-rate',
        'HAProxy, `gpc0_rate`, which counts what it admits',
        lines(
          'stick-table type ip size 100k expire 60s store gpc0,gpc0_rate(1s)',
          'http-request track-sc0 src',
          `http-request deny deny_status 429 if { sc_gpc0_rate(0) ge ${limit} }`,
          'http-request sc-inc-gpc0(0)',
        ),
      ),
    },
  ];
}

const lines = (...rules: readonly string[]): string => rules.join('\n  ');
