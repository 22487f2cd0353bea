/** An admin server on a real socket, and a client that says exactly what it is told. */
import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http';
import { AdminServer, type AdminServerOptions } from '../../src/admin/admin-server.ts';
import { AppLog } from '../../src/telemetry/app-log.ts';
import type { TestOptions } from '../config/load-text.ts';
import { FakeClock } from '../support/fake-clock.ts';
import type { Schema } from '../../src/util/schema.ts';
import type { Scope } from '../support/scope.ts';
import { FakeControlPlane } from './fake-control-plane.ts';

export const token = 'correct-horse-battery-staple';
export const withToken = { authorization: `Bearer ${token}` };

/** Has a bit of everything. */
const configText = `
admin: {port: 9901, token: "\${env:GATEWRIGHT_ADMIN_TOKEN}"}
listeners: {web: {port: 8080}}
upstreams:
  catalog: {targets: ["http://127.0.0.1:3001", {url: "http://127.0.0.1:3002", weight: 3}]}
  next: {targets: ["http://127.0.0.1:3003"]}
  unused: {targets: ["http://127.0.0.1:3004"]}
routes:
  catalog:
    match: {host: api.example.com, path: /catalog/*, methods: [GET, HEAD], headers: {x-version: "2"}}
    policies: [requestId]
    upstream: [{upstream: catalog, weight: 90}, {upstream: next, weight: 10}]
  old: {match: {path: /old/*}, redirect: {to: "https://new.example.com/{*}"}}
  all: {respond: {status: 418}}
`;

export const json = { ...withToken, 'content-type': 'application/json' };
export const yaml = { ...withToken, 'content-type': 'application/yaml' };

/** Parses strictly: what a schema does not declare is an error. */
export function holds<T>(schema: Schema<T>, value: unknown): T {
  return schema.parse(value);
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Parsed from the text. */
  readonly json: Record<string, unknown>;
}

export interface Question {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Buffer;
}

export class AdminApi {
  readonly server: AdminServer;
  readonly control: FakeControlPlane;
  readonly clock: FakeClock;
  readonly url: string;
  private readonly lines: readonly string[];

  private constructor(server: AdminServer, control: FakeControlPlane, clock: FakeClock, url: string, lines: string[]) {
    this.server = server;
    this.control = control;
    this.clock = clock;
    this.url = url;
    this.lines = lines;
  }

  /** Starts one with a token, unless its configuration has none. It is closed at the end of the test. */
  static async start(
    t: Scope,
    text: string = configText,
    options: Partial<AdminServerOptions> = {},
    loadOptions: TestOptions = {},
  ): Promise<AdminApi> {
    const control = await FakeControlPlane.load(text, { env: { GATEWRIGHT_ADMIN_TOKEN: token }, ...loadOptions });
    const clock = new FakeClock();
    const lines: string[] = [];
    const log = new AppLog({ clock, secrets: control.secrets, write: (line) => lines.push(line) });
    const standard = { host: '127.0.0.1', port: 0, token, control, log, clock };
    const server = new AdminServer({ ...standard, ...options });
    const url = await server.listen();
    t.after(() => server.close());
    return new AdminApi(server, control, clock, url, lines);
  }

  get log(): string {
    return this.lines.join('');
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** Asks with the token, unless other headers are given. */
  ask(path: string, { method = 'GET', headers = withToken, body }: Question = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const asking = request(`${this.url}${path}`, { method, headers, agent: false }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            get json() {
              return JSON.parse(text) as Record<string, unknown>;
            },
          }),
        );
      });
      asking.on('error', reject);
      asking.end(body);
    });
  }

  /** The status of an answer, and the code if it is a problem. */
  async outcome(path: string, question?: Question): Promise<string> {
    const { status, headers, text } = await this.ask(path, question);
    const isProblem = headers['content-type'] === 'application/problem+json';
    return isProblem ? `${status} ${(JSON.parse(text) as { code: string }).code}` : String(status);
  }
}
