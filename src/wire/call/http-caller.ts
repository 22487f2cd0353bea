/**
 * The gateway as a client on its own behalf: asks issuers, authorisation servers and others. Over the same strict wire as
 * proxied requests, with connections that are kept, everything bounded, and one deadline for all there is to a call.
 * Redirects are not followed, and TLS is always verified.
 */
import { CallError, type CallRequest, type CallResponse, type CallTls } from '../../contract.ts';
import { type CallUrl, parseCallUrl } from '../../http/call-url.ts';
import type { Clock } from '../../util/clock.ts';
import type { TimerWheel } from '../timer-wheel.ts';
import { reasonOf } from '../tls/pem-source.ts';
import { UpstreamTls, type UpstreamTlsEnv } from '../tls/upstream-tls.ts';
import type { Connect } from '../upstream-pool.ts';
import { CallOrigin } from './call-origin.ts';
import { callText } from './call-text.ts';

/** Who is called and by which authorities they are verified: so many are remembered, with their connections. */
const maxOrigins = 64;

export interface HttpCallerEnv {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  /** A line in the application log. */
  warn(message: string, about: Readonly<Record<string, string>>): void;
  /** Instead of the network, and of TLS on it. */
  readonly connect?: ((origin: string) => Connect) | undefined;
}

export class HttpCaller {
  private readonly env: HttpCallerEnv;
  /** Those that were used last come last. */
  private readonly origins = new Map<string, CallOrigin>();
  private closed = false;

  constructor(env: HttpCallerEnv) {
    this.env = env;
  }

  /**
   * Makes a call.
   * @throws {CallError} where there is no complete and well-formed answer in time, whatever the cause.
   * @throws {TypeError} for a request that cannot be made: a URL, a method or a header that is none.
   */
  async call(request: CallRequest): Promise<CallResponse> {
    const url = parseCallUrl(request.url);
    const text = callText(request, url);
    if (request.signal?.aborted === true) throw new CallError(`${url.origin}: given up`);
    if (this.closed) throw new CallError(`${url.origin}: the gateway stops`);
    return this.originOf(url, request.tls).call(request, text);
  }

  /** Gives up what is under way and closes all connections. */
  close(): void {
    this.closed = true;
    for (const origin of this.origins.values()) origin.close();
    this.origins.clear();
  }

  private originOf(url: CallUrl, tls: CallTls | undefined): CallOrigin {
    const key = tls?.ca === undefined ? url.origin : `${url.origin} ${tls.ca}`;
    const known = this.origins.get(key);
    if (known !== undefined) this.origins.delete(key);
    else if (this.origins.size >= maxOrigins) this.makeRoom(url.origin);
    const origin = known ?? this.open(url, tls);
    this.origins.set(key, origin);
    return origin;
  }

  private makeRoom(origin: string): void {
    for (const [key, known] of this.origins) {
      if (known.isBusy) continue;
      this.origins.delete(key);
      known.close();
      return;
    }
    throw new CallError(`${origin}: too many others are being called`);
  }

  private open({ origin, isSecure, host, port }: CallUrl, tls: CallTls | undefined): CallOrigin {
    const { wheel } = this.env;
    const connect = this.env.connect?.(origin) ?? null;
    const address = { host, port };
    if (!isSecure || connect !== null) return new CallOrigin(origin, { address, tls: null, connect }, wheel, () => {});
    const verified = this.trust(origin, tls);
    return new CallOrigin(origin, { address, tls: verified.target(host) }, wheel, () => verified.close());
  }

  private trust(origin: string, tls: CallTls | undefined): UpstreamTls {
    const report: UpstreamTlsEnv['report'] = ({ message, file }) => this.env.warn(message, { origin, file });
    try {
      return new UpstreamTls({ ca: tls?.ca }, { baseDir: '/', clock: this.env.clock, report });
    } catch (error) {
      // It names the file and says nothing of what is in it.
      throw new CallError(`${origin}: ${reasonOf(error)}`);
    }
  }
}
