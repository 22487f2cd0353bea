/** Whoever is to show a credential of a consumer needs a consumer that has one. */
import { isMapping } from '../is-mapping.ts';
import type { ResolvedUse } from '../policies.ts';
import { type Finding, formatPath } from '../problem.ts';
import type { ConsumerConfig } from '../schema.ts';
import type { ResolvedList } from './authorization.ts';

/** Policies that know nobody but consumers, with what these must have. */
const needed: Readonly<Record<string, { readonly what: string; readonly has: (consumer: ConsumerConfig) => boolean }>> =
  {
    apiKey: { what: 'an API key', has: ({ apiKeys }) => apiKeys.length > 0 },
    basicAuth: { what: 'a password', has: ({ basic }) => basic !== null },
    messageSignature: {
      what: 'a key for signatures',
      has: ({ hmac, signing }) => hmac.length > 0 || signing.length > 0,
    },
  };

/** @param consumers all that there can be. */
export function checkCredentials(
  lists: readonly ResolvedList[],
  consumers: readonly ConsumerConfig[],
  findings: Finding[],
): void {
  const answers = new Map<string, boolean>();
  for (const { uses, from } of lists) {
    for (const one of uses.slice(from)) {
      const { name } = one.use;
      if (!knowsConsumersOnly(one)) continue;
      const { what, has } = needed[name];
      const isThere = answers.get(name) ?? consumers.some(has);
      answers.set(name, isThere);
      if (isThere) continue;
      const message = `${formatPath(one.path)}: no consumer has ${what}, so that everybody is refused`;
      findings.push({ severity: 'warning', code: 'NEVER_ALLOWED', message, path: one.path });
    }
  }
}

function knowsConsumersOnly({ use: { name, module, options } }: ResolvedUse): boolean {
  if (module !== null || !Object.hasOwn(needed, name) || !isMapping(options)) return false;
  return options['optional'] !== true && options['htpasswd'] === undefined;
}
