/** Compares who may call: consumers, their groups, and what they can show. */
import { isMapping } from '../is-mapping.ts';
import type { GatewayConfig } from '../schema.ts';
import type { ChangeKind, Difference } from './change.ts';
import { type Comparison, show } from './comparison.ts';
import { isSame, withoutAll } from './plain-compare.ts';

type Mapping = Readonly<Record<string, unknown>>;

/** What a gateway shows of the hash of a key; enough to tell keys apart. */
const shownDigits = 12;

/** A credential as it is told of, and what it is found again by. */
interface Credential {
  readonly id: string;
  readonly words: string;
  readonly value: Mapping;
}

interface ConsumerDifference {
  readonly name: string;
  readonly differences: readonly Difference[];
}

/** @returns those that differ. A gateway that runs may be of another version: what it does not tell is not compared. */
export function compareConsumers(before: unknown, after: unknown): ConsumerDifference[] {
  if (!Array.isArray(before) || !Array.isArray(after)) return [];
  const [known, next] = [byName(before), byName(after)];
  const removed = [...known].filter(([name]) => !next.has(name));
  return [
    ...removed.map(([name, consumer]) => ({ name, differences: [told('consumer-removed', describe(consumer))] })),
    ...Array.from(next, ([name, consumer]) => {
      const old = known.get(name);
      const differences = old === undefined ? [told('consumer-added', describe(consumer))] : compare(old, consumer);
      return { name, differences };
    }),
  ];
}

/** The same files beside configurations in two folders are the same. */
export function compareConsumerSources(
  before: GatewayConfig['consumerSources'] | undefined,
  after: GatewayConfig['consumerSources'] | undefined,
  comparison: Comparison,
): Difference[] {
  if (before === undefined || after === undefined) return [];
  const names = ({ files }: GatewayConfig['consumerSources'], side: 'before' | 'after'): string[] =>
    files.map((file) => comparison.fileName(file, side));
  const pathOf = (path: string | null, side: 'before' | 'after'): string =>
    path === null ? 'none' : comparison.fileName(path, side);
  return [
    ['files', show(names(before, 'before')), show(names(after, 'after'))],
    ['database', pathOf(before.database, 'before'), pathOf(after.database, 'after')],
  ].flatMap(([field, from, to]): Difference[] =>
    from === to
      ? []
      : [{ kind: 'setting-changed', detail: `${field} ${from} → ${to}`, field, before: from, after: to }],
  );
}

function byName(consumers: readonly unknown[]): ReadonlyMap<string, Mapping> {
  return new Map(consumers.filter(isMapping).map((consumer) => [String(consumer['name']), consumer]));
}

function told(kind: ChangeKind, detail: string): Difference {
  return { kind, detail };
}

function describe(consumer: Mapping): string {
  const groups = listOf(consumer['groups']);
  const count = credentialsOf(consumer).length;
  const words = `${count} ${count === 1 ? 'credential' : 'credentials'}`;
  return groups.length === 0 ? words : `groups ${show(groups)}, ${words}`;
}

function compare(before: Mapping, after: Mapping): Difference[] {
  if (isSame(before, after)) return [];
  return [...compareGroups(listOf(before['groups']), listOf(after['groups'])), ...compareCredentials(before, after)];
}

function compareGroups(before: readonly unknown[], after: readonly unknown[]): Difference[] {
  const [added, removed] = [withoutAll(after, before), withoutAll(before, after)];
  if (added.length === 0 && removed.length === 0) return [];
  const detail = [...added.map((group) => `+ ${show(group)}`), ...removed.map((group) => `- ${show(group)}`)].join(
    ', ',
  );
  return [{ kind: 'consumer-groups-changed', detail, field: 'groups', before: show(before), after: show(after) }];
}

function compareCredentials(before: Mapping, after: Mapping): Difference[] {
  const known = new Map(credentialsOf(before).map((credential) => [credential.id, credential]));
  const next = new Map(credentialsOf(after).map((credential) => [credential.id, credential]));
  const removed = [...known.values()].filter(({ id }) => !next.has(id));
  return [
    ...removed.map(({ words }) => told('credential-removed', words)),
    ...[...next.values()].flatMap(({ id, words, value }) => {
      const old = known.get(id);
      return old === undefined ? [told('credential-added', words)] : compareCredential(words, old.value, value);
    }),
  ];
}

function compareCredential(words: string, before: Mapping, after: Mapping): Difference[] {
  const { expiresAt: from, label: oldLabel, ...old } = before;
  const { expiresAt: to, label, ...rest } = after;
  const differences: Difference[] = [];
  if (!isSame(from, to)) {
    const isLater = to === null || (typeof from === 'number' && typeof to === 'number' && to > from);
    const [earlier, later] = [dayOf(from), dayOf(to)];
    differences.push({
      kind: isLater ? 'credential-extended' : 'credential-shortened',
      detail: `${words} expires ${earlier} → ${later}`,
      field: 'expires',
      before: earlier,
      after: later,
    });
  }
  if (!isSame(old, rest)) differences.push(told('credential-changed', words));
  if (!isSame(oldLabel, label)) differences.push(told('setting-changed', `label of ${words} was ${show(oldLabel)}`));
  return differences;
}

const dayMs = 86_400_000;

/** As it is written: the last day on which it is accepted. */
function dayOf(expiresAt: unknown): string {
  if (expiresAt === null || expiresAt === undefined) return 'never';
  const date = new Date(Number(expiresAt) - dayMs);
  return Number.isNaN(date.getTime()) ? show(expiresAt) : date.toISOString().slice(0, 10);
}

function credentialsOf(consumer: Mapping): Credential[] {
  const { basic } = consumer;
  return [
    ...mappingsIn(consumer['apiKeys']).map((value) => {
      const id = String(value['digest']).slice(0, shownDigits);
      const { digest: _, ...rest } = value;
      return { id: `key ${id}`, words: `API key ${nameOf(value, id)}`, value: rest };
    }),
    ...(isMapping(basic) ? [{ id: 'basic', words: `password of ${show(basic['user'])}`, value: basic }] : []),
    ...[...mappingsIn(consumer['hmac']), ...mappingsIn(consumer['signing'])].map((value) => {
      const keyId = show(value['keyId']);
      return { id: `keyid ${keyId}`, words: `signature key ${keyId}`, value };
    }),
    ...mappingsIn(consumer['jwt']).map((value) => whole('claims', value)),
    ...mappingsIn(consumer['certificates']).map((value) => whole('certificate', value)),
  ];
}

/** What is nothing besides what it is found by. */
function whole(what: string, value: Mapping): Credential {
  const words = `${what} ${show(value)}`;
  return { id: words, words, value };
}

function nameOf(value: Mapping, id: string): string {
  const { label } = value;
  return typeof label === 'string' && label !== '' ? `${show(label)} (${id})` : id;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function mappingsIn(value: unknown): readonly Mapping[] {
  return listOf(value).filter(isMapping);
}
