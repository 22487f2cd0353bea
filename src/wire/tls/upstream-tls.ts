/** TLS on the side of the upstreams: what `tls.connect` needs for one target. */
import { isIP } from 'node:net';
import {
  type ConnectionOptions,
  type SecureContext,
  type SecureContextOptions,
  type TLSSocket,
  checkServerIdentity,
  createSecureContext,
} from 'node:tls';
import type { Clock } from '../../util/clock.ts';
import type { TlsProblem } from './certificate-store.ts';
import { type WatchFiles, pollFiles } from '../file-watch.ts';
import { PemSource, TlsFileError, reasonOf } from './pem-source.ts';
import { readIdentity } from './server-certificate.ts';

/** As in the configuration. Certificates and keys are names of PEM files, or PEM text. */
export interface UpstreamTlsConfig {
  /** The authorities that vouch for the target; by default those that the platform trusts. */
  readonly ca?: string | undefined;
  /** The certificate by which the gateway identifies itself, and its key. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** The name that is asked for (SNI) and that the certificate must be good for; by default the host of the target. */
  readonly serverName?: string | undefined;
  /** Accept any certificate. Whoever can reach the connection can then read and change everything on it. */
  readonly insecure?: boolean | undefined;
}

export interface UpstreamTlsEnv {
  readonly baseDir: string;
  readonly clock: Clock;
  /** Called when a file was replaced by one that cannot be used. */
  readonly report: (problem: TlsProblem) => void;
  readonly watch?: WatchFiles;
}

/** The TLS of one upstream: verified by default, at least TLS 1.2. */
export class UpstreamTls {
  private readonly config: UpstreamTlsConfig;
  private readonly sources: UpstreamSources;
  private readonly report: (problem: TlsProblem) => void;
  private readonly stopWatching: () => void;
  private context: SecureContext;

  /** @throws {TlsFileError} when a file cannot be used. Nobody is talked to with less than was configured. */
  constructor(config: UpstreamTlsConfig, env: UpstreamTlsEnv) {
    this.config = config;
    this.sources = new UpstreamSources(config, env.baseDir);
    this.report = env.report;
    const watch = env.watch ?? pollFiles(env.clock);
    // Watching begins before reading, so that nothing is missed in between.
    this.stopWatching = watch(this.sources.files, () => this.reload());
    try {
      this.context = this.sources.createContext();
    } catch (error) {
      this.stopWatching();
      throw error;
    }
  }

  /** @param host of the target, as in its URL; an IPv6 address without brackets. */
  target(host: string): TargetTls {
    return new TargetTls(() => this.context, this.config.serverName ?? host, this.config.insecure ?? false);
  }

  /** Stops watching the files. Targets go on with what was read last. */
  close(): void {
    this.stopWatching();
  }

  private reload(): void {
    try {
      this.context = this.sources.createContext();
    } catch (error) {
      const file = error instanceof TlsFileError ? error.file : 'tls';
      this.report({ severity: 'error', file, message: `${reasonOf(error)}; what was read before stays in use` });
    }
  }
}

/**
 * The TLS of one target. Keeps the last session, so that another connection costs no full handshake: it is this target's
 * own, began with its certificate verified, and is dropped when a file has changed.
 */
export class TargetTls {
  private readonly currentContext: () => SecureContext;
  private readonly name: string;
  private readonly isInsecure: boolean;
  private session: { readonly data: Buffer; readonly context: SecureContext } | null = null;

  constructor(currentContext: () => SecureContext, name: string, isInsecure: boolean) {
    this.currentContext = currentContext;
    this.name = name;
    this.isInsecure = isInsecure;
  }

  /**
   * Options for `tls.connect`, all but the address. Give the socket to `attach`; the target is verified when it emits
   * `secureConnect`, and nothing may be sent before.
   */
  connectOptions(): ConnectionOptions {
    const context = this.currentContext();
    const session = this.session?.context === context ? this.session.data : undefined;
    return {
      secureContext: context,
      // An IP address is no server name (RFC 6066, section 3); the empty string sends none.
      servername: isIP(this.name) === 0 ? this.name : '',
      // Explicit, so that NODE_TLS_REJECT_UNAUTHORIZED in somebody's environment changes nothing.
      rejectUnauthorized: !this.isInsecure,
      checkServerIdentity: (_, certificate) => checkServerIdentity(this.name, certificate),
      ALPNProtocols: ['http/1.1'],
      ...(session === undefined ? {} : { session }),
    };
  }

  /** Remembers the session that the target offers, for the next connection. */
  attach(socket: TLSSocket): void {
    const context = this.currentContext();
    socket.on('session', (data) => {
      this.session = { data, context };
    });
    // A session that the target no longer likes must not stand in the way of the next handshake.
    socket.on('error', () => {
      this.session = null;
    });
  }
}

class UpstreamSources {
  private readonly ca: PemSource | null;
  private readonly identity: { readonly cert: PemSource; readonly key: PemSource } | null;

  constructor({ ca, cert, key }: UpstreamTlsConfig, baseDir: string) {
    this.ca = ca === undefined ? null : new PemSource(ca, baseDir, 'tls.ca');
    if (cert !== undefined && key !== undefined) {
      this.identity = { cert: new PemSource(cert, baseDir, 'tls.cert'), key: new PemSource(key, baseDir, 'tls.key') };
      return;
    }
    const lone = cert ?? key;
    if (lone !== undefined) {
      const { file } = new PemSource(lone, baseDir, cert === undefined ? 'tls.key' : 'tls.cert');
      throw new TlsFileError(file, 'is of no use alone: `cert` and `key` belong together');
    }
    this.identity = null;
  }

  get files(): string[] {
    const all = [this.ca, this.identity?.cert, this.identity?.key];
    return all.flatMap((source) => (source?.isFile === true ? [source.file] : []));
  }

  /** @throws {TlsFileError} */
  createContext(): SecureContext {
    const options: SecureContextOptions = { minVersion: 'TLSv1.2' };
    if (this.ca !== null) options.ca = this.ca.readCertificates().pem;
    if (this.identity !== null) {
      const { certPem, keyPem } = readIdentity(this.identity.cert, this.identity.key);
      options.cert = certPem;
      options.key = keyPem;
    }
    return createSecureContext(options);
  }
}
