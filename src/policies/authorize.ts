import { type Credential, type Exchange, type MaybePromise, type Reply, definePolicy } from '../contract.ts';
import { z } from '../util/schema.ts';
import { authCounters } from './authentication/auth-counters.ts';
import { callerOf, forbidden, refuseNobody } from './authorization/caller.ts';
import { ClaimRule, type ClaimRules, claimRules, isWellFormed } from './authorization/claim-rules.ts';

const names = z.array(z.string().min(1)).min(1, { error: 'the list is empty: name somebody, or leave it out' });
/** RFC 6749, section 3.3. */
const scope = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, { error: 'a scope has no blanks and no quotes' });
const scopeList = z.array(scope).min(1, { error: 'the list is empty: name a scope, or leave it out' });

const conditions = {
  consumers: names.optional().describe('The consumer is one of these; `*` is any that is configured.'),
  groups: names.optional().describe('The consumer is in one of these groups.'),
};

const deny = z
  .strictObject({
    ...conditions,
    scopes: scopeList.optional().describe('One of these scopes was granted.'),
    claims: claimRules.optional().describe('One of these claims is as described.'),
  })
  .refine(hasConditions, { error: 'say who is denied, or leave it out', when: isWellFormed });

const options = z
  .strictObject({
    ...conditions,
    scopes: z
      .union([
        scopeList,
        z
          .strictObject({
            all: scopeList.optional().describe('Each of these.'),
            any: scopeList.optional().describe('At least one of these.'),
          })
          .refine(hasConditions, { error: 'name `all` or `any` scopes', when: isWellFormed }),
      ])
      .optional()
      .describe('All of these scopes were granted; `{any: […]}`: at least one of them.'),
    claims: claimRules.optional().describe('Each of these claims is as described.'),
    deny: deny
      .optional()
      .describe(
        'Who may not, whatever else allows it. One condition that is met is enough, as is one value of several.',
      ),
  })
  .refine(hasConditions, { error: 'say who may call, or who may not', when: isWellFormed });

type Options = z.output<typeof options>;
type Denials = z.output<typeof deny>;

function hasConditions(written: object): boolean {
  return Object.values(written).some((condition) => condition !== undefined);
}

/** One condition that a caller has to meet. */
interface Check {
  readonly reply: Reply;
  /** Whether the request has a part in it, besides the caller. */
  readonly isAboutRequest: boolean;
  passes(caller: Credential, exchange: Exchange): boolean;
}

/**
 * Which condition was not met stands in the log only, by the names that the configuration has for it: the client learns
 * nothing about who else may call, and the log nothing about who does.
 */
export const authorize = definePolicy({
  name: 'authorize',
  summary: 'Lets callers pass by who they are and what they were granted; what is denied stays denied.',
  options,
  needs: ['consumer'],
  create(written, env) {
    const checks = [...denialsOf(written.deny ?? {}), ...conditionsOf(written)];
    const ofCaller = checks.filter(({ isAboutRequest }) => !isAboutRequest);
    const ofRequest = checks.filter(({ isAboutRequest }) => isAboutRequest);
    /** Many requests share one credential; one that is frozen never changes. Null: nothing speaks against it. */
    const counters = authCounters(env);
    const known = new WeakMap<Credential, Reply | null>();
    return {
      onRequest(exchange): MaybePromise<Reply | undefined> {
        const caller = callerOf(exchange);
        if (caller === null) {
          counters.missing.add();
          return refuseNobody(exchange, env);
        }
        let refused = known.get(caller);
        if (refused === undefined) {
          refused = refusedBy(ofCaller, caller, exchange);
          if (Object.isFrozen(caller)) known.set(caller, refused);
        }
        refused ??= refusedBy(ofRequest, caller, exchange);
        (refused === null ? counters.accepted : counters.forbidden).add();
        return refused ?? undefined;
      },
    };
  },
});

/** The answer of the first check that is not passed. */
function refusedBy(checks: readonly Check[], caller: Credential, exchange: Exchange): Reply | null {
  for (const check of checks) if (!check.passes(caller, exchange)) return check.reply;
  return null;
}

const checkOf = (reason: string, passes: Check['passes'], isAboutRequest = false): Check => ({
  reply: forbidden(reason),
  passes,
  isAboutRequest,
});

function conditionsOf({ consumers, groups, scopes = [], claims = {} }: Options): Check[] {
  const { all = [], any = [] } = Array.isArray(scopes) ? { all: scopes } : scopes;
  return [
    ...(consumers === undefined ? [] : [checkOf('the consumer is not one that may', isAmong(consumers))]),
    ...(groups === undefined ? [] : [checkOf('the consumer is in no group that may', isInGroup(groups))]),
    ...all.map((name) => checkOf(`the scope ${name} was not granted`, ({ scopes: granted }) => granted.includes(name))),
    ...(any.length === 0 ? [] : [checkOf(`none of the scopes ${any.join(', ')} was granted`, hasScope(any))]),
    ...rulesOf(claims).map((rule) =>
      checkOf(
        `the claim ${rule.claim} is not as asked for`,
        (caller, exchange) => rule.holds(caller.claims, exchange),
        rule.isAboutRequest,
      ),
    ),
  ];
}

function denialsOf({ consumers, groups, scopes, claims = {} }: Denials): Check[] {
  const unless = (reason: string, matches: Check['passes'], isAboutRequest = false): Check =>
    checkOf(reason, (caller, exchange) => !matches(caller, exchange), isAboutRequest);
  return [
    ...(consumers === undefined ? [] : [unless('the consumer is denied', isAmong(consumers))]),
    ...(groups === undefined ? [] : [unless('a group of the consumer is denied', isInGroup(groups))]),
    ...(scopes === undefined ? [] : [unless('a scope that was granted is denied', hasScope(scopes))]),
    ...rulesOf(claims).map((rule) =>
      unless(
        `the claim ${rule.claim} is as denied`,
        (caller, exchange) => rule.mayHold(caller.claims, exchange),
        rule.isAboutRequest,
      ),
    ),
  ];
}

function rulesOf(claims: ClaimRules): ClaimRule[] {
  return Object.entries(claims).map(([claim, rule]) => new ClaimRule(claim, rule));
}

function isAmong(allowed: readonly string[]): Check['passes'] {
  const set = new Set(allowed);
  const isAny = set.has('*');
  return ({ consumer }) => consumer !== null && (isAny || set.has(consumer.name));
}

function isInGroup(allowed: readonly string[]): Check['passes'] {
  const set = new Set(allowed);
  return ({ consumer }) => consumer !== null && consumer.groups.some((group) => set.has(group));
}

function hasScope(wanted: readonly string[]): Check['passes'] {
  return ({ scopes }) => wanted.some((name) => scopes.includes(name));
}
