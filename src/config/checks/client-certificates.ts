/** Whether a route that wants client certificates can get any. */
import { type Finding, formatPath } from '../problem.ts';
import type { ListenerConfig, PolicyUse, RouteConfig } from '../schema.ts';

interface Listeners {
  readonly listeners: ReadonlySet<string>;
  readonly acceptedListeners: Readonly<Record<string, ListenerConfig>>;
  readonly findings: Finding[];
}

/** A certificate is only shown to a listener that asks for it, with `tls.clientAuth`. */
export function checkClientCertificates({ name, match, policies }: RouteConfig, around: Listeners): void {
  if (!policies.some(wantsCertificate)) return;
  const names = match.listener.length === 0 ? [...around.listeners] : match.listener;
  const { acceptedListeners } = around;
  if (!names.every((listener) => Object.hasOwn(acceptedListeners, listener))) return;
  if (names.some((listener) => acceptedListeners[listener].tls?.clientAuth !== undefined)) return;
  const path = ['routes', name];
  const message = `${formatPath(path)} has mtls, and none of its listeners asks for client certificates: give one of them tls.clientAuth`;
  around.findings.push({ severity: 'warning', code: 'NO_CLIENT_CERTIFICATES', message, path, atKey: true });
}

/** Also as one of several ways to authenticate. */
function wantsCertificate({ name, module, options }: PolicyUse): boolean {
  if (module !== null) return false;
  return (
    name === 'mtls' || (name === 'anyOf' && Array.isArray(options) && (options as PolicyUse[]).some(wantsCertificate))
  );
}
