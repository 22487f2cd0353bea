/** Whether the sockets that a configuration asks for can all be there, and are not open to everybody. */
import { type Finding, type Path, formatPath } from '../problem.ts';
import type { AdminConfig, ListenerConfig } from '../schema.ts';

interface Address {
  readonly path: Path;
  readonly host: string;
  readonly port: number;
  readonly unix: string | null;
}

const ANY_HOST: readonly string[] = ['0.0.0.0', '::', ''];

/** No two sockets may want the same address. Port 0 is always a free one. */
export function checkAddresses(
  listeners: Readonly<Record<string, ListenerConfig>>,
  admin: AdminConfig | undefined,
  findings: Finding[],
): void {
  const taken: Address[] = Object.entries(listeners).map(([name, { host, port, unix }]) => ({
    path: ['listeners', name],
    host,
    port,
    unix,
  }));
  if (admin !== undefined) taken.push({ path: ['admin'], host: admin.host, port: admin.port, unix: null });
  for (const [index, address] of taken.entries()) {
    const other = taken.slice(0, index).find((earlier) => collide(earlier, address));
    if (other === undefined) continue;
    const what = address.unix === null ? `port ${address.port}` : 'the socket';
    const message = `${formatPath(address.path)} wants ${what} that ${formatPath(other.path)} has already`;
    const path = [...address.path, address.unix === null ? 'port' : 'unix'];
    findings.push({ severity: 'error', code: 'ADDRESS_TAKEN', message, path });
  }
}

function collide(a: Address, b: Address): boolean {
  if (a.unix !== null || b.unix !== null) return a.unix === b.unix;
  if (a.port !== b.port || a.port === 0) return false;
  return a.host === b.host || ANY_HOST.includes(a.host) || ANY_HOST.includes(b.host);
}

/**
 * Without a token whoever reaches the admin port may do everything, so only this machine may reach it. With one it can be
 * read on the way, as the port speaks http.
 */
export function checkAdmin(admin: AdminConfig | undefined, findings: Finding[]): void {
  if (admin === undefined || isLoopback(admin.host)) return;
  if (admin.token !== undefined) {
    const message = `admin listens on ${admin.host} without TLS: whoever is on the path can read its token; use the host 127.0.0.1 behind something that encrypts, or a network that is yours alone`;
    findings.push({ severity: 'warning', code: 'ADMIN_PLAINTEXT', message, path: ['admin', 'host'] });
    return;
  }
  const message = 'admin is reachable from other machines: give it a token, or the host 127.0.0.1';
  findings.push({ severity: 'error', code: 'ADMIN_EXPOSED', message, path: ['admin', 'host'] });
}

/** Who believes everybody believes nobody: any client can then say that it is any other (CVE-2024-45806). */
export function checkTrust(listeners: Readonly<Record<string, ListenerConfig>>, findings: Finding[]): void {
  for (const [name, { host, unix, trustedProxies }] of Object.entries(listeners)) {
    if (unix !== null || isLoopback(host)) continue;
    const index = trustedProxies.findIndex((block) => block.endsWith('/0'));
    if (index === -1) continue;
    const path = ['listeners', name, 'trustedProxies', index];
    const message = `${formatPath(path)} trusts every address: whoever reaches the listener can claim any client address; name those of your proxies`;
    findings.push({ severity: 'warning', code: 'TRUSTS_EVERYBODY', message, path });
  }
}

/** Whether only this machine can reach what listens on a host. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}$/.test(host);
}
