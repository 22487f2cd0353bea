/** What is suspicious about the targets of an upstream and how they are verified. */
import { signingKey } from '../../http/signature-algorithms.ts';
import { type Finding, type Path, formatPath } from '../problem.ts';
import type { UpstreamDeclaration } from '../schema.ts';

type Target = UpstreamDeclaration['targets'][number];
type Auth = NonNullable<UpstreamDeclaration['auth']>;

export function checkUpstream(name: string, { targets, tls, auth }: UpstreamDeclaration, findings: Finding[]): void {
  const path = ['upstreams', name];
  checkRepeated(targets, [...path, 'targets'], findings);
  if (targets.every(({ weight }) => weight === 0)) {
    const message = `${formatPath(path)}.targets: all weights are 0, so that nothing would be sent anywhere`;
    findings.push({ severity: 'error', code: 'BAD_VALUE', message, path: [...path, 'targets'] });
  }
  const isSecure = targets.some((target) => target.tls);
  if (tls.insecure && isSecure) {
    const message = `${formatPath(path)}: its certificate is not verified, so that anybody on the path can read and change what is sent; give tls.ca instead`;
    findings.push({ severity: 'warning', code: 'TLS_UNVERIFIED', message, path: [...path, 'tls', 'insecure'] });
  }
  if (auth !== undefined) checkAuth(auth, [...path, 'auth'], findings);
}

function checkAuth({ signature, clientCredentials }: Auth, path: Path, findings: Finding[]): void {
  if (signature !== undefined) checkKey(signature, [...path, 'signature', 'key'], findings);
  if (clientCredentials === undefined) return;
  const { tokenUrl, issuer = tokenUrl } = clientCredentials;
  if (issuer === undefined || URL.parse(issuer)?.protocol !== 'http:' || isLoopback(issuer)) return;
  const place = [...path, 'clientCredentials', tokenUrl === undefined ? 'issuer' : 'tokenUrl'];
  const message = `${formatPath(place)}: the secret and the token are not encrypted on their way; use https`;
  findings.push({ severity: 'warning', code: 'TLS_UNVERIFIED', message, path: place });
}

function checkKey({ algorithm, key }: NonNullable<Auth['signature']>, path: Path, findings: Finding[]): void {
  try {
    signingKey(algorithm, key);
  } catch (error) {
    const message = `${formatPath(path)}: ${(error as Error).message}`;
    findings.push({ severity: 'error', code: 'BAD_VALUE', message, path });
  }
}

function isLoopback(url: string): boolean {
  return /^(?:localhost|127(?:\.[0-9]+){3}|\[::1\])$/.test(URL.parse(url)?.hostname ?? '');
}

/** One that has an address; those of later releases have none yet. */
function isKnown({ host, unix }: Target): boolean {
  return host !== '' || unix !== null;
}

/** Twice in the list is twice the requests, which nobody means who could have written a weight. */
function checkRepeated(targets: readonly Target[], path: Path, findings: Finding[]): void {
  const seen = new Map<string, number>();
  for (const [index, target] of targets.entries()) {
    if (!isKnown(target)) continue;
    const { tls, host, port, unix } = target;
    const address = JSON.stringify([tls, host, port, unix]);
    const first = seen.get(address);
    if (first === undefined) {
      seen.set(address, index);
      continue;
    }
    const message = `${formatPath([...path, index])} is the same target as ${formatPath([...path, first])}: to send it more requests, give it a weight`;
    findings.push({ severity: 'warning', code: 'REPEATED', message, path: [...path, index] });
  }
}
