/** Stands between a client and a Redis on loopback, and passes on what that says as late as the test wants, or says something else. */
import { once } from 'node:events';
import { type Server, type Socket, connect, createServer } from 'node:net';
import type { Scope } from './scope.ts';

export class SlowProxy {
  /** How late what the server says arrives. */
  delayMs = 0;
  /** What each command is answered with, instead of being passed on. */
  instead: string | null = null;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();

  static async start(t: Scope, port: number): Promise<SlowProxy> {
    const proxy = new SlowProxy(port);
    proxy.server.listen(0, '127.0.0.1');
    await once(proxy.server, 'listening');
    t.after(() => proxy.close());
    return proxy;
  }

  private constructor(port: number) {
    this.server = createServer((client) => {
      const behind = connect(port, '127.0.0.1');
      for (const socket of [client, behind]) {
        this.sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => {
          this.sockets.delete(socket);
          client.destroy();
          behind.destroy();
        });
      }
      client.on('data', (bytes) => {
        if (this.instead === null) behind.write(bytes);
        else client.write(this.instead.repeat(bytes.toString('latin1').match(/\*\d+\r\n\$/g)?.length ?? 0));
      });
      let last = Promise.resolve();
      behind.on('data', (bytes) => {
        const wait = new Promise((resolve) => setTimeout(resolve, this.delayMs));
        last = Promise.all([last, wait]).then(() => void client.write(bytes));
      });
    });
  }

  get url(): string {
    const address = this.server.address();
    if (typeof address !== 'object' || address === null) throw new Error('the proxy does not listen');
    return `redis://127.0.0.1:${address.port}`;
  }

  private close(): void {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }
}
