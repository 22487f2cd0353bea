/** An issuer of tokens with a server of its own on the loopback interface, which behaves well or badly as it is told to. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Scope } from './scope.ts';
import { Changes } from './changes.ts';
import { type SigningPair, signingPair, tokenOf } from './tokens.ts';

export type IssuerMood = 'well' | 'hangs' | 'breaks-off' | 'garbage' | 'fails' | 'empty' | 'huge' | 'redirects';

export class TestIssuer {
  pairs: SigningPair[];
  mood: IssuerMood = 'well';
  /** Paths that were asked for. */
  readonly asked: string[] = [];
  private readonly server: Server;
  readonly port: number;
  private readonly changes = new Changes();

  private constructor(server: Server, pairs: SigningPair[]) {
    this.server = server;
    this.pairs = pairs;
    this.port = (server.address() as AddressInfo).port;
  }

  static async start(t: Scope, pairs = [signingPair('ES256', 'key-1')]): Promise<TestIssuer> {
    const server = createServer({ keepAlive: false });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const issuer = new TestIssuer(server, pairs);
    server.on('request', (request, response) => {
      issuer.note(request.url!);
      switch (issuer.mood) {
        case 'hangs':
          return;
        case 'breaks-off':
          response.writeHead(200, { 'content-length': '1000' });
          response.write('{"keys":', () => request.socket.destroy());
          return;
        case 'fails':
          response.writeHead(503).end('{"keys":[]}');
          return;
        case 'redirects':
          response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end();
          return;
        default:
          response.end(issuer.bodyFor(request.url!));
      }
    });
    t.after(() => issuer.stop());
    return issuer;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get jwks(): string {
    return `${this.url}/jwks`;
  }

  /** How often the keys were asked for. */
  get fetches(): number {
    return this.asked.filter((path) => path === '/jwks').length;
  }

  /** Signed with the key that was added last. */
  token(claims: Readonly<Record<string, unknown>>, pair = this.pairs.at(-1)!): string {
    return tokenOf(pair, { iss: this.url, ...claims });
  }

  /** Resolves once the keys were asked for that often. */
  untilFetched(times: number): Promise<void> {
    return this.changes.until(
      () => this.fetches >= times,
      () => `${times} fetches; asked for was ${this.asked.join(' ')}`,
    );
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    if (!this.server.listening) return;
    this.server.close();
    await once(this.server, 'close');
  }

  private note(path: string): void {
    this.asked.push(path);
    this.changes.notify();
  }

  private bodyFor(path: string): string {
    const isKeys = path === '/jwks';
    if (this.mood === 'garbage') return '<html>sorry</html>';
    if (this.mood === 'empty') return '';
    if (this.mood === 'huge') return `{"keys":[${'{},'.repeat(200_000)}{}]}`;
    if (isKeys) return JSON.stringify({ keys: this.pairs.map(({ jwk }) => jwk) });
    return JSON.stringify({ issuer: this.url, jwks_uri: this.jwks });
  }
}
