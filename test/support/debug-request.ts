/** Signed requests to be explained, and what is answered. */
import assert from 'node:assert/strict';
import type { LiveExplanation } from '../../src/compile/explain/explanation.ts';
import type { ConfigInput } from '../../src/config/schema.ts';
import { signDebug } from '../../src/http/debug-signature.ts';
import { type ResponseMessage, fieldValue } from './message-parser.ts';

export const debugEnv = { GATEWRIGHT_DEBUG_SECRET: 'canary-secret-of-the-debug-header-0123' };
const secret = debugEnv.GATEWRIGHT_DEBUG_SECRET;
const debug = { secret: '${env:GATEWRIGHT_DEBUG_SECRET}' };
/** The Host of `message`. */
export const debugHost = 'api.example.com';

/** The configuration with the debug header, whose secret is in `debugEnv`. */
export function withDebug(config: ConfigInput): ConfigInput {
  return { ...config, telemetry: { accessLog: false, debug } };
}

const nowSeconds = (): number => Math.floor(Date.now() / 1000);

/** The header with the signature of the request of this line. */
export function signed(line: string, { key = secret, seconds = nowSeconds(), authority = debugHost } = {}): string {
  const [method, target] = line.split(' ');
  return `gatewright-debug: ${signDebug(key, { method, authority, target }, seconds)}\r\n`;
}

/** A request for the host that is signed. */
export const message = (line: string, fields = ''): string => `${line}\r\nhost: ${debugHost}\r\n${fields}\r\n`;

/** What the response says of how its request was handled. */
export function liveOf({ fields }: Pick<ResponseMessage, 'fields'>): LiveExplanation {
  const value = fieldValue(fields, 'gatewright-debug');
  assert.ok(value, 'there is no gatewright-debug');
  assert.match(value, /^[\x20-\x7e]{1,8192}$/);
  return JSON.parse(value) as LiveExplanation;
}
