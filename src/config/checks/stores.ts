/** The stores that are named where state is shared, and the files that they are verified with. */
import { type Finding, type Path, formatPath } from '../problem.ts';
import type { Sections } from '../sections.ts';
import { suggest } from '../suggest.ts';
import { type CertificateSurroundings, checkClientTls } from './certificates.ts';

/** What limits are counted in unless they name another one. */
const BUILT_IN_STORE = 'memory';

/** A place in the configuration that names a store. */
export interface StoreReference {
  readonly name: string;
  readonly path: Path;
}

/** @returns The stores that are used, or were probably meant. */
export function checkStoreReferences(
  { names }: Sections,
  references: readonly StoreReference[],
  findings: Finding[],
): ReadonlySet<string> {
  const used = new Set<string>();
  for (const { name, path } of references) {
    if (name === BUILT_IN_STORE) continue;
    used.add(name);
    if (names.stores.includes(name)) continue;
    const finding = unknownStore(name, path, names.stores);
    if (finding.suggestion !== undefined) used.add(finding.suggestion);
    findings.push(finding);
  }
  return used;
}

/** What is suspicious about how stores are reached. */
export function checkStores({ accepted }: Sections, findings: Finding[]): void {
  if (Object.hasOwn(accepted.stores ?? {}, BUILT_IN_STORE)) {
    const message = `stores.${BUILT_IN_STORE}: that is the memory of the machine, which is built in; call it otherwise`;
    findings.push({ severity: 'error', code: 'BAD_VALUE', message, path: ['stores', BUILT_IN_STORE], atKey: true });
  }
  for (const [name, { tls }] of Object.entries(accepted.stores ?? {})) {
    if (!tls.insecure) continue;
    const path = ['stores', name];
    const message = `${formatPath(path)}: its certificate is not verified, so that anybody on the path can read and change what is kept there; give tls.ca instead`;
    findings.push({ severity: 'warning', code: 'TLS_UNVERIFIED', message, path: [...path, 'tls', 'insecure'] });
  }
}

export function checkStoreFiles({ accepted }: Sections, around: CertificateSurroundings): void {
  for (const [name, { tls }] of Object.entries(accepted.stores ?? {})) {
    checkClientTls(['stores', name, 'tls'], tls, around);
  }
}

function unknownStore(name: string, path: Path, known: readonly string[]): Finding {
  const suggestion = suggest(name, known);
  const message = `there is no store ${JSON.stringify(name)}`;
  return {
    severity: 'error',
    code: 'UNKNOWN_STORE',
    message,
    path,
    ...(suggestion !== undefined && { suggestion }),
  };
}
