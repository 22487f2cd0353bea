/** The socket of the admin API, which moves when the configuration says so. */
import type { AdminConfig } from '../config/schema.ts';
import { AdminServer, type AdminServerOptions } from './admin-server.ts';
import type { AdminPort } from './control.ts';
import type { ControlPlane } from './control-plane.ts';

type Surroundings = Pick<AdminServerOptions, 'log' | 'explain'>;

interface OpenPort {
  readonly config: AdminConfig;
  readonly server: AdminServer;
  readonly url: string;
}

export class MovableAdminPort implements AdminPort {
  private readonly around: Surroundings;
  private open: OpenPort | null = null;
  private control: ControlPlane | null = null;

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

  async prepare(config: AdminConfig): Promise<{ commit(): void; abort(): void }> {
    const { open } = this;
    // Everything but the address is looked up in the configuration that serves.
    if (open !== null && open.config.host === config.host && open.config.port === config.port) {
      return { commit: () => {}, abort: () => {} };
    }
    const { host, port, token = null } = config;
    const server = new AdminServer({ ...this.around, host, port, token, control: this.control });
    const url = await server.listen();
    return {
      commit: () => {
        this.open = { config, server, url };
        void open?.server.close();
      },
      abort: () => void server.close(),
    };
  }

  /** Nobody is answered until it is reopened. */
  async close(): Promise<void> {
    await this.open?.server.close();
  }

  async reopen(): Promise<void> {
    const { open } = this;
    if (open === null) return;
    this.open = null;
    (await this.prepare(open.config)).commit();
  }
}
