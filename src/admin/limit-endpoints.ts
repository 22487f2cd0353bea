/** The endpoints for limits: what there is, what each has done, and what is left to a key. */
import {
  type LimitFacts,
  type LimitTier,
  type NamedKey,
  identityFor,
  keyOf,
  keyOfAddress,
  tierOf,
} from '../policies/limit-facts.ts';
import { mostInHand } from '../stores/lease-size.ts';
import { parseIp } from '../util/ip-set.ts';
import { threadCount } from '../config/thread-count.ts';
import type { Consumer } from '../contract.ts';
import type { ControlPlane } from './control-plane.ts';
import { type Endpoint, type Refusal, controlEndpoint } from './endpoint.ts';
import { type IndexedLimit, limitIndexOf } from './limit-index.ts';
import { type KeyQuery, type LimitRow, keyQuery, limitAnswer, limitsAnswer, resetAnswer } from './limit-schemas.ts';
import { pageOf, searchQuery } from './paging.ts';

const JSON_TYPE = 'application/json';
const limitPath = '/api/v1/limits/{limit}';
/** Of the routes that use a limit. */
const shownUsers = 100;
/** Of whom it has refused. */
const shownRefused = 20;

function badInput(detail: string): Refusal {
  return { code: 'ADMIN_BAD_INPUT', detail };
}

function isRefusal(value: object): value is Refusal {
  return 'code' in value;
}

const scopes = { named: 'name', global: 'gateway', route: 'route' } as const;

function rowOf(limit: IndexedLimit, { limits, config }: ControlPlane): LimitRow {
  const { id, name, kind, scope, routes, by, enforce, store, tiers, permits, identity } = limit;
  return {
    id,
    name,
    kind,
    scope: scopes[scope[0]],
    routes: { total: routes.length, routes: routes.slice(0, shownUsers) },
    by: [...by],
    enforce,
    store,
    rules: tiers.map((tier) => ruleRow(tier, limit, threadCount(config))),
    permits: permits && { ...permits, limit: permits.limit ?? limits.adaptedLimit(identity, permits.adaptive!) },
    totals: limits.countOf(identity),
  };
}

function ruleRow({ who, rule }: LimitTier, { lease, cost }: LimitFacts, threads: number): LimitRow['rules'][number] {
  const { algorithm, limit } = rule;
  return {
    for: who,
    algorithm,
    limit,
    windowMs: algorithm === 'calendar' ? null : rule.windowMs,
    capacity: algorithm === 'gcra' ? rule.capacity : null,
    per: algorithm === 'calendar' ? rule.per : null,
    timezone: algorithm === 'calendar' ? rule.timeZone : null,
    inHand: lease && mostInHand(lease, rule, threads, cost.known),
  };
}

function find({ config }: ControlPlane, idOrName: string): IndexedLimit | Refusal {
  const found = limitIndexOf(config).find(idOrName);
  if (found.length === 0) return { code: 'ADMIN_NOT_FOUND', detail: 'There is no limit of this name or id.' };
  if (found.length > 1) return badInput('Several limits have this name: ask for one of them by its `id`.');
  return found[0];
}

/** A key that was asked for, and the tiers that count it: of a consumer it is known which. */
interface AskedKey extends NamedKey {
  readonly tiers: readonly LimitTier[];
}

/** Null when no key was asked for, and the limit has more than one. */
function askedKey(
  limit: LimitFacts,
  { key, consumer, address }: KeyQuery,
  control: ControlPlane,
): AskedKey | Refusal | null {
  const { tiers, by, store } = limit;
  if ([key, consumer, address].filter((one) => one !== undefined).length > 1) {
    return badInput('Write one of `key`, `consumer` and `address`.');
  }
  // What is in the memory of this machine is not all of it there.
  const isAsked = key !== undefined || consumer !== undefined || address !== undefined;
  if (store !== 'memory') return isAsked ? badInput(`This limit counts in the store ${store}: look there.`) : null;
  if (consumer !== undefined) return keyOfConsumer(limit, consumer, control);
  if (address !== undefined) {
    if (parseIp(address) === null) return badInput('`address` is no IP address.');
    if (by.length > 1) return badInput('This limit counts by several things: write them as `key`.');
    return { ...keyOfAddress(limit, address), tiers };
  }
  const parts = key === undefined ? ownParts(limit) : partsOf(limit, key);
  if (parts === null) return null;
  return isRefusal(parts) ? parts : { ...keyOf(limit, parts), tiers };
}

/** Of a limit that has one key for all. */
function ownParts({ by, scope }: LimitFacts): readonly string[] | null {
  if (by.length > 1) return null;
  if (by[0] === 'global') return [''];
  return by[0] === 'route' && scope[0] === 'route' ? [scope[1]] : null;
}

function partsOf({ by }: LimitFacts, key: string): readonly string[] | Refusal {
  if (by.length === 1) return [key];
  const wrong = badInput(`This limit counts by ${by.join(', ')}: write \`key\` as a JSON array of as many texts.`);
  try {
    const parts: unknown = JSON.parse(key);
    const isRight =
      Array.isArray(parts) && parts.length === by.length && parts.every((part) => typeof part === 'string');
    return isRight ? parts : wrong;
  } catch {
    return wrong;
  }
}

function keyOfConsumer(limit: LimitFacts, name: string, { consumers }: ControlPlane): AskedKey | Refusal {
  const caller: Consumer = { name, groups: consumers.find(name)?.record.groups ?? [] };
  const [by] = limit.by;
  if (limit.by.length > 1 || (by !== 'consumer' && by !== 'group')) {
    return badInput(`This limit does not count by consumer but by ${limit.by.join(', ')}: write \`key\`.`);
  }
  const part = by === 'consumer' ? name : caller.groups[0];
  if (part === undefined) return badInput('This consumer is in no group, and counted by its address: write `address`.');
  return { ...keyOf(limit, [part]), tiers: limit.permits === null ? [tierOf(limit, caller)] : [] };
}

const listEndpoint = controlEndpoint({
  method: 'GET',
  path: '/api/v1/limits',
  operationId: 'listLimits',
  summary:
    'The limits of what serves by name: whom each counts by which rule, and how many it has admitted and refused.',
  query: searchQuery('in whose name this text is'),
  answer: { type: JSON_TYPE, schema: limitsAnswer },
  handle({ query }, control) {
    const wanted = query.q.toLowerCase();
    const { limits } = limitIndexOf(control.config);
    const { items, ...page } = pageOf(
      wanted === '' ? limits : limits.filter(({ name }) => name.toLowerCase().includes(wanted)),
      query,
    );
    return { json: { ...page, limits: items.map((limit) => rowOf(limit, control)) } };
  },
});

const getEndpoint = controlEndpoint<KeyQuery>({
  method: 'GET',
  path: limitPath,
  operationId: 'getLimit',
  summary:
    'A limit by its id, or by its name if no other has it; whom it refuses most, and what is left to a key. Nothing is charged.',
  query: keyQuery,
  answer: { type: JSON_TYPE, schema: limitAnswer },
  refusals: ['ADMIN_NOT_FOUND'],
  handle({ params, query }, control) {
    const limit = find(control, params['limit']);
    if (isRefusal(limit)) return limit;
    const asked = askedKey(limit, query, control);
    if (asked !== null && isRefusal(asked)) return asked;
    return {
      json: {
        limit: rowOf(limit, control),
        consumption: asked && consumptionOf(limit, asked, control),
        refused: [...control.limits.refusedMost(limit.identity, shownRefused)],
      },
    };
  },
});

function consumptionOf({ identity, permits }: LimitFacts, key: AskedKey, { limits }: ControlPlane) {
  const { text } = key;
  return {
    rules: key.tiers.map(({ who, rule, identity: own }) => {
      const { remaining, resetMs, moreMs } = limits.consumption(identityFor(own, key), rule, text);
      return { for: who, limit: rule.limit, remaining, resetMs, moreMs };
    }),
    permits: permits === null ? null : limits.permitsInUse(identityFor(identity, key), text),
  };
}

const resetEndpoint = controlEndpoint<KeyQuery>({
  method: 'POST',
  path: `${limitPath}/reset`,
  operationId: 'resetLimit',
  summary: 'Forgets what has been charged to a key of a limit, on all threads at once.',
  query: keyQuery,
  answer: { type: JSON_TYPE, schema: resetAnswer },
  refusals: ['ADMIN_NOT_FOUND'],
  handle({ params, query }, control) {
    const limit = find(control, params['limit']);
    if (isRefusal(limit)) return limit;
    if (limit.permits !== null) return badInput('What is on its way cannot be made undone: there is nothing to reset.');
    const asked = askedKey(limit, query, control);
    if (asked === null) return badInput('Write whose: `key`, `consumer` or `address`.');
    if (isRefusal(asked)) return asked;
    const { text, tiers } = asked;
    for (const { rule, identity } of tiers) control.limits.forgetKey(identityFor(identity, asked), rule, text);
    return { json: { reset: true } };
  },
});

export const limitEndpoints: readonly Endpoint[] = [listEndpoint, getEndpoint, resetEndpoint];
