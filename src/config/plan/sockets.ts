/** Compares listeners and the admin port: what can be reached from where, and what is believed of whoever comes. */
import type { AdminConfig, ListenerConfig } from '../schema.ts';
import { isLoopback } from '../checks/addresses.ts';
import type { ChangeKind, Difference } from './change.ts';
import type { Comparison } from './comparison.ts';
import { type DirectedKinds, type FieldRules, compareFields, showDuration, showSize } from './fields.ts';
import { showRate } from './policy-table.ts';
import { compareCertificates, compareTlsFile } from './files.ts';
import * as judge from './judges.ts';

const all = (kind: ChangeKind): DirectedKinds => ({ weaker: kind, stronger: kind, other: kind });

const tlsRule = { kinds: { weaker: 'tls-weakened' } } as const;
const trustRule = { kinds: { weaker: 'trust-widened' } } as const;
const limitRule = {
  judge: judge.higherIsWeaker,
  kinds: { weaker: 'limit-raised', stronger: 'limit-lowered' },
} as const;
const rateRule = {
  ...limitRule,
  judge: judge.absenceOr(judge.fasterIsWeaker),
  show: showRate,
  whole: true,
} as const;
const durationRule = { show: showDuration };

/** From this machine alone to wherever this machine can be reached from. */
const reach: judge.Judge = (before, after) => {
  const isLocal = (host: unknown): boolean => typeof host === 'string' && isLoopback(host);
  return isLocal(before) && !isLocal(after) ? 'weaker' : 'other';
};

const listenerRules: FieldRules = {
  host: { judge: reach, kinds: { weaker: 'listener-exposed' } },
  unix: {
    compare: (before, after, comparison) => {
      if (comparison.isSameFile(before, after)) return [];
      const [from, to] = [comparison.fileName(before, 'before'), comparison.fileName(after, 'after')];
      const kind = after === null ? 'listener-exposed' : 'listener-changed';
      return [
        { kind, detail: `unix ${before === null ? 'none' : from} → ${after === null ? 'none' : to}`, field: 'unix' },
      ];
    },
  },
  trustedProxies: { what: 'trusted proxies', judge: judge.moreIsWeaker, isSet: true, ...trustRule },
  proxyProtocol: { what: 'PROXY protocol', judge: judge.trueIsWeaker, ...trustRule },
  'limits.bodyBytes': {
    judge: judge.higherIsWeaker,
    show: showSize,
    kinds: { weaker: 'body-limit-raised', stronger: 'body-limit-lowered' },
  },
  'limits.headBytes': { ...limitRule, show: showSize },
  'limits.targetBytes': { ...limitRule, show: showSize },
  'limits.headers': limitRule,
  'limits.connections': limitRule,
  'limits.connectionsPerAddress': { ...limitRule, judge: judge.absenceOr(judge.higherIsWeaker) },
  'limits.newConnections': rateRule,
  'limits.newConnectionsPerAddress': rateRule,
  'limits.underscores': { judge: judge.inOrder('drop', 'keep'), ...trustRule },
  'timeouts.handshake': { ...durationRule, kinds: all('timeout-changed') },
  'timeouts.head': { ...durationRule, kinds: all('timeout-changed') },
  'timeouts.bodyIdle': { ...durationRule, kinds: all('timeout-changed') },
  'timeouts.keepAlive': { ...durationRule, kinds: all('timeout-changed') },
  tls: {
    what: '',
    judge: judge.absenceIsWeaker,
    show: () => 'https',
    ...tlsRule,
  },
  'tls.minVersion': { judge: judge.inOrder('1.3', '1.2'), ...tlsRule },
  'tls.clientAuth': { what: '', judge: judge.absenceIsWeaker, show: () => 'client certificates', ...tlsRule },
  'tls.clientAuth.require': { what: 'client certificates required', judge: judge.falseIsWeaker, ...tlsRule },
  'tls.clientAuth.ca': {
    compare: compareTlsFile('clientAuth.ca', { ifRemoved: 'tls-weakened', otherwise: 'listener-changed' }),
  },
  'tls.certificates': { compare: compareCertificates },
};

export function compareListeners(
  before: ListenerConfig,
  after: ListenerConfig,
  comparison: Comparison,
): readonly Difference[] {
  return compareFields(before, after, listenerRules, { comparison, kinds: all('listener-changed') });
}

/** `http://0.0.0.0:8080`. */
export function describeListener({ host, port, unix, tls }: ListenerConfig, comparison: Comparison): string {
  if (unix !== null) return `unix:${comparison.fileName(unix, 'after')}`;
  return `${tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** No two listeners have the same address, but for free ports. */
export function identityOfListener({ host, port, unix }: ListenerConfig): string | null {
  return unix === null && port === 0 ? null : JSON.stringify([host, port, unix]);
}

const adminRules: FieldRules = {
  host: { judge: reach, kinds: { weaker: 'admin-exposed' } },
  token: { judge: judge.absenceIsWeaker, kinds: { weaker: 'admin-exposed' } },
};

export function compareAdmin(before: AdminConfig, after: AdminConfig, comparison: Comparison): readonly Difference[] {
  return compareFields(before, after, adminRules, { comparison, kinds: all('admin-changed') });
}
