/** Compares the stores that several machines have in common. */
import type { StoreConfig } from '../schema.ts';
import type { ChangeKind, Difference } from './change.ts';
import type { Comparison } from './comparison.ts';
import { type DirectedKinds, type FieldRules, compareFields, showDuration } from './fields.ts';
import { compareTlsFile } from './files.ts';
import * as judge from './judges.ts';

const changed: DirectedKinds = { weaker: 'setting-changed', stronger: 'setting-changed', other: 'setting-changed' };

const isEncrypted = (url: unknown): boolean => typeof url === 'string' && url.toLowerCase().startsWith('rediss:');

const storeRules: FieldRules = {
  url: { compare: compareUrl },
  sentinels: { isSet: true },
  nodes: { isSet: true },
  timeout: { show: showDuration },
  'tls.insecure': { what: 'insecure', judge: judge.trueIsWeaker, kinds: { weaker: 'tls-weakened' } },
  // Without authorities of its own a store is verified by those of the system, which are many more.
  'tls.ca': { compare: compareTlsFile('ca', { ifRemoved: 'tls-weakened', otherwise: 'setting-changed' }) },
  'tls.cert': { compare: compareTlsFile('cert', { ifRemoved: 'setting-changed', otherwise: 'setting-changed' }) },
  'tls.key': { compare: compareTlsFile('key', { ifRemoved: 'setting-changed', otherwise: 'setting-changed' }) },
};

export function compareStore(before: StoreConfig, after: StoreConfig, comparison: Comparison): readonly Difference[] {
  return compareFields(before, after, storeRules, { comparison, kinds: changed });
}

/** A store that is new, or gone. What it means for limits is told where they name it. */
export function describeStore({ url }: StoreConfig, what: 'added' | 'removed', comparison: Comparison): Difference {
  const text = comparison.show(url, ['url']);
  if (text === undefined) return { kind: 'setting-changed', title: what, detail: 'not shown' };
  return { kind: 'setting-changed', title: what, detail: text, [what === 'added' ? 'after' : 'before']: text };
}

/** What is counted and kept is at another place then, so that all of it begins anew. */
function compareUrl(before: unknown, after: unknown, comparison: Comparison): readonly Difference[] {
  const isWeaker = isEncrypted(before) && !isEncrypted(after);
  const kind: ChangeKind = isWeaker ? 'tls-weakened' : 'setting-changed';
  const meaning = isWeaker ? 'not encrypted' : 'what is counted and kept begins anew';
  const [from, to] = [comparison.show(before, ['url']), comparison.show(after, ['url'])];
  if (from === undefined || to === undefined) return [{ kind, detail: `url, ${meaning}`, field: 'url' }];
  return [{ kind, detail: `url ${from} → ${to}, ${meaning}`, field: 'url', before: from, after: to }];
}
