/** The socket of the admin API, which moves when the configuration says so. */
import type { AdminConfig } from '../config/schema.ts';
import { ListenError } from '../gateway/gateway.ts';
import { listenReason } from '../gateway/places.ts';
import { assertFree } from '../wire/listening-socket.ts';
import type { AdminServer, AdminServerOptions } from './admin-server.ts';
import type { AdminPort } from './control.ts';
import type { ControlPlane } from './control-plane.ts';

type Surroundings = Pick<AdminServerOptions, 'log'>;

interface OpenPort {
  readonly config: AdminConfig;
  readonly server: AdminServer;
  readonly url: string;
}

export class MovableAdminPort implements AdminPort {
  private readonly around: Surroundings;
  private open: OpenPort | null = null;
  private control: ControlPlane | null = null;
  /** Where it listened when it was closed. */
  private closed: AdminConfig | null = null;

  constructor(around: Surroundings) {
    this.around = around;
  }

  /** The URL that it answers at. */
  get url(): string {
    return this.open?.url ?? '';
  }

  /** The gateway serves: from now on the API tells about it and changes it. */
  attach(control: ControlPlane): void {
    this.control = control;
    this.open?.server.attach(control);
  }

  /**
   * So that a start fails before it serves anybody.
   * @throws {ListenError}
   */
  static async assertFree({ host, port }: AdminConfig): Promise<void> {
    try {
      await assertFree({ host, port });
    } catch (error) {
      throw new ListenError(`the admin port cannot listen on ${host}:${port}: ${listenReason(error)}`);
    }
  }

  async prepare(config: AdminConfig): Promise<{ commit(): void; abort(): void }> {
    const { open } = this;
    // Everything but the address is looked up in the configuration that serves.
    if (open !== null && open.config.host === config.host && open.config.port === config.port) {
      return { commit: () => {}, abort: () => {} };
    }
    const server = await this.createServer(config);
    try {
      return this.readied({ config, server, url: await server.listen() });
    } catch (error) {
      // An address that includes the one that is open, `0.0.0.0` and `127.0.0.1`, is free only without that.
      if (open === null || open.config.port !== config.port) throw error;
      return this.prepareInPlace(config);
    }
  }

  /** The API is a good part of what a start would load, and nobody asks for it before the gateway serves. */
  private async createServer(config: AdminConfig): Promise<AdminServer> {
    const { AdminServer } = await import('./admin-server.ts');
    const { host, port, token = null } = config;
    return new AdminServer({ ...this.around, host, port, token, control: this.control });
  }

  private readied(next: OpenPort): { commit(): void; abort(): void } {
    const { open } = this;
    return {
      commit: () => {
        this.open = next;
        void open?.server.close();
      },
      abort: () => void next.server.close(),
    };
  }

  private async prepareInPlace(config: AdminConfig): Promise<{ commit(): void; abort(): void }> {
    await this.close();
    try {
      const server = await this.createServer(config);
      const next = { config, server, url: await server.listen() };
      const goBack = async (): Promise<void> => {
        await server.close();
        await this.reopen();
      };
      // Where somebody else has taken its place meanwhile there is no way back, and nobody to be told at this port.
      return { commit: () => void (this.open = next), abort: () => void goBack().catch(() => {}) };
    } catch (error) {
      await this.reopen();
      throw error;
    }
  }

  /** Nobody is answered until it is reopened. */
  async close(): Promise<void> {
    const { open } = this;
    if (open === null) return;
    this.open = null;
    this.closed = open.config;
    await open.server.close();
  }

  /** Listens again where it did when it was closed; changes nothing if it was not. */
  async reopen(): Promise<void> {
    const { closed } = this;
    if (closed !== null && this.open === null) (await this.prepare(closed)).commit();
  }
}
