/** Gateways whose routes use policies that the test has written down as plain objects. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Exchange, Policy, PolicyDefinition } from '../../src/contract.ts';
import type { ConfigInput } from '../../src/config/schema.ts';
import type { ProxyExchange } from '../../src/proxy/exchange.ts';
import { type GatewayOptions, type ProxySettings, TestGateway, proxyTo } from '../support/gateway.ts';
import { policyOf } from '../support/inline-policy.ts';

export const get = (path = '/', fields = ''): string => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n${fields}\r\n`;
export const head = (path = '/', fields = ''): string => `HEAD ${path} HTTP/1.1\r\nhost: localhost\r\n${fields}\r\n`;
export const post = (body: string, fields = ''): string =>
  `POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${body.length}\r\n${fields}\r\n${body}`;
/** Each piece as a chunk of its own. */
export const postChunks = (...pieces: string[]): string =>
  `POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n${chunks(...pieces)}`;

/** A chunked body. */
export function chunks(...pieces: string[]): string {
  return `${pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('')}0\r\n\r\n`;
}

/** What a configuration writes for the policy with this index. */
export const fileOf = (index: number): string => `./p${index}.ts`;
/** What the log calls it. */
export const nameOf = (index: number): string => `p${index}`;

/** The policies as modules for `TestGateway.start`. */
export function asModules(policies: readonly Policy[]): Record<string, PolicyDefinition> {
  return Object.fromEntries(
    policies.map((policy, index) => [fileOf(index), { ...policyOf(policy), name: nameOf(index) }]),
  );
}

/** Starts a gateway with one route, to this target, that uses these policies in this order. */
export function startWith(
  t: TestContext,
  url: string,
  policies: readonly Policy[],
  settings: ProxySettings = {},
  options: Pick<GatewayOptions, 'clock'> = {},
): Promise<TestGateway> {
  const route = { policies: policies.map((_, index) => ({ use: fileOf(index) })), ...settings.route };
  return startConfig(t, proxyTo(url, { ...settings, route }), policies, options);
}

/** Starts a gateway whose configuration refers to these policies by `fileOf`. */
export function startConfig(
  t: TestContext,
  config: ConfigInput,
  policies: readonly Policy[],
  options: Pick<GatewayOptions, 'clock'> = {},
): Promise<TestGateway> {
  return TestGateway.start(t, config, { ...options, modules: asModules(policies) });
}

/** A policy that notes each of its hooks as `name.hook`; it has those of `other` besides. */
export function noting(notes: string[], name: string, other: Policy = {}): Policy {
  const note = (hook: string): void => void notes.push(`${name}.${hook}`);
  return {
    ...other,
    onRequest(exchange) {
      note('onRequest');
      return other.onRequest?.(exchange);
    },
    onUpstreamRequest(exchange, request) {
      note('onUpstreamRequest');
      return other.onUpstreamRequest?.(exchange, request);
    },
    onResponse(exchange) {
      note('onResponse');
      return other.onResponse?.(exchange);
    },
    onFinish(exchange, outcome) {
      note('onFinish');
      other.onFinish?.(exchange, outcome);
    },
  };
}

/** Requests on their way to the target that this exchange was sent to, as its balancer counts them. */
export function inFlight(exchange: Exchange): number | undefined {
  return (exchange as ProxyExchange).forward?.target?.inFlight;
}

/** Checks the one line that the log has of a failed policy. */
export function assertBlamed(gateway: TestGateway, index: number, message: RegExp = /^boom$/): void {
  const lines = gateway.log.filter(({ level }) => level !== 'info');
  assert.equal(lines.length, 1, JSON.stringify(lines));
  const { error, ...about } = lines[0].about;
  assert.deepEqual(
    [lines[0].level, lines[0].message, about],
    ['error', 'a policy failed', { policy: nameOf(index), route: 'all' }],
  );
  assert.match((error as Error).message, message);
}
