/** Permissions that count for a while, for requests that are the same in all that the service gets to see. */
import { hash } from 'node:crypto';
import { ExpiringCache } from '../../util/expiring-cache.ts';
import type { Permission } from './answer.ts';

/** Of each thread. */
const remembered = 4096;

export class Permissions {
  private readonly cache = new ExpiringCache<Permission>(remembered);
  private readonly cacheForMs: number;
  private readonly now: () => number;

  constructor(cacheForMs: number, now: () => number) {
    this.cacheForMs = cacheForMs;
    this.now = now;
  }

  /** @param key see `permissionKey`. */
  find(key: string): Permission | undefined {
    return this.cache.get(key, this.now());
  }

  note(key: string, permission: Permission): void {
    if (permission.isReusable) this.cache.set(key, permission, this.now() + this.cacheForMs);
  }
}

/**
 * One key for what is sent. Each part has its length in front, so that no two different questions are the same text
 * (CVE-2023-35941).
 */
export function permissionKey(fields: readonly (readonly [name: string, value: string])[]): string {
  let text = '';
  for (const [name, value] of fields) text += `${name.length}:${name}${value.length}:${value}`;
  return hash('sha256', text, 'base64url');
}
