/** Ports of the loopback interface. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { Scope } from './scope.ts';

/** One that is free at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** One that somebody has until the end of the test. */
export async function takenPort(t: Scope): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}
