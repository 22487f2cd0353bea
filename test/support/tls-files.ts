/** A certificate for loopback, in files as a configuration names them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { makeCertificate } from './certificates.ts';

export interface TlsFiles {
  /** Paths. The certificate is its own authority. */
  readonly cert: string;
  readonly key: string;
  /** What is in them. */
  readonly certPem: string;
  readonly keyPem: string;
}

/** For `localhost` and `127.0.0.1`; the files are gone after the test. */
export function makeTlsFiles(t: TestContext): TlsFiles {
  const folder = mkdtempSync(join(tmpdir(), 'gatewright-tls-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const { cert, key } = makeCertificate({
    commonName: 'localhost',
    altNames: ['DNS:localhost', 'IP:127.0.0.1'],
    isAuthority: true,
  });
  const files = { cert: join(folder, 'server.pem'), key: join(folder, 'server.key') };
  writeFileSync(files.cert, cert);
  writeFileSync(files.key, key);
  return { ...files, certPem: cert, keyPem: key };
}
