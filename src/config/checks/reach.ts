/** Whether requests can be as a route asks for, and whether its answer leads anywhere else, given its listeners. */
import { isIdentity, fieldKind, isClaim } from '../../http/field-kind.ts';
import { type Finding, type Path, formatPath } from '../problem.ts';
import type { FieldMatch, ListenerConfig, RouteDeclaration } from '../schema.ts';

interface Listeners {
  readonly listeners: ReadonlySet<string>;
  readonly acceptedListeners: Readonly<Record<string, ListenerConfig>>;
  readonly findings: Finding[];
}

export function checkReach(route: RouteDeclaration, path: Path, around: Listeners): void {
  const { match, redirect } = route;
  if (match.headers.length === 0 && redirect === undefined) return;
  const entries = entriesOf(route, around);
  if (entries === null) return;
  for (const condition of match.headers) {
    const reason = 'present' in condition && !condition.present ? null : whyItNeverArrives(condition, entries);
    if (reason === null) continue;
    const place = [...path, 'match', 'headers', condition.name];
    const message = `${formatPath(path)} never gets a request: ${reason}`;
    around.findings.push({ severity: 'warning', code: 'ROUTE_UNREACHABLE', message, path: place, atKey: true });
  }
  if (redirect !== undefined && match.headers.length === 0 && leadsBack(redirect.to, entries)) {
    const message = `${formatPath(path)} redirects requests to where they came from: its listeners serve that very scheme and port. Name the listener in match.listener that it is for`;
    around.findings.push({ severity: 'warning', code: 'REDIRECT_LOOP', message, path: [...path, 'redirect', 'to'] });
  }
}

/** The listeners that requests of a route come in on; null when one of them is not known. */
function entriesOf({ match }: RouteDeclaration, around: Listeners): readonly ListenerConfig[] | null {
  const names = match.listener.length === 0 ? [...around.listeners] : match.listener;
  const isKnown = names.every((name) => Object.hasOwn(around.acceptedListeners, name));
  return isKnown && names.length > 0 ? names.map((name) => around.acceptedListeners[name]) : null;
}

/** What a client says about itself is taken away before routes are matched; so are names with `_`. */
function whyItNeverArrives({ name }: FieldMatch, entries: readonly ListenerConfig[]): string | null {
  if (name.includes('_')) {
    if (entries.some(({ limits }) => limits.underscores === 'keep')) return null;
    return `headers with _ in their names, such as ${name}, are dropped (limits.underscores of the listener)`;
  }
  const kind = fieldKind(name);
  if (!isClaim(kind)) return null;
  if (!isIdentity(kind)) return `${name} is taken away before routes are matched, as any client could send it`;
  if (entries.some(({ trustedProxies }) => trustedProxies.length > 0)) return null;
  return `${name} is taken away unless it comes from one of the trustedProxies of the listener, of which there are none`;
}

const ITSELF = /^(https?):\/\/\{host\}(?::([0-9]+))?\{path\}(?:\?\{query\})?$/;

/** Whether it leads to the scheme, host, port and path that every request of it came with. */
function leadsBack(to: string, entries: readonly ListenerConfig[]): boolean {
  const match = ITSELF.exec(to);
  if (match === null) return false;
  const isSecure = match[1] === 'https';
  const port = match[2] === undefined ? (isSecure ? 443 : 80) : Number(match[2]);
  return entries.every(
    (listener) =>
      // A proxy in front may have its own idea of scheme and port.
      listener.trustedProxies.length === 0 &&
      !listener.proxyProtocol &&
      listener.unix === null &&
      listener.port === port &&
      (listener.tls !== undefined) === isSecure,
  );
}
