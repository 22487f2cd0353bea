/** Calls that the gateway makes itself, to a server of the test. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { CallError, type CallRequest, type CallResponse } from '../../src/contract.ts';
import { HttpCaller } from '../../src/wire/call/http-caller.ts';
import { TimerWheel } from '../../src/wire/timer-wheel.ts';
import { FakeClock } from './fake-clock.ts';
import { RawUpstream, type UpstreamScript } from './raw-upstream.ts';

/** A secret that no message may repeat. */
export const canary = 'canary-3f9c';

export interface CallSetting {
  readonly server: RawUpstream;
  readonly clock: FakeClock;
  readonly caller: HttpCaller;
  /** Calls the server; path and options may be replaced. */
  readonly call: (options?: Partial<CallRequest> & { readonly path?: string }) => Promise<CallResponse>;
}

/** A caller that is closed after the test. */
export function callerOf(t: TestContext, clock: FakeClock = new FakeClock()): HttpCaller {
  const caller = new HttpCaller({ clock, wheel: new TimerWheel(clock), warn: () => {} });
  t.after(() => caller.close());
  return caller;
}

/** A server that does as it is told, and a caller of it. */
export async function startCaller(t: TestContext, script?: UpstreamScript): Promise<CallSetting> {
  const server = await RawUpstream.start(t, script);
  const clock = new FakeClock();
  const caller = callerOf(t, clock);
  return {
    server,
    clock,
    caller,
    call: ({ path = '/', ...options } = {}) =>
      caller.call({ url: `${server.url}${path}`, timeoutMs: 1000, maxBytes: 100_000, ...options }),
  };
}

export const textOf = ({ body }: CallResponse): string => Buffer.from(body).toString();

/** The message of a call that fails, after the origin. */
export async function failureOf(response: Promise<CallResponse>): Promise<string> {
  const error = await response.then(
    ({ status }) => assert.fail(`there was an answer: ${status}`),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof CallError, String(error));
  assert.ok(!error.message.includes(canary), error.message);
  return error.message.replace(/^https?:\/\/[^/ ]*: /, '');
}
