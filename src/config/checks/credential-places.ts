/**
 * Whether a credential is still there when a policy looks for it: whoever authenticates takes it out of the request, and
 * the next one, which looks at the same place, finds nothing.
 */
import { innerUses, withInnerUses } from '../inner-uses.ts';
import { isMapping } from '../is-mapping.ts';
import type { ResolvedUse } from '../policies.ts';
import { type Finding, formatPath } from '../problem.ts';
import type { PolicyUse } from '../schema.ts';

type Options = Readonly<Record<string, unknown>>;

/**
 * Where each built-in policy looks. Left out are those of which that cannot be told: `messageSignature` may look before
 * another one takes the signature out.
 */
const placesOf: Readonly<Record<string, (options: Options) => readonly string[]>> = {
  apiKey: (options) => named(options, 'x-api-key'),
  basicAuth: () => ['Basic in authorization'],
  introspection: (options) => named(options, 'authorization').map(asBearer),
  jwt: (options) => named(options, 'authorization').map(asBearer),
  oidc: ({ cookie }) => [`the session ${String(isMapping(cookie) ? cookie['name'] : '')}`],
};

/** @param usual the header if no place is named. */
function named({ header, query, cookie }: Options, usual: string): readonly string[] {
  const places = [
    ...(typeof header === 'string' ? [`the header ${header.toLowerCase()}`] : []),
    ...(typeof query === 'string' ? [`?${query}`] : []),
    ...(typeof cookie === 'string' ? [`the cookie ${cookie}`] : []),
  ];
  return places.length > 0 ? places : [`the header ${usual}`];
}

/** A token and a password in one header do not meet: each is left alone by who looks for the other. */
function asBearer(place: string): string {
  return place === 'the header authorization' ? 'Bearer in authorization' : place;
}

function lookedAt({ name, module, options }: PolicyUse): readonly string[] {
  if (module !== null || !Object.hasOwn(placesOf, name) || !isMapping(options)) return [];
  return placesOf[name](options);
}

function isTrue({ options }: PolicyUse, name: string): boolean {
  return isMapping(options) && options[name] === true;
}

/** What is no longer there after this policy. Of `anyOf` it is what all of its ways look for. */
function takenBy(use: PolicyUse): readonly string[] {
  if (use.module !== null) return [];
  if (use.name === 'anyOf') return innerUses(use).flatMap(takenBy);
  return isTrue(use, 'forward') ? [] : lookedAt(use);
}

/** Headers that are there for the next policies, whatever was taken out: null where that may be any. */
function writtenBy({ name, module, options }: PolicyUse): readonly string[] | null {
  if (module !== null || name === 'headers' || name === 'forwardAuth') return null;
  if (!isMapping(options)) return [];
  const { forwardAccessToken, forwardClaims } = options;
  if (typeof forwardAccessToken === 'string' || forwardAccessToken === true) return null;
  return isMapping(forwardClaims) ? Object.keys(forwardClaims).map((header) => header.toLowerCase()) : [];
}

/** @param from where the uses begin that are written in this list; those before them are of the defaults. */
export function checkCredentialPlaces(uses: readonly ResolvedUse[], from: number, findings: Finding[]): void {
  const takers = new Map<string, ResolvedUse>();
  for (const [index, one] of uses.entries()) {
    const { use, path } = one;
    const looked = lookedAt(use);
    const taker = takers.get(looked[0] ?? '');
    if (index >= from && taker !== undefined && looked.every((place) => takers.has(place))) {
      const isIdle = isTrue(use, 'optional');
      const outcome = isIdle ? 'it lets everything pass' : 'everybody is refused';
      const message = `${formatPath(path)}: ${taker.use.name} of ${formatPath(taker.path)} takes out what ${use.name} looks for (${looked[0]}), so that ${outcome}: let that one have \`forward: true\`, or leave one of them out`;
      findings.push({ severity: 'warning', code: isIdle ? 'NO_EFFECT' : 'NEVER_ALLOWED', message, path });
    }
    if (index >= from) checkWays(one, findings);
    for (const place of takenBy(use)) if (!takers.has(place)) takers.set(place, one);
    for (const each of withInnerUses([use])) {
      const written = writtenBy(each);
      if (written === null) takers.clear();
      else for (const header of written) takers.delete(asBearer(`the header ${header}`));
    }
  }
}

/** What one way is to leave in the request, another one may take out. */
function checkWays({ use, path }: ResolvedUse, findings: Finding[]): void {
  if (use.module !== null || use.name !== 'anyOf') return;
  const ways = innerUses(use);
  for (const way of ways) {
    if (!isTrue(way, 'forward')) continue;
    const places = lookedAt(way);
    const taker = ways.find((other) => takenBy(other).some((place) => places.includes(place)));
    if (taker === undefined) continue;
    const message = `${formatPath(path)}: \`forward\` of ${way.label} has no effect, as ${taker.label} takes the same out of the request: let both have it`;
    findings.push({ severity: 'warning', code: 'NO_EFFECT', message, path });
  }
}
