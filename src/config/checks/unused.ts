/** What is defined, but used by nothing: mostly a forgotten line, sometimes a mistyped one. */
import type { Finding } from '../problem.ts';
import type { Sections } from '../sections.ts';

/** @param used the upstreams that routes name, the named policies and the stores that are used anywhere. */
export function checkUnused(
  { accepted, names }: Sections,
  used: Readonly<Record<'upstreams' | 'policies' | 'stores', ReadonlySet<string>>>,
  findings: Finding[],
): void {
  if (isEmpty(accepted.routes ?? {})) {
    const message = 'there are no routes: every request will be answered 404';
    findings.push({ severity: 'warning', code: 'NO_ROUTES', message, path: [] });
  }
  for (const name of names.upstreams) {
    if (!used.upstreams.has(name)) findings.push(unused('upstreams', name));
  }
  for (const name of names.stores) {
    if (!used.stores.has(name)) findings.push(unused('stores', name));
  }
  for (const name of Object.keys(accepted.policies ?? {})) {
    if (!used.policies.has(name)) findings.push(unused('policies', name));
  }
}

function isEmpty(object: object): boolean {
  for (const _ in object) return false;
  return true;
}

function unused(section: string, name: string): Finding {
  const message = `${section}.${name} is not used by anything`;
  return { severity: 'warning', code: 'UNUSED', message, path: [section, name], atKey: true };
}
