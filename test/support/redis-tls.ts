/** A real `redis-server` that is reached by TLS, with certificates made on the spot. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Certificate, makeCertificate } from './certificates.ts';
import { folderWith } from './command.ts';
import { freePort } from './free-port.ts';
import { RedisServer } from './redis-server.ts';
import type { Scope } from './scope.ts';

/** Where its certificates lie; what is written there anew is used by the next start. */
export interface TlsFolder {
  readonly authority: Certificate;
  /** PEM files by their absolute paths. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface TlsRedis extends TlsFolder {
  /** To be asked without TLS, by the test alone. */
  readonly server: RedisServer;
  /** The port of TLS. */
  readonly port: number;
}

export function makeAuthority(commonName = 'authority'): Certificate {
  return makeCertificate({ commonName, isAuthority: true });
}

/** A folder with a certificate for these names, by this authority. */
export async function tlsFolder(
  t: Scope,
  altNames: readonly string[],
  authority: Certificate = makeAuthority(),
): Promise<TlsFolder> {
  const folder = await folderWith(t);
  const files = { ca: join(folder, 'ca.pem'), cert: join(folder, 'server.pem'), key: join(folder, 'server.key') };
  await writeCertificates({ ...files, authority }, altNames);
  return { ...files, authority };
}

export async function writeCertificates(files: TlsFolder, altNames: readonly string[]): Promise<void> {
  const { cert, key } = makeCertificate({ commonName: 'redis', altNames, issuer: files.authority });
  await writeFile(files.ca, files.authority.cert);
  await writeFile(files.cert, cert);
  await writeFile(files.key, key);
}

/** What a server is started with to be reached by TLS. */
export function tlsArguments(files: TlsFolder, port: number, asksClients: boolean): readonly string[] {
  const { ca, cert, key } = files;
  const named = ['--tls-port', String(port), '--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', ca];
  return [...named, '--tls-auth-clients', asksClients ? 'yes' : 'no'];
}

interface Wanted {
  /** Of its certificate; by default the name and the address that a test reaches it by. */
  readonly altNames?: readonly string[];
  /** Whoever has no certificate of its authority is refused. */
  readonly asksClients?: boolean;
}

export async function startTlsRedis(t: Scope, wanted: Wanted = {}): Promise<TlsRedis> {
  const { altNames = ['DNS:localhost', 'IP:127.0.0.1'], asksClients = false } = wanted;
  const files = await tlsFolder(t, altNames);
  const port = await freePort();
  const server = await RedisServer.start(t, tlsArguments(files, port, asksClients));
  return { ...files, server, port };
}
