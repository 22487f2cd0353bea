/** Whether the gateway can say who it is, where the configuration wants it to. */
import { identityKey } from '../../util/identity-key.ts';
import type { ResolvedUse } from '../policies.ts';
import { type Finding, formatPath } from '../problem.ts';
import type { IdentityConfig } from '../schema.ts';

export function checkIdentity({ keys }: IdentityConfig, findings: Finding[]): void {
  for (const [index, key] of keys.entries()) {
    try {
      identityKey(key);
    } catch (error) {
      const path = ['identity', 'keys', index];
      const message = `${formatPath(path)}: ${(error as Error).message}`;
      findings.push({ severity: 'error', code: 'BAD_VALUE', message, path });
    }
  }
}

const needIdentity: ReadonlySet<string> = new Set(['identityToken', 'identityKeys']);

/** For a configuration without `identity`. @param from where the uses begin that are written in this list. */
export function checkIdentityIsThere(uses: readonly ResolvedUse[], from: number, findings: Finding[]): void {
  for (const { use, path } of uses.slice(from)) {
    if (use.module !== null || !needIdentity.has(use.name)) continue;
    const message = `${use.name} signs with the keys of the gateway, of which there are none: write identity: {issuer: …, keys: […]}`;
    findings.push({ severity: 'error', code: 'MISSING', message, path });
  }
}
