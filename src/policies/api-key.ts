import { hash } from 'node:crypto';
import {
  type ApiKey,
  type Authenticator,
  type ConsumerDirectory,
  type Credential,
  type Exchange,
  definePolicy,
  type PolicyEnv,
  Refusal,
} from '../contract.ts';
import { SecretTable } from '../util/secret-table.ts';
import { z } from '../util/schema.ts';
import { authenticating, commonOptions } from './authentication/authenticating.ts';
import { type CredentialPlace, credentialPlaces, placeOptions } from './authentication/credential-place.ts';
import { challengeFor, realm } from './authentication/realm.ts';

const options = z
  .strictObject({
    ...commonOptions,
    header: placeOptions.header.describe('The header that has the key; `x-api-key` if no place is named.'),
    query: placeOptions.query.describe('The parameter of the query that has the key. It ends up in logs of others.'),
    cookie: placeOptions.cookie.describe('The cookie that has the key.'),
    realm,
  })
  .describe('Of several places that are named, a request may use any, and only one.');

/** Bounds the work on what was not verified; keys that are harder to guess than this need not be longer. */
const maxKeyLength = 512;
/** Of each thread. More keys than these in use are looked up again, which takes a microsecond. */
const keysRemembered = 4096;

const missing = new Refusal('missing', 'no API key');
const ambiguous = new Refusal('invalid', 'more than one API key');
const malformed = new Refusal('invalid', 'not a possible API key');
const unknown = new Refusal('invalid', 'an unknown API key');
const expired = Refusal.outOfDate('an expired API key');

/** Says who calls by a key that is one consumer's. Keys are known by their hash only. */
export const apiKey = definePolicy({
  name: 'apiKey',
  summary: 'Lets requests pass that have the key of a consumer.',
  options,
  provides: ['consumer'],
  create(given, env) {
    const isPlaced = given.header !== undefined || given.query !== undefined || given.cookie !== undefined;
    const places = credentialPlaces(isPlaced ? given : { header: 'x-api-key' });
    return authenticating(authenticatorFor(places, given.realm, env), given, env);
  },
});

function authenticatorFor(places: readonly CredentialPlace[], realmName: string, env: PolicyEnv): Authenticator {
  const keys = VerifiedKeys.of(env.consumers);
  return {
    challenge: challengeFor('ApiKey', realmName),
    secretFields: places.map(({ secretField }) => secretField),
    authenticate(exchange) {
      const text = readKey(places, exchange);
      if (text === undefined) return missing;
      if (text === '') return ambiguous;
      if (text.length > maxKeyLength) return malformed;
      const verified = keys.find(text);
      if (verified instanceof Refusal) return verified;
      const { key, credential } = verified;
      if (key.expiresAt !== Infinity && env.wallNow() >= key.expiresAt) return expired;
      key.used();
      return credential;
    },
    conceal(exchange) {
      for (const place of places) place.remove(exchange);
    },
  };
}

/** Undefined: none; empty: it is not one key in one place. */
function readKey(places: readonly CredentialPlace[], exchange: Exchange): string | undefined {
  let text: string | undefined;
  for (const place of places) {
    const found = place.read(exchange);
    if (found === undefined) continue;
    if (text !== undefined) return '';
    text = found;
  }
  return text;
}

interface VerifiedKey {
  readonly key: ApiKey;
  readonly credential: Credential;
}

/** The keys that were found to be somebody's, for all routes of a thread, until any consumer changes. */
class VerifiedKeys {
  private static readonly all = new WeakMap<ConsumerDirectory, VerifiedKeys>();
  private readonly consumers: ConsumerDirectory;
  private readonly table = new SecretTable<VerifiedKey>(keysRemembered);
  private version: number;

  static of(consumers: ConsumerDirectory): VerifiedKeys {
    let keys = VerifiedKeys.all.get(consumers);
    if (keys === undefined) {
      keys = new VerifiedKeys(consumers);
      VerifiedKeys.all.set(consumers, keys);
    }
    return keys;
  }

  private constructor(consumers: ConsumerDirectory) {
    this.consumers = consumers;
    this.version = consumers.version;
  }

  find(text: string): VerifiedKey | Refusal {
    if (this.version !== this.consumers.version) {
      this.version = this.consumers.version;
      this.table.clear();
    }
    return this.table.get(text) ?? this.lookUp(text);
  }

  private lookUp(text: string): VerifiedKey | Refusal {
    if (!isPossibleKey(text)) return malformed;
    const key = this.consumers.byApiKey(hash('sha256', text, 'hex'));
    if (key === undefined) return unknown;
    const { consumer } = key;
    const verified: VerifiedKey = {
      key,
      credential: Object.freeze({ method: 'apiKey', subject: consumer.name, consumer, claims: noClaims, scopes: [] }),
    };
    this.table.set(text, verified);
    return verified;
  }
}

const noClaims = Object.freeze({});

/**
 * Visible ASCII without a comma, with which a proxy may have joined two fields to one (RFC 9110, section 5.3). What only
 * looks like a letter of a key is no letter of it.
 */
function isPossibleKey(text: string): boolean {
  return /^[\x21-\x2b\x2d-\x7e]+$/.test(text);
}
