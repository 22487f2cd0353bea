/** What policies tell an upstream in a header must not be where the credential of the gateway itself goes. */
import { withInnerUses } from '../inner-uses.ts';
import { isMapping } from '../is-mapping.ts';
import { type Finding, formatPath } from '../problem.ts';
import type { PolicyUse, RouteConfig, UpstreamDeclaration } from '../schema.ts';

/** The credential is put in last, so that what was there is lost. */
export function checkUpstreamHeaders(
  { name, policies, upstream }: RouteConfig,
  upstreams: Readonly<Record<string, UpstreamDeclaration>>,
  findings: Finding[],
): void {
  for (const { upstream: to } of upstream ?? []) {
    const auth = Object.hasOwn(upstreams, to) ? upstreams[to].auth : undefined;
    if (auth === undefined) continue;
    const taken = headersOf(auth);
    for (const use of withInnerUses(policies)) {
      const lost = headersToldBy(use).find((header) => taken.has(header));
      if (lost === undefined) continue;
      const path = ['routes', name];
      const message = `${formatPath(path)}: ${use.label} sends ${lost} to upstreams.${to}, whose auth takes the place of it: choose another header`;
      findings.push({ severity: 'warning', code: 'NO_EFFECT', message, path, atKey: true });
    }
  }
}

function headersOf({
  bearer,
  basic,
  clientCredentials,
  headers,
}: NonNullable<UpstreamDeclaration['auth']>): ReadonlySet<string> {
  const isAuthorization = bearer !== undefined || basic !== undefined || clientCredentials !== undefined;
  const own = Object.keys(headers).map((header) => header.toLowerCase());
  return new Set(isAuthorization ? ['authorization', ...own] : own);
}

/** In lower case. Of what a client sends, and `forward` leaves there, it is known anyway that it is replaced. */
function headersToldBy({ name, module, options }: PolicyUse): readonly string[] {
  if (module !== null || !isMapping(options)) return [];
  const { header, forwardAccessToken: token, forwardClaims } = options;
  const headers = [
    ...(name === 'identityToken' && typeof header === 'string' ? [header] : []),
    ...(token === true ? ['authorization'] : typeof token === 'string' ? [token] : []),
    ...(isMapping(forwardClaims) ? Object.keys(forwardClaims) : []),
  ];
  return headers.map((one) => one.toLowerCase());
}
