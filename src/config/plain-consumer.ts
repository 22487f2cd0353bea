/**
 * The short way for the consumers that large configurations are full of: groups and API keys. Going through the schema
 * costs several times as much, and a hundred thousand consumers are to load in a moment. Whatever is not entirely plain,
 * or wrong in any way, is left to the schema; what is read here is what the schema would have read
 * (`test/config/plain-consumer.test.ts` holds the two against each other).
 */
import { isDay } from './schema/consumer.ts';
import { isName } from './schema/scalars.ts';
import { isMapping } from './is-mapping.ts';
import type { ConsumerDeclaration } from './schema.ts';

type ApiKey = ConsumerDeclaration['apiKeys'][number];

/** Shared by all; nothing ever changes a configuration. */
const NONE: never[] = [];

const HASH = /^sha256:[0-9a-f]{64}$/;
const PLAIN_LABEL = /^[ -~]{0,128}$/;
const MAX_KEYS = 100;

/** The consumer as the schema would parse it, or null when it is not plain. */
export function readPlainConsumer(written: unknown): ConsumerDeclaration | null {
  if (!isMapping(written)) return null;
  let groups: string[] = NONE;
  let apiKeys: ApiKey[] = NONE;
  for (const key in written) {
    const value = written[key];
    if (key === 'groups' && isListOfNames(value)) groups = value;
    else if (key === 'apiKeys' && isListOfPlainKeys(value)) apiKeys = value;
    else return null;
  }
  return { groups, apiKeys, hmac: NONE, signing: NONE, jwt: NONE, certificates: NONE };
}

function isListOfNames(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((group) => typeof group === 'string' && isName(group));
}

function isListOfPlainKeys(value: unknown): value is ApiKey[] {
  return Array.isArray(value) && value.length <= MAX_KEYS && value.every(isPlainKey);
}

function isPlainKey(key: unknown): key is ApiKey {
  if (!isMapping(key)) return false;
  let hasHash = false;
  for (const name in key) {
    const value = key[name];
    if (typeof value !== 'string') return false;
    if (name === 'hash') {
      if (!HASH.test(value)) return false;
      hasHash = true;
    } else if (name === 'label') {
      if (!PLAIN_LABEL.test(value)) return false;
    } else if (name !== 'expires' || !isDay(value)) {
      return false;
    }
  }
  return hasHash;
}
