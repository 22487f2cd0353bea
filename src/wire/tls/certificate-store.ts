/** The certificates of one listener, kept up to date with their files. */
import { type SecureContext, type SecureContextOptions, type TLSSocket, createSecureContext } from 'node:tls';
import type { Clock } from '../../util/clock.ts';
import { type CertificateGroup, CertificateIndex } from './certificate-index.ts';
import { type PemSource, TlsFileError, reasonOf } from './pem-source.ts';
import { type ServerCertificate, loadServerCertificate } from './server-certificate.ts';

/** Something about a certificate that the operator should know; also when everything else is served. */
export interface TlsProblem {
  readonly severity: 'error' | 'warning';
  /** The path, or the place in the configuration where the PEM text stands. */
  readonly file: string;
  /** One sentence that begins with the file. */
  readonly message: string;
}

export interface CertificateSources {
  readonly cert: PemSource;
  readonly key: PemSource;
}

export interface CertificateStoreOptions {
  readonly certificates: readonly CertificateSources[];
  readonly clientCa: PemSource | null;
  readonly clock: Clock;
  /** Called once for each problem when it appears. */
  readonly report: (problem: TlsProblem) => void;
  /** The options of a context for these certificates; `clientCa` is null when clients are not asked for one. */
  readonly contextOptions: (group: CertificateGroup, clientCa: string | null) => SecureContextOptions;
}

/**
 * Holds what was last read successfully: a file that cannot be used leaves the certificate that it gave before in
 * service, and the others are not concerned. What was given out is never changed, so existing connections keep theirs.
 */
export class CertificateStore {
  private readonly options: CertificateStoreOptions;
  private readonly loaded: (ServerCertificate | null)[];
  private clientCa: string | null = null;
  private index: CertificateIndex;
  private problemList: readonly TlsProblem[] = [];

  constructor(options: CertificateStoreOptions) {
    this.options = options;
    this.loaded = options.certificates.map(() => null);
    this.index = new CertificateIndex([], () => createSecureContext());
    this.reload();
  }

  /** What is wrong with the files as they were last read. */
  get problems(): readonly TlsProblem[] {
    return this.problemList;
  }

  /** The certificates in service, in the order of the configuration. */
  get certificates(): readonly ServerCertificate[] {
    return this.loaded.filter((certificate) => certificate !== null);
  }

  /** The context for a client that asks for this name; undefined when the default is meant. */
  contextFor(serverName: string, client: TLSSocket): SecureContext | undefined {
    return this.index.find(serverName, () => client.getSharedSigalgs());
  }

  /** For connections that name no server, or an unknown one. Without certificate when none could be loaded. */
  defaultContextOptions(): SecureContextOptions {
    return this.options.contextOptions(this.index.defaultGroup, this.clientCa);
  }

  /** Reads all files again. */
  reload(): void {
    const problems: TlsProblem[] = [];
    this.reloadClientCa(problems);
    this.options.certificates.forEach((sources, index) => {
      try {
        this.loaded[index] = loadServerCertificate(sources.cert, sources.key);
      } catch (error) {
        problems.push(problemOf(error, sources.cert.file, this.loaded[index] !== null));
      }
    });
    problems.push(...this.certificates.flatMap((certificate) => this.checkValidity(certificate)));

    this.rebuildIndex(problems);

    const known = new Set(this.problemList.map(({ message }) => message));
    this.problemList = problems;
    for (const problem of problems) {
      if (!known.has(problem.message)) this.options.report(problem);
    }
  }

  private reloadClientCa(problems: TlsProblem[]): void {
    const source = this.options.clientCa;
    if (source === null) return;
    try {
      this.clientCa = source.readCertificates().pem;
    } catch (error) {
      problems.push(problemOf(error, source.file, this.clientCa !== null));
    }
  }

  private rebuildIndex(problems: TlsProblem[]): void {
    // Clients cannot be verified without their authorities, and must then not be let in at all (fail closed).
    const canVerifyClients = this.options.clientCa === null || this.clientCa !== null;
    const usable = canVerifyClients ? this.certificates : [];
    try {
      this.index = new CertificateIndex(usable, (group) =>
        createSecureContext(this.options.contextOptions(group, this.clientCa)),
      );
    } catch (error) {
      const file = usable.at(0)?.file ?? 'certificates';
      problems.push({ severity: 'error', file, message: `${file} cannot be put to use: ${reasonOf(error)}` });
    }
  }

  private checkValidity({ file, validFromMs, validToMs }: ServerCertificate): TlsProblem[] {
    const now = this.options.clock.wallNow();
    if (now > validToMs) return [warning(file, `has expired (${new Date(validToMs).toISOString()})`)];
    if (now < validFromMs) return [warning(file, `is not valid yet (${new Date(validFromMs).toISOString()})`)];
    return [];
  }
}

function warning(file: string, reason: string): TlsProblem {
  return { severity: 'warning', file, message: `${file} ${reason}` };
}

function problemOf(error: unknown, fallbackFile: string, keepsOld: boolean): TlsProblem {
  const file = error instanceof TlsFileError ? error.file : fallbackFile;
  const consequence = keepsOld ? '; what was read before stays in service' : '';
  return { severity: 'error', file, message: `${reasonOf(error)}${consequence}` };
}
