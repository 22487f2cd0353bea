/** A gateway that asks for tokens, and what it answers. */
import type { TestContext } from 'node:test';
import type { ConfigInput } from '../../src/config/schema.ts';
import { FakeClock } from './fake-clock.ts';
import { TestGateway, type GatewayOptions } from './gateway.ts';
import { type Address, RawClient } from './raw-client.ts';
import type { Scope } from './scope.ts';

/** What a client can tell one answer from another by: all of it but the date. */
export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Answers 200 to whoever has a token that these options of `jwt` accept. */
export function tokenConfig(options: unknown, changes: ConfigInput = {}): ConfigInput {
  return {
    telemetry: { accessLog: false },
    listeners: { web: { host: '127.0.0.1', port: 0 } },
    routes: { all: { policies: [{ jwt: options }], respond: { body: 'hello' } } },
    ...changes,
  };
}

export class TokenGateway {
  readonly gateway: TestGateway;
  readonly clock: FakeClock;

  private constructor(gateway: TestGateway, clock: FakeClock) {
    this.gateway = gateway;
    this.clock = clock;
  }

  /** @param now what its clock says, in seconds. */
  static async start(
    t: Scope,
    options: unknown,
    { now = 1_800_000_000, ...rest }: GatewayOptions & { readonly now?: number; readonly changes?: ConfigInput } = {},
  ): Promise<TokenGateway> {
    const clock = new FakeClock(now * 1000);
    const gateway = await TestGateway.open(tokenConfig(options, rest.changes), { ...rest, clock });
    t.after(() => gateway.gateway.stop(0));
    return new TokenGateway(gateway, clock);
  }

  /** @param fields of the head, each with its line break. */
  ask(fields: string, target = '/'): Promise<Answer> {
    return answerTo(this.gateway.address(), fields, target);
  }

  bearer(token: string): Promise<Answer> {
    return this.ask(`authorization: Bearer ${token}\r\n`);
  }
}

let clients = 0;

/**
 * One request on a connection of its own, each time from another client: who fails again and again is slowed down and
 * refused.
 */
export async function answerTo(address: Address, fields: string, target = '/'): Promise<Answer> {
  clients++;
  const localAddress = `127.1.${(clients >> 7) & 127}.${(clients & 127) + 1}`;
  const ends: (() => unknown)[] = [];
  const client = await RawClient.connect({ after: (end: () => unknown) => ends.push(end) } as unknown as TestContext, {
    ...address,
    localAddress,
  });
  client.write(`GET ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${fields}\r\n`);
  await client.untilEnded();
  for (const end of ends) end();
  const text = client.received.replace(/^date: .*\r\n/im, '');
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0), text };
}
