/** What can change between two configurations, in the terms of those who operate the gateway. */

/** What a change is about; also the order in which they are told. */
export const impacts = ['security', 'traffic', 'other'] as const;

export type Impact = (typeof impacts)[number];

interface KindEntry {
  readonly impact: Impact;
  /** How the sentence about a change begins. */
  readonly title: string;
  /** For the guide. */
  readonly meaning: string;
}

const kind = (impact: Impact, title: string, meaning: string): KindEntry => ({ impact, title, meaning });

/** Every kind of change; those that come first are told first. The names are stable: `--fail-on` takes them. */
export const changeKinds = {
  'auth-removed': kind('security', 'authentication removed', 'Callers no longer prove who they are, or may do more.'),
  'auth-weakened': kind(
    'security',
    'authentication weakened',
    'What callers must present, or who may call, is less strict.',
  ),
  'auth-changed': kind(
    'security',
    'authentication changed',
    'Another way to authenticate, or options of which neither is plainly stricter.',
  ),
  'consumer-added': kind('security', 'added', 'Somebody may call who could not.'),
  'consumer-groups-changed': kind('security', 'groups changed', 'A consumer may do more, or less.'),
  'credential-added': kind(
    'security',
    'credential added',
    'A consumer is known by one more key, password or certificate.',
  ),
  'credential-extended': kind('security', 'credential extended', 'A credential is accepted for longer.'),
  'credential-changed': kind('security', 'credential changed', 'Another password or key in the place of one.'),
  'admin-exposed': kind(
    'security',
    'exposed',
    'The admin port is reachable from elsewhere, or asks for no token any more.',
  ),
  'tls-weakened': kind(
    'security',
    'TLS weakened',
    'A connection is no longer encrypted or verified, or only by weaker rules.',
  ),
  'trust-widened': kind('security', 'more is believed', 'Claims of more clients about themselves are believed.'),
  'upstream-auth-changed': kind(
    'security',
    'credential changed',
    'What the gateway proves itself with to an upstream is gone or another one.',
  ),
  'ip-filter-widened': kind('security', 'IP filter widened', 'Addresses may call that were refused.'),
  'cors-widened': kind('security', 'CORS widened', 'Pages of more origins, or with more rights, may call.'),
  'path-check-weakened': kind(
    'security',
    'path check weakened',
    'Paths that were refused as ambiguous are let through.',
  ),
  'protection-removed': kind(
    'security',
    'protection removed',
    'A policy that protects callers or the service is gone, or does less.',
  ),
  'limit-removed': kind('security', 'limit removed', 'Nothing limits the calls any more.'),
  'limit-raised': kind('security', 'limit raised', 'More calls, or larger ones, get through.'),
  'body-limit-raised': kind('security', 'body limit raised', 'Larger request bodies get through.'),
  'redaction-removed': kind('security', 'redaction removed', 'Values appear in the access log that were hidden.'),
  'listener-exposed': kind('security', 'exposed', 'A listener is reachable from other machines that was not.'),
  'consumer-removed': kind('traffic', 'removed', 'Somebody may not call any more.'),
  'credential-removed': kind(
    'traffic',
    'credential removed',
    'A key, password or certificate is not accepted any more.',
  ),
  'credential-shortened': kind('traffic', 'credential shortened', 'A credential is not accepted for as long.'),
  'listener-opened': kind('traffic', 'opened', 'A socket accepts connections that was not there.'),
  'listener-closed': kind('traffic', 'closed', 'A socket is gone.'),
  'listener-renamed': kind('traffic', 'renamed', 'The same address under another name.'),
  'listener-changed': kind('traffic', 'changed', 'Address, TLS, limits or time-outs of a listener.'),
  'certificate-changed': kind('traffic', 'certificate changed', 'Another certificate, key or authority.'),
  'route-removed': kind('traffic', 'removed', 'Its requests go to another route, or to none.'),
  'route-added': kind('traffic', 'added', 'It takes requests that went to another route, or to none.'),
  'route-renamed': kind('traffic', 'renamed', 'The same match under another name, as logs and metrics show it.'),
  'route-match-changed': kind('traffic', 'match changed', 'Other requests go there.'),
  'route-action-changed': kind('traffic', 'action changed', 'Its requests are sent elsewhere, or answered otherwise.'),
  'route-changed': kind('traffic', 'changed', 'Anything else of a route.'),
  'not-found-changed': kind('traffic', 'changed', 'What is answered where no route matches.'),
  'auth-added': kind('traffic', 'authentication added', 'Callers that present nothing are refused now.'),
  'auth-strengthened': kind('traffic', 'authentication strengthened', 'Callers may be refused that were not.'),
  'ip-filter-narrowed': kind('traffic', 'IP filter narrowed', 'Addresses are refused that could call.'),
  'cors-narrowed': kind('traffic', 'CORS narrowed', 'Pages of fewer origins, or with fewer rights, may call.'),
  'protection-added': kind('traffic', 'protection added', 'A policy that protects is new, or does more.'),
  'limit-added': kind('traffic', 'limit added', 'Calls may be refused that were not.'),
  'limit-lowered': kind('traffic', 'limit lowered', 'Fewer calls, or smaller ones, get through.'),
  'limit-changed': kind('traffic', 'limit changed', 'What is counted, or how.'),
  'body-limit-lowered': kind('traffic', 'body limit lowered', 'Large request bodies are refused that were not.'),
  'policy-removed': kind('traffic', 'policy removed', 'Something is no longer done with the requests.'),
  'policy-added': kind('traffic', 'policy added', 'Something more is done with the requests.'),
  'policy-changed': kind('traffic', 'policy changed', 'It is done in another way.'),
  'policy-order-changed': kind('traffic', 'order of policies changed', 'The same policies run in another order.'),
  'upstream-removed': kind('traffic', 'removed', 'Nothing can be sent there any more.'),
  'upstream-added': kind('traffic', 'added', 'A new group of targets.'),
  'upstream-renamed': kind('traffic', 'renamed', 'The same targets and options under another name.'),
  'target-removed': kind('traffic', 'target removed', 'A target gets no requests any more.'),
  'target-added': kind('traffic', 'target added', 'A target gets requests.'),
  'target-changed': kind('traffic', 'target changed', 'The share of a target, or how it is reached.'),
  'upstream-changed': kind('traffic', 'changed', 'Balancing, connections, TLS or the host that the targets see.'),
  'timeout-changed': kind('traffic', 'time-out changed', 'Something may take longer, or less long.'),
  'admin-changed': kind('other', 'changed', 'Address or token of the admin port.'),
  'access-log-changed': kind('other', 'access log changed', 'Where it goes, or what is in it.'),
  'policy-renamed': kind('other', 'policy renamed', 'The same policy under another name, as logs and metrics show it.'),
  'setting-changed': kind('other', 'changed', 'Anything else.'),
} as const satisfies Record<string, KindEntry>;

export type ChangeKind = keyof typeof changeKinds;

const order: ReadonlyMap<string, number> = new Map(Object.keys(changeKinds).map((name, index) => [name, index]));

/** What is changed, by itself: what it belongs to is added by who knows it. */
export interface Difference {
  readonly kind: ChangeKind;
  /** Instead of the title of the kind. */
  readonly title?: string;
  /** After the title of the kind; may be empty. One line, without secrets. */
  readonly detail: string;
  /** Where in its subject: `timeouts.total`. */
  readonly field?: string;
  /** As a person would read it: `5s`. Missing where there was nothing, or what must not be shown. */
  readonly before?: string;
  readonly after?: string;
}

/** What a change is about: one or several entries of a section, in all of which the same has changed. */
export interface Subject {
  readonly section: string;
  /** Sorted; empty for a section that has no entries, such as `admin`. */
  readonly names: readonly string[];
}

export interface Change {
  readonly kind: ChangeKind;
  readonly impact: Impact;
  readonly subject: Subject;
  /** What has changed, in a few words that do not name the subject. */
  readonly message: string;
  readonly field?: string;
  readonly before?: string;
  readonly after?: string;
}

export function toChange(subject: Subject, difference: Difference): Change {
  const { kind: name, detail, title = changeKinds[name].title, ...rest } = difference;
  const { impact } = changeKinds[name];
  const words = detail === '' ? title : detail.startsWith('(') ? `${title} ${detail}` : `${title}: ${detail}`;
  // What is quoted may come from anywhere; a change is one line of plain text all the same.
  return { kind: name, impact, subject, message: words.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' '), ...rest };
}

/** The most important first, then by what they are about. */
export function compareChanges(a: Change, b: Change): number {
  return (
    order.get(a.kind)! - order.get(b.kind)! ||
    compareText(a.subject.section, b.subject.section) ||
    compareText(a.subject.names[0] ?? '', b.subject.names[0] ?? '') ||
    compareText(a.message, b.message)
  );
}

export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const nouns: Readonly<Record<string, string>> = {
  routes: 'route',
  upstreams: 'upstream',
  listeners: 'listener',
  consumers: 'consumer',
  stores: 'store',
};

/** More names than this are not read. */
const MAX_NAMES = 3;

/** `route catalog: authentication removed (apiKey)`. */
export function formatChange({ subject, message }: Change): string {
  return `${formatSubject(subject)}: ${message}`;
}

function formatSubject({ section, names }: Subject): string {
  const noun = nouns[section] ?? section;
  if (names.length === 0) return section;
  if (names.length === 1) return `${noun} ${names[0]}`;
  if (names.length <= MAX_NAMES) return `${noun}s ${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
  return `${noun}s ${names.slice(0, MAX_NAMES).join(', ')} and ${names.length - MAX_NAMES} more`;
}
