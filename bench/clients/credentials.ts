/**
 * Makes requests with credentials that wrk cannot have: a client certificate, or a signature that is another one for each
 * request. It is slower than wrk, which does not matter where the CPU time of the gateway is what is measured.
 *
 *   node credentials.ts '{"port": …, "host": …, "seconds": …, "connections": …, "certificate": {…}?, "hmac": {…}?}'
 *
 * Prints `{"requests": n}`, or ends with code 1 at the first answer that is not 200.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Socket, connect } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface CredentialLoad {
  readonly port: number;
  readonly host: string;
  readonly seconds: number;
  readonly connections: number;
  /** For TLS: PEM files, presented if `isShown`. */
  readonly certificate?: { readonly certFile: string; readonly keyFile: string; readonly isShown: boolean };
  readonly hmac?: { readonly keyId: string; readonly secret: string };
}

function open({ port, certificate }: CredentialLoad): Socket {
  if (certificate === undefined) return connect({ host: '127.0.0.1', port });
  const shown = certificate.isShown
    ? { cert: readFileSync(certificate.certFile), key: readFileSync(certificate.keyFile) }
    : {};
  // The certificate of the bench was made a moment ago and nobody signed it.
  return connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false, ...shown });
}

/** RFC 9421, section 2.5, for `GET /` without a query. */
function signatureFields(host: string, { keyId, secret }: NonNullable<CredentialLoad['hmac']>): string {
  const covered = '("@method" "@authority" "@path" "@query")';
  const nonce = randomBytes(12).toString('base64url');
  const input = `${covered};created=${Math.floor(Date.now() / 1000)};nonce="${nonce}";keyid="${keyId}"`;
  const base = `"@method": GET\n"@authority": ${host}\n"@path": /\n"@query": ?\n"@signature-params": ${input}`;
  const signature = createHmac('sha256', secret).update(base).digest('base64');
  return `signature-input: sig=${input}\r\nsignature: sig=:${signature}:\r\n`;
}

async function run(load: CredentialLoad): Promise<number> {
  const { host, hmac } = load;
  const endsAt = performance.now() + load.seconds * 1000;
  let requests = 0;
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = open(load);
      const send = (): void => {
        const fields = hmac === undefined ? '' : signatureFields(host, hmac);
        socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n`);
      };
      socket.once(load.certificate === undefined ? 'connect' : 'secureConnect', send);
      socket.once('error', reject);
      // An answer is so small that it comes in one piece.
      socket.on('data', (bytes: Buffer) => {
        if (!bytes.toString('latin1').startsWith('HTTP/1.1 200 ')) reject(new Error(bytes.toString('latin1', 0, 200)));
        requests++;
        if (performance.now() < endsAt) send();
        else socket.end(resolve);
      });
    });
  await Promise.all(Array.from({ length: load.connections }, one));
  return requests;
}

if (import.meta.main) {
  const requests = await run(JSON.parse(process.argv[2]) as CredentialLoad);
  process.stdout.write(`${JSON.stringify({ requests })}\n`);
}
