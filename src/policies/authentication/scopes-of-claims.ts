import type { Claims } from '../../contract.ts';

/**
 * What was granted: `scope`, a text with blanks between (RFC 8693, section 4.2) or a list; where there is none, `scp`, as
 * others call it. What is neither grants nothing.
 */
export function scopesOfClaims(claims: Claims): readonly string[] {
  const own = (name: string): unknown => (Object.hasOwn(claims, name) ? claims[name] : undefined);
  const granted = own('scope') ?? own('scp');
  if (typeof granted === 'string') return Object.freeze(granted.split(' ').filter((scope) => scope !== ''));
  if (!Array.isArray(granted)) return none;
  return Object.freeze(granted.filter((scope): scope is string => typeof scope === 'string' && scope !== ''));
}

const none: readonly string[] = Object.freeze([]);
