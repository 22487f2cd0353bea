/** Policies that cannot work where they stand in their list, or that another one in it makes idle. */
import { isDeepStrictEqual } from 'node:util';
import { formatSize } from '../../util/units.ts';
import type { ResolvedUse } from '../policies.ts';
import { type Finding, formatPath } from '../problem.ts';

/** Those that refuse whoever presents nothing, unless they are `optional`. */
const ASK_FOR_CREDENTIALS: readonly string[] = [
  'anyOf',
  'apiKey',
  'basicAuth',
  'forwardAuth',
  'introspection',
  'jwt',
  'messageSignature',
  'mtls',
  'oidc',
];

/** Whether the later of two uses of one policy makes no difference; null for policies that may well be there twice. */
const makesNoDifference: Readonly<Record<string, (earlier: unknown, later: unknown) => boolean>> = {
  // The first one answers preflights, and has the last word on responses.
  cors: () => true,
  // The first one gives the id.
  requestId: (earlier, later) => isDeepStrictEqual(optionOf(earlier, 'header'), optionOf(later, 'header')),
  compress: isDeepStrictEqual,
  ipFilter: isDeepStrictEqual,
  securityHeaders: isDeepStrictEqual,
  // The smaller one counts.
  bodyLimit: (earlier, later) => Number(optionOf(later, 'max')) >= Number(optionOf(earlier, 'max')),
};

function optionOf(options: unknown, name: string): unknown {
  return typeof options === 'object' && options !== null ? (options as Record<string, unknown>)[name] : undefined;
}

/** @param from where the uses begin that are written in this list; those before them are of the defaults. */
export function checkPolicyList(uses: readonly ResolvedUse[], from: number, findings: Finding[]): void {
  for (let index = from; index < uses.length; index++) {
    const { use, path } = uses[index];
    if (use.module !== null) continue;
    const before = uses.slice(0, index).filter((other) => other.use.module === null);
    const differs = Object.hasOwn(makesNoDifference, use.name) ? makesNoDifference[use.name] : null;
    const same = before.find((other) => other.use.name === use.name && differs?.(other.use.options, use.options));
    if (same !== undefined) {
      const message = `${formatPath(path)}: ${use.name} ${reasonFor(same)}`;
      findings.push({ severity: 'warning', code: 'NO_EFFECT', message, path });
    }
    const unseen = use.name === 'ban' ? before.find(({ use: other }) => asksForCredentials(other)) : undefined;
    if (unseen !== undefined) {
      const message = `${formatPath(path)}: ban does not see what ${unseen.use.name} refuses, as it comes after it: put it before ${unseen.use.name}`;
      findings.push({ severity: 'warning', code: 'NO_EFFECT', message, path });
    }
    // A browser never sends credentials with a preflight (the Fetch standard, section 4.8), so it would be refused.
    const asking = use.name === 'cors' ? before.find(({ use: other }) => asksForCredentials(other)) : undefined;
    if (asking !== undefined) {
      const message = `cors comes after ${asking.use.name}, which refuses preflights, as browsers send no credentials with them: put it before ${asking.use.name}`;
      findings.push({ severity: 'warning', code: 'PREFLIGHT_REFUSED', message, path });
    }
  }
}

function asksForCredentials({ name, options }: ResolvedUse['use']): boolean {
  return ASK_FOR_CREDENTIALS.includes(name) && optionOf(options, 'optional') !== true;
}

function reasonFor({ use, path }: ResolvedUse): string {
  const place = formatPath(path);
  if (use.name === 'bodyLimit') {
    return `has no effect: the limit of ${place}, ${formatSize(Number(optionOf(use.options, 'max')))}, is not larger and counts`;
  }
  return `has no effect: that of ${place} comes first and does it already`;
}
