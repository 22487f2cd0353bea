/** Compares the targets and the options of an upstream. */
import { isMapping } from '../is-mapping.ts';
import { markedKeys } from '../schema-walk.ts';
import type { UpstreamConfig } from '../schema.ts';
import { upstreamAuthSchema } from '../schema/upstream-auth.ts';
import type { ChangeKind, Difference } from './change.ts';
import { type Comparison, show } from './comparison.ts';
import { type DirectedKinds, type FieldRule, type FieldRules, compareFields, showDuration } from './fields.ts';
import { compareTlsFile } from './files.ts';
import * as judge from './judges.ts';
import { isSame, ownValue } from './plain-compare.ts';

const changed: DirectedKinds = { weaker: 'upstream-changed', stronger: 'upstream-changed', other: 'upstream-changed' };
const weakened = { kinds: { weaker: 'tls-weakened' as ChangeKind } };

const upstreamRules: FieldRules = {
  targets: { compare: (before, after, comparison) => compareTargets(listOf(before), listOf(after), comparison) },
  auth: { compare: compareAuth },
  'connections.idle': { show: showDuration },
  slowStart: { show: showDuration },
  'tls.insecure': { what: 'insecure', judge: judge.trueIsWeaker, ...weakened },
  // Without authorities of its own an upstream is verified by those of the system, which are many more.
  'tls.ca': { compare: compareTlsFile('ca', { ifRemoved: 'tls-weakened', otherwise: 'upstream-changed' }) },
  'tls.cert': { compare: compareTlsFile('cert', { ifRemoved: 'upstream-changed', otherwise: 'upstream-changed' }) },
  'tls.key': { compare: compareTlsFile('key', { ifRemoved: 'upstream-changed', otherwise: 'upstream-changed' }) },
};

export function compareUpstreams(
  before: UpstreamConfig,
  after: UpstreamConfig,
  comparison: Comparison,
): readonly Difference[] {
  return compareFields(before, after, upstreamRules, { comparison, kinds: changed });
}

type Target = Readonly<Record<string, unknown>>;

const listOf = (value: unknown): readonly Target[] => (Array.isArray(value) ? value.filter(isMapping) : []);

const secretKeys = markedKeys(upstreamAuthSchema, 'secret');

/** Which of the ways to authenticate an upstream is called with. */
function waysOf(auth: unknown): readonly string[] {
  return isMapping(auth) ? Object.keys(auth).filter((key) => !isSame(auth[key], {}) && auth[key] !== undefined) : [];
}

/** Of the credential itself nothing is told but that it is there, and of which kind. */
function compareAuth(before: unknown, after: unknown, comparison: Comparison): Difference[] {
  const [from, to] = [waysOf(before).join(' and '), waysOf(after).join(' and ')];
  if (from !== to) {
    const title = to === '' ? 'credential removed' : from === '' ? 'credential added' : 'credential changed';
    const kind = from === '' ? 'upstream-changed' : 'upstream-auth-changed';
    const detail = from === '' || to === '' ? from + to : `${from} → ${to}`;
    return [{ kind, title, detail, field: 'auth' }];
  }
  const kinds: DirectedKinds = {
    weaker: 'upstream-auth-changed',
    stronger: 'upstream-auth-changed',
    other: 'upstream-auth-changed',
  };
  const context = { comparison, kinds, secretKeys };
  // The name of it says secret, and not all of it is.
  const clientCredentials: FieldRule = {
    compare: (one, other) =>
      compareFields(one, other, grantRules, { ...context, prefix: ['auth', 'clientCredentials'] }),
  };
  return compareFields(before, after, { ...authRules, clientCredentials }, { ...context, prefix: ['auth'] });
}

const authRules: FieldRules = {
  'signature.expires': { show: showDuration },
  'signature.components': { isSet: true },
};

const grantRules: FieldRules = {
  timeout: { show: showDuration },
  cooldown: { show: showDuration },
  'tls.ca': { compare: compareTlsFile('ca', { ifRemoved: 'tls-weakened', otherwise: 'upstream-changed' }) },
};

/** Targets are found again by their URL; one that is there twice, in the order of the list. */
function compareTargets(before: readonly Target[], after: readonly Target[], comparison: Comparison): Difference[] {
  const left = [...after];
  const kept: { readonly before: Target; readonly after: Target }[] = [];
  const gone = before.filter((target) => {
    const index = left.findIndex((other) => isSame(other['url'], target['url']));
    if (index !== -1) kept.push({ before: target, after: left.splice(index, 1)[0] });
    return index === -1;
  });
  const order = kept.map((pair) => after.indexOf(pair.after));
  const isReordered = order.some((position, index) => index > 0 && position < order[index - 1]);
  return [
    ...becomesPlain(before, after),
    ...gone.map((target) => told('target-removed', target, comparison)),
    ...left.map((target) => told('target-added', target, comparison)),
    ...kept.flatMap((pair) => compareTarget(pair.before, pair.after, comparison)),
    ...(isReordered ? [{ kind: 'upstream-changed', detail: 'order of targets' } as const] : []),
  ];
}

function told(kind: 'target-removed' | 'target-added', target: Target, comparison: Comparison): Difference {
  const url = comparison.show(target['url'], ['targets']);
  if (url === undefined) return { kind, detail: 'not shown' };
  const weight = target['weight'] === 1 ? '' : `, weight ${show(target['weight'])}`;
  return { kind, detail: `${url}${weight}`, field: 'targets', [kind === 'target-added' ? 'after' : 'before']: url };
}

function compareTarget(before: Target, after: Target, comparison: Comparison): Difference[] {
  const kinds: DirectedKinds = { weaker: 'target-changed', stronger: 'target-changed', other: 'target-changed' };
  // What a Unix socket is called relates to the folder of the configuration, and the URL says it all.
  const unix = { compare: unixPlace };
  const url = comparison.show(after['url'], ['targets']) ?? 'not shown';
  return compareFields(before, after, { unix }, { comparison, kinds, suffix: ` (${url})`, prefix: ['targets'] });
}

const unixPlace = (before: unknown, after: unknown, comparison: Comparison): readonly Difference[] => {
  if (comparison.isSameFile(before, after)) return [];
  const [from, to] = [comparison.fileName(before, 'before'), comparison.fileName(after, 'after')];
  return [{ kind: 'target-changed', detail: `socket ${from} → ${to}`, field: 'targets', before: from, after: to }];
};

/** All requests were encrypted, and some no longer are. */
function becomesPlain(before: readonly Target[], after: readonly Target[]): Difference[] {
  const isPlain = (target: Target): boolean => target['tls'] !== true && ownValue(target, 'unix') === null;
  if (before.length === 0 || before.some(isPlain) || !after.some(isPlain)) return [];
  if (!before.some((target) => target['tls'] === true)) return [];
  const urls = after.filter(isPlain).map((target) => show(target['url']));
  return [{ kind: 'tls-weakened', detail: `requests to ${urls.join(', ')} are not encrypted`, field: 'targets' }];
}
