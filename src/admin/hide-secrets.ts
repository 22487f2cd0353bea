/**
 * What the admin API shows has no secrets in it (CVE-2025-62232, CVE-2022-29266). They are recognised by their meaning, as
 * the schemas of the configuration and of the policies mark it; by their form, such as private keys; and by their value,
 * wherever it turns up.
 */
import { innerUses } from '../config/inner-uses.ts';
import { replaceSecrets } from '../config/schema-walk.ts';
import {
  type ConsumerConfig,
  type FieldMatch,
  type PolicyUse,
  type RouteConfig,
  gatewaySchema,
} from '../config/schema.ts';
import { credentialId } from '../consumers/credential-id.ts';
import { hideByForm, secret } from '../telemetry/secret-filter.ts';
import type { ControlPlane } from './control-plane.ts';

/** A shorter token would be found everywhere by chance. */
const minTokenLength = 4;

/**
 * Options of policies with such names are hidden even if the author of the policy has not marked them, and so are the
 * values of headers and parameters with such names, which may be set or matched as they stand in the configuration.
 */
const secretName =
  /^(?:token|key|cookie|set-cookie|(?:proxy-)?authorization)$|pass(?:word|phrase|wd)|secret|credential|api[-_]?key|private[-_]?key|(?:access|auth|bearer)[-_]?token/i;

/** @param token that of the admin API, or null. */
export function hiderOf(control: ControlPlane | null, token: string | null): (text: string) => string {
  return (text) => {
    let shown = hideByForm(control === null ? text : control.redact(text));
    if (token !== null && token.length >= minTokenLength) shown = shown.replaceAll(token, secret);
    return shown;
  };
}

/** A copy of plain data with every text in it passed through `hide`; what has nothing to hide is shared with the original. */
export function hideIn(value: unknown, hide: (text: string) => string): unknown {
  if (typeof value === 'string') return hide(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return hideEach(value, hide);
  const shown = hideEach(Object.values(value), hide);
  return Object.fromEntries(Object.keys(value).map((key, index) => [key, shown[index]]));
}

/** Of very many values most have nothing to hide, so one look is taken at many of them before each is looked at. */
function hideEach(values: readonly unknown[], hide: (text: string) => string): unknown[] {
  const size = Math.ceil(values.length / 32);
  if (size <= 1) return values.map((value) => hideIn(value, hide));
  const shown: unknown[] = [];
  for (let start = 0; start < values.length; start += size) {
    const part = values.slice(start, start + size);
    const text = JSON.stringify(part);
    // Where JSON writes a text otherwise than it is, a secret in it may not be seen.
    const isClean = !text.includes('\\') && hide(text) === text;
    for (const value of isClean ? part : hideEach(part, hide)) shown.push(value);
  }
  return shown;
}

const shownOtherwise: readonly string[] = ['routes', 'notFound', 'consumers'];

/** The configuration with what is secret by its meaning replaced; secrets inside of other texts are still in it. */
export function shownConfig(control: ControlPlane): unknown {
  const { config } = control;
  const shown: Record<string, unknown> = { ...config };
  const schemas: Readonly<Record<string, Parameters<typeof replaceSecrets>[0]>> = gatewaySchema.shape;
  for (const [name, section] of Object.entries(config)) {
    const schema = Object.hasOwn(schemas, name) ? schemas[name] : undefined;
    if (schema !== undefined && !shownOtherwise.includes(name)) {
      shown[name] = replaceSecrets(schema, section, secret);
    }
  }
  const showUses = usesWith((use) => control.definitionOf(use));
  const routes = Object.entries(config.routes).map(([name, route]) => {
    return [name, { ...route, match: shownMatch(route.match), policies: showUses(route.policies) }] as const;
  });
  shown['consumers'] = config.consumers.map(shownConsumer);
  shown['routes'] = Object.fromEntries(routes);
  shown['notFound'] = { ...config.notFound, policies: showUses(config.notFound.policies) };
  return shown;
}

/**
 * A consumer without what could be used, or guessed at: hashes of passwords and of keys, and keys of signatures. Keys and
 * certificates are told apart by their fingerprints, public keys are public.
 */
function shownConsumer(consumer: ConsumerConfig): ConsumerConfig {
  const { apiKeys, basic, hmac } = consumer;
  return {
    ...consumer,
    apiKeys: apiKeys.map((key) => Object.assign({}, key, { digest: `${credentialId.apiKey(key.digest)}…` })),
    basic: basic && { ...basic, password: secret },
    hmac: hmac.map((key) => Object.assign({}, key, { secret })),
  };
}

/** A match without the values of headers and query parameters that are secret by their names. */
export function shownMatch(match: RouteConfig['match']): RouteConfig['match'] {
  const isSecret = (field: FieldMatch): boolean => !('present' in field) && secretName.test(field.name);
  if (!match.headers.some(isSecret) && !match.query.some(isSecret)) return match;
  const show = (field: FieldMatch): FieldMatch => (isSecret(field) ? { name: field.name, equals: secret } : field);
  return { ...match, headers: match.headers.map(show), query: match.query.map(show) };
}

/** Many routes share their policies; each use is looked at once. */
function usesWith(definitionOf: ControlPlane['definitionOf']): (uses: readonly PolicyUse[]) => readonly PolicyUse[] {
  const known = new Map<PolicyUse, PolicyUse>();
  const show = (uses: readonly PolicyUse[]): readonly PolicyUse[] =>
    uses.map((use) => {
      let shown = known.get(use);
      if (shown === undefined) {
        const definition = definitionOf(use);
        // Of options whose schema is not known everything may be secret.
        const options =
          definition === null
            ? hideAll(use.options)
            : definition.combines === true
              ? show(innerUses(use))
              : hideByName(replaceSecrets(definition.options, use.options, secret));
        known.set(use, (shown = { ...use, options }));
      }
      return shown;
    });
  return show;
}

/** Keeps the structure. */
function hideAll(options: unknown): unknown {
  if (typeof options === 'string' || typeof options === 'number' || typeof options === 'bigint') return secret;
  if (typeof options !== 'object' || options === null) return options;
  if (Array.isArray(options)) return options.map(hideAll);
  return Object.fromEntries(Object.entries(options).map(([name, value]) => [name, hideAll(value)]));
}

function hideByName(options: unknown): unknown {
  if (typeof options !== 'object' || options === null) return options;
  if (Array.isArray(options)) return options.map(hideByName);
  return Object.fromEntries(
    Object.entries(options).map(([name, value]) => [name, secretName.test(name) ? hideAll(value) : hideByName(value)]),
  );
}
