/** The endpoints for consumers and their API keys. */
import { ConsumerEntries } from '../config/consumer-entries.ts';
import type { Finding } from '../config/problem.ts';
import type { ConsumerDeclaration } from '../config/schema.ts';
import { NAME_RULE } from '../config/schema/scalars.ts';
import type { ApiKeyRecord, ConsumerRecord } from '../consumers/consumer-record.ts';
import { credentialId } from '../consumers/credential-id.ts';
import type { LastUses } from '../consumers/last-uses.ts';
import { digestOfApiKey, newApiKey } from '../consumers/new-api-key.ts';
import { ConsumerConflict, type FoundConsumer } from './consumer-book.ts';
import {
  type ConsumerBody,
  type KeyBody,
  type ShownConsumer,
  consumerAnswer,
  consumerBody,
  consumersAnswer,
  isConsumerName,
  keyAnswer,
  keyBody,
  removedAnswer,
} from './consumer-schemas.ts';
import type { ControlPlane } from './control-plane.ts';
import { type Answer, type Endpoint, type Refusal, controlEndpoint } from './endpoint.ts';
import { pageOf, searchQuery } from './paging.ts';

const JSON_TYPE = 'application/json';
const maxBodyBytes = 256 * 1024;
const dayMs = 86_400_000;
/** As many as a file may have. */
const mostKeys = 100;

const consumerPath = '/api/v1/consumers/{name}';
const keysPath = `${consumerPath}/keys`;

/** Ends a change with an answer of its own. */
class Refused extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.code);
    this.refusal = refusal;
  }
}

const noConsumer: Refusal = { code: 'ADMIN_NOT_FOUND', detail: 'There is no consumer of this name.' };

function shown({ record, isStored }: FoundConsumer, uses: LastUses): ShownConsumer {
  const { name, groups, apiKeys, basic, hmac, signing, jwt, certificates } = record;
  const lastUsedAt = (id: string): number | null => {
    const at = uses.of(name, id);
    return at === null ? null : Math.round(at);
  };
  return {
    name,
    source: isStored ? 'database' : 'configuration',
    groups: [...groups],
    apiKeys: apiKeys.map(({ digest, label, expiresAt }) => {
      const id = credentialId.apiKey(digest);
      return { id, label, expiresAt, lastUsedAt: lastUsedAt(id) };
    }),
    basic: basic === null ? null : { user: basic.user, lastUsedAt: lastUsedAt(credentialId.basic) },
    hmac: hmac.map(({ keyId, label, expiresAt }) => {
      return { keyId, label, expiresAt, lastUsedAt: lastUsedAt(credentialId.signing(keyId)) };
    }),
    signing: signing.map(({ keyId, algorithm, publicKey, label, expiresAt }) => {
      const used = lastUsedAt(credentialId.signing(keyId));
      return { keyId, algorithm, publicKey, label, expiresAt, lastUsedAt: used };
    }),
    jwt: [...jwt],
    certificates: [...certificates],
  };
}

async function shownNow(name: string, { consumers }: ControlPlane): Promise<Answer> {
  const uses = await consumers.lastUses();
  const found = consumers.find(name);
  return found === null ? noConsumer : { json: { consumer: shown(found, uses) } };
}

const listEndpoint = controlEndpoint({
  method: 'GET',
  path: '/api/v1/consumers',
  operationId: 'listConsumers',
  summary: 'The consumers by name, wherever they are kept, and when their credentials were last used.',
  query: searchQuery('in whose name this text is'),
  answer: { type: JSON_TYPE, schema: consumersAnswer },
  async handle({ query }, { consumers }) {
    const wanted = query.q.toLowerCase();
    const { names } = consumers;
    const { items, ...page } = pageOf(
      wanted === '' ? names : names.filter((name) => name.toLowerCase().includes(wanted)),
      query,
    );
    const uses = await consumers.lastUses();
    const found = items.map((name) => consumers.find(name)).filter((one) => one !== null);
    return { json: { ...page, consumers: found.map((one) => shown(one, uses)) } };
  },
});

const getEndpoint = controlEndpoint({
  method: 'GET',
  path: consumerPath,
  operationId: 'getConsumer',
  summary: 'A consumer, and when its credentials were last used.',
  answer: { type: JSON_TYPE, schema: consumerAnswer },
  refusals: ['ADMIN_NOT_FOUND'],
  handle: ({ params: { name } }, control) => shownNow(name, control),
});

/** Makes the change, or says why it cannot be made. */
async function changed(
  control: ControlPlane,
  name: string,
  edit: (before: ConsumerRecord | null) => ConsumerRecord | null,
): Promise<Refusal | null> {
  try {
    await control.consumers.change(name, edit);
    return null;
  } catch (error) {
    if (error instanceof Refused) return error.refusal;
    if (error instanceof ConsumerConflict) return { code: 'CONSUMER_CONFLICT', detail: error.message };
    throw error;
  }
}

const putEndpoint = controlEndpoint<object, ConsumerBody>({
  method: 'PUT',
  path: consumerPath,
  operationId: 'putConsumer',
  summary: 'Makes a consumer of the database, or another of it, and has every thread know it.',
  body: { types: [JSON_TYPE], maxBytes: maxBodyBytes, schema: consumerBody },
  answer: { type: JSON_TYPE, schema: consumerAnswer },
  refusals: ['CONSUMER_CONFLICT', 'ADMIN_NOT_FOUND'],
  async handle({ params: { name }, body }, control) {
    if (!isConsumerName(name)) return { code: 'ADMIN_BAD_INPUT', detail: `${JSON.stringify(name)}: ${NAME_RULE}.` };
    const refusal = await changed(control, name, (before) => recordOf(name, body, before));
    return refusal ?? shownNow(name, control);
  },
});

/** @throws {Refused} when something of it cannot be used. */
function recordOf(name: string, body: ConsumerBody, before: ConsumerRecord | null): ConsumerRecord {
  const { basic, apiKeys = [], ...rest } = body;
  const declaration: ConsumerDeclaration = { ...rest, apiKeys, hmac: [], ...(basic != null && { basic }) };
  const findings: Finding[] = [];
  const entries = new ConsumerEntries({
    wallNow: 0,
    // What comes from elsewhere must not name files of this machine.
    readFile: () => {
      throw new Error('write the key itself, in PEM form');
    },
  });
  entries.add(name, declaration, { path: [], findings, placeOf: () => 'this request' });
  if (findings.length > 0) {
    const errors = findings.map(({ path, message }) => ({ path: path.slice(1), message }));
    throw new Refused({ code: 'ADMIN_BAD_INPUT', detail: 'The body is not a consumer.', more: { errors } });
  }
  const [record] = entries.configs;
  return {
    ...record,
    apiKeys: body.apiKeys === undefined ? (before?.apiKeys ?? []) : record.apiKeys,
    basic: basic === undefined ? (before?.basic ?? null) : record.basic,
  };
}

const deleteEndpoint = controlEndpoint({
  method: 'DELETE',
  path: consumerPath,
  operationId: 'deleteConsumer',
  summary: 'Takes a consumer out of the database. None of its credentials is accepted any more once this is answered.',
  answer: { type: JSON_TYPE, schema: removedAnswer },
  refusals: ['ADMIN_NOT_FOUND', 'CONSUMER_CONFLICT'],
  async handle({ params: { name } }, control) {
    const refusal = await changed(control, name, (before) => {
      if (before === null) throw new Refused(noConsumer);
      return null;
    });
    return refusal ?? { json: { removed: true } };
  },
});

const newKeyEndpoint = controlEndpoint<object, KeyBody>({
  method: 'POST',
  path: keysPath,
  operationId: 'addConsumerKey',
  summary: 'Gives a consumer of the database one more API key, made here unless its hash is given.',
  body: { types: [JSON_TYPE], maxBytes: maxBodyBytes, schema: keyBody },
  answer: { type: JSON_TYPE, schema: keyAnswer },
  refusals: ['ADMIN_NOT_FOUND', 'CONSUMER_CONFLICT'],
  async handle({ params: { name }, body: { hash, label = '', expires } }, control) {
    const key = hash === undefined ? newApiKey() : null;
    const digest = key === null ? hash!.slice('sha256:'.length) : digestOfApiKey(key);
    const expiresAt = expires === undefined ? null : Date.parse(expires) + dayMs;
    const added: ApiKeyRecord = { digest, label, expiresAt };
    const refusal = await changed(control, name, (before) => {
      if (before === null) throw new Refused(noConsumer);
      const { apiKeys } = before;
      if (apiKeys.length >= mostKeys) throw new ConsumerConflict(`A consumer has at most ${mostKeys} API keys.`);
      if (apiKeys.some((known) => known.digest === digest)) throw new ConsumerConflict('It has this key already.');
      return { ...before, apiKeys: [...apiKeys, added] };
    });
    const id = credentialId.apiKey(digest);
    const made = { id, ...(key !== null && { key }), hash: `sha256:${digest}`, label, expiresAt };
    return refusal ?? { json: made };
  },
});

const deleteKeyEndpoint = controlEndpoint({
  method: 'DELETE',
  path: `${keysPath}/{id}`,
  operationId: 'deleteConsumerKey',
  summary: 'Takes an API key back. It is not accepted any more once this is answered.',
  answer: { type: JSON_TYPE, schema: removedAnswer },
  refusals: ['ADMIN_NOT_FOUND', 'CONSUMER_CONFLICT'],
  async handle({ params: { name, id } }, control) {
    const refusal = await changed(control, name, (before) => {
      if (before === null) throw new Refused(noConsumer);
      const apiKeys = before.apiKeys.filter(({ digest }) => credentialId.apiKey(digest) !== id);
      if (apiKeys.length < before.apiKeys.length) return { ...before, apiKeys };
      throw new Refused({ code: 'ADMIN_NOT_FOUND', detail: 'The consumer has no key of this id.' });
    });
    return refusal ?? { json: { removed: true } };
  },
});

export const consumerEndpoints: readonly Endpoint[] = [
  listEndpoint,
  getEndpoint,
  putEndpoint,
  deleteEndpoint,
  newKeyEndpoint,
  deleteKeyEndpoint,
];
