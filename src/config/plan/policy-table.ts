/**
 * What is known of each policy that comes with the gateway: what a route has of it, and which of two values of an option
 * is the stricter one. A new policy is one more entry; without one its changes are told, but not judged.
 */
import type { StandardPolicy } from '../policy-names.ts';
import { type DirectedKinds, type FieldRules, showDuration, showSize } from './fields.ts';
import type { ChangeKind } from './change.ts';
import * as judge from './judges.ts';
import { isMapping } from '../is-mapping.ts';
import { show } from './comparison.ts';
import { formatPercentage, formatRate } from '../../util/units.ts';

/** What a policy does for its route, as far as a change is concerned. */
export interface PolicyRole {
  readonly added: ChangeKind;
  readonly removed: ChangeKind;
  readonly changed: DirectedKinds;
  /** Another policy of this role takes its place: then it is not removed. */
  readonly isReplaceable?: true;
  /** Instead of `authentication` in what is said. */
  readonly noun?: string;
}

const changed = (weaker: ChangeKind, stronger: ChangeKind, other: ChangeKind): DirectedKinds => ({
  weaker,
  stronger,
  other,
});

export const plainRole: PolicyRole = {
  added: 'policy-added',
  removed: 'policy-removed',
  changed: changed('policy-changed', 'policy-changed', 'policy-changed'),
};

export const authentication: PolicyRole = {
  added: 'auth-added',
  removed: 'auth-removed',
  changed: changed('auth-weakened', 'auth-strengthened', 'auth-changed'),
  isReplaceable: true,
};

export const authorisation: PolicyRole = {
  added: authentication.added,
  removed: authentication.removed,
  changed: authentication.changed,
  noun: 'authorisation',
};

const limit: PolicyRole = {
  added: 'limit-added',
  removed: 'limit-removed',
  changed: changed('limit-raised', 'limit-lowered', 'limit-changed'),
};

/** Who waits is not let through any sooner. */
const queueKinds = { other: 'policy-changed' } as const;

const bodyLimit: PolicyRole = {
  added: 'body-limit-lowered',
  removed: 'body-limit-raised',
  changed: changed('body-limit-raised', 'body-limit-lowered', 'policy-changed'),
};

const ipFilter: PolicyRole = {
  added: 'ip-filter-narrowed',
  removed: 'ip-filter-widened',
  changed: changed('ip-filter-widened', 'ip-filter-narrowed', 'policy-changed'),
};

const cors: PolicyRole = {
  added: 'cors-widened',
  removed: 'cors-narrowed',
  changed: changed('cors-widened', 'cors-narrowed', 'policy-changed'),
};

const protection: PolicyRole = {
  added: 'protection-added',
  removed: 'protection-removed',
  changed: changed('protection-removed', 'protection-added', 'policy-changed'),
};

export interface PolicyKnowledge {
  readonly role: PolicyRole;
  readonly options: FieldRules;
}

/** What every policy that reads credentials has. */
const credentials: FieldRules = { forward: { judge: judge.trueIsWeaker }, optional: { judge: judge.trueIsWeaker } };

/** An option that is a list, one of it, or missing, which then means that nothing is asked for. */
const condition = { judge: judge.moreOrNoneIsWeaker, isSet: true } as const;
const requirement = { judge: judge.fewerIsWeaker, isSet: true, whole: true } as const;
/** Who is refused: a list, or missing, which then means nobody. */
const denial = { judge: judge.fewerIsWeaker, isSet: true } as const;
/** What is left out is `local`. */
const onFailure = { judge: judge.inOrderOr('local', 'closed', 'local', 'open') };
const cacheFor = { judge: judge.longerIsWeaker, show: showDuration };

export const showRate = (value: unknown): string => {
  const rate = judge.rateOf(value);
  return rate === null ? show(value) : formatRate(rate);
};

const showMapping =
  (showOne: (value: unknown) => string) =>
  (value: unknown): string =>
    isMapping(value)
      ? `{${Object.entries(value)
          .map(([key, one]) => `${key}: ${showOne(one)}`)
          .join(', ')}}`
      : show(value);

const showRates = showMapping(showRate);
const showParts = showMapping(show);

const showShare = (value: unknown): string => (typeof value === 'number' ? formatPercentage(value) : show(value));

/** Who is not limited. */
const exemption = { judge: judge.moreIsWeaker, isSet: true } as const;

const limitOptions: FieldRules = {
  rates: { judge: judge.ratesAreWeaker, show: showRates, whole: true },
  exempt: {},
  'exempt.consumers': exemption,
  'exempt.groups': exemption,
  'exempt.addresses': exemption,
  enforce: { judge: judge.falseIsWeaker },
  rate: { judge: judge.fasterIsWeaker, show: showRate, whole: true },
  limit: { judge: judge.higherIsWeaker },
  limits: { judge: judge.limitsAreWeaker, show: showParts, whole: true },
  window: { judge: judge.shorterIsWeaker, show: showDuration },
  burst: { judge: judge.higherIsWeaker },
  cost: { judge: judge.costIsWeaker, show: showParts, whole: true },
  onStoreFailure: onFailure,
  mode: { judge: judge.inOrderOr('exact', 'exact', 'lease') },
  // What each machine counts by itself is as many times as much as there are machines.
  store: { judge: judge.sharedIsStronger },
  lease: {},
  'lease.size': { judge: judge.higherIsWeaker },
  'lease.share': { judge: judge.higherIsWeaker, show: showShare },
};

const knowledge: Readonly<Record<StandardPolicy, PolicyKnowledge>> = {
  // Its options are policies, which are compared as such.
  anyOf: { role: authentication, options: {} },
  apiKey: { role: authentication, options: credentials },
  authorize: {
    role: authorisation,
    options: {
      consumers: condition,
      groups: condition,
      scopes: { judge: judge.scopesAreWeaker, isSet: true, whole: true },
      claims: { judge: judge.claimRulesAreWeaker, whole: true },
      deny: { judge: judge.absenceIsWeaker },
      'deny.consumers': denial,
      'deny.groups': denial,
      'deny.scopes': denial,
      'deny.claims': { judge: judge.deniedClaimsAreWeaker, whole: true },
    },
  },
  ban: {
    role: protection,
    options: {
      after: { judge: judge.higherIsWeaker },
      within: { judge: judge.shorterIsWeaker, show: showDuration },
      for: { judge: judge.shorterIsWeaker, show: showDuration },
      statuses: { judge: judge.fewerIsWeaker, isSet: true },
      exempt: { judge: judge.absenceIsStronger },
      'exempt.addresses': exemption,
      enforce: { judge: judge.falseIsWeaker },
    },
  },
  basicAuth: { role: authentication, options: { ...credentials, consumers: { judge: judge.trueIsWeaker } } },
  bodyLimit: { role: bodyLimit, options: { max: { judge: judge.higherIsWeaker, show: showSize } } },
  compress: { role: plainRole, options: { minBytes: { show: showSize } } },
  concurrency: {
    role: limit,
    options: {
      ...limitOptions,
      min: { judge: judge.higherIsWeaker },
      max: { judge: judge.higherIsWeaker },
      queue: { kinds: queueKinds },
      queueTimeout: { show: showDuration, kinds: queueKinds },
    },
  },
  cors: {
    role: cors,
    options: {
      origins: { judge: judge.moreIsWeaker, isSet: true },
      methods: { judge: judge.moreOrNoneIsWeaker, isSet: true },
      headers: { judge: judge.moreIsWeaker, isSet: true },
      exposeHeaders: { judge: judge.moreIsWeaker, isSet: true },
      credentials: { judge: judge.trueIsWeaker },
      maxAge: { show: showDuration },
    },
  },
  fault: { role: plainRole, options: {} },
  forwardAuth: { role: authentication, options: { ...credentials, cacheFor } },
  headers: { role: plainRole, options: {} },
  identityKeys: { role: plainRole, options: { maxAge: { show: showDuration } } },
  identityToken: { role: plainRole, options: { lifetime: { show: showDuration }, audience: { isSet: true } } },
  introspection: {
    role: authentication,
    options: {
      ...credentials,
      cacheFor,
      issuer: condition,
      audience: condition,
      scopes: requirement,
      claims: requirement,
    },
  },
  ipFilter: {
    role: ipFilter,
    options: {
      allow: { judge: judge.moreOrNoneIsWeaker, isSet: true },
      deny: { judge: judge.fewerIsWeaker, isSet: true },
    },
  },
  jwt: {
    role: authentication,
    options: {
      ...credentials,
      issuer: condition,
      audience: condition,
      providers: { judge: judge.moreIsWeaker, isSet: true },
      keys: { judge: judge.moreIsWeaker, isSet: true },
      algorithms: { judge: judge.moreOrNoneIsWeaker, isSet: true },
      clockSkew: { judge: judge.longerIsWeaker, show: showDuration },
      typ: condition,
      claims: requirement,
      scopes: requirement,
    },
  },
  messageSignature: {
    role: authentication,
    options: {
      ...credentials,
      components: requirement,
      algorithms: { judge: judge.moreIsWeaker, isSet: true },
      maxAge: { judge: judge.longerIsWeaker, show: showDuration },
      clockSkew: { judge: judge.longerIsWeaker, show: showDuration },
      label: { judge: judge.absenceIsWeaker },
      tag: { judge: judge.absenceIsWeaker },
      requireNonce: { judge: judge.falseIsWeaker },
      allowReplay: { judge: judge.trueIsWeaker },
      contentDigest: { judge: judge.inOrder('required', 'whenPresent') },
      maxBody: { show: showSize },
    },
  },
  mtls: { role: authentication, options: { ...credentials, sans: condition } },
  oidc: {
    role: authentication,
    options: {
      ...credentials,
      issuer: condition,
      lifetime: { judge: judge.longerIsWeaker, show: showDuration },
      idle: { judge: judge.longerIsWeaker, show: showDuration },
      refreshBefore: { show: showDuration },
      timeout: { show: showDuration },
      forwardAccessToken: { judge: judge.absenceIsStronger },
    },
  },
  quota: { role: limit, options: limitOptions },
  rateLimit: { role: limit, options: limitOptions },
  requestId: { role: plainRole, options: { trust: { judge: judge.trueIsWeaker, kinds: { weaker: 'trust-widened' } } } },
  securityHeaders: { role: protection, options: securityHeadersOptions() },
  validate: { role: protection, options: {} },
};

/** Switching one off is less protection; which of two values is the stricter one is for people to say. */
function securityHeadersOptions(): FieldRules {
  const names = [
    'hsts',
    'contentTypeOptions',
    'framing',
    'contentSecurityPolicy',
    'referrerPolicy',
    'permissionsPolicy',
    'crossOriginOpenerPolicy',
    'crossOriginResourcePolicy',
  ];
  return Object.fromEntries(names.map((name) => [name, { judge: judge.absenceIsWeaker }]));
}

export function knowledgeOf(name: string): PolicyKnowledge | null {
  return Object.hasOwn(knowledge, name) ? knowledge[name as StandardPolicy] : null;
}
