import { type Exchange, type Policy, type Reply, definePolicy } from '../contract.ts';
import { OriginSet, isOrigin, isPreflight } from '../http/cors.ts';
import { equalsIgnoringCase, isToken } from '../http/grammar.ts';
import { varyOn } from '../http/negotiation.ts';
import { z } from '../util/schema.ts';
import { duration } from '../util/units.ts';
import { readableBy } from './readable-text.ts';

const origin = readableBy((pattern) => new OriginSet([pattern]));
const token = z.string().refine(isToken, { error: 'write a name, or "*"' });

const options = z
  .strictObject({
    origins: z
      .array(origin)
      .min(1)
      .describe(
        'Origins whose pages may read the responses: `https://shop.example.com`; `https://*.example.com` for all hosts ' +
          'below example.com, but not itself; `null` for pages without an origin; `*` for all.',
      ),
    methods: z
      .array(token)
      .min(1)
      .optional()
      .describe('Methods that those pages may use, `*` for all. By default those that the route accepts.'),
    headers: z
      .array(token)
      .default(['content-type'])
      .describe('Request headers that those pages may set. `*` for all except `authorization`, which is always named.'),
    exposeHeaders: z
      .array(token)
      .default([])
      .describe('Response headers that those pages may read, beyond the few that they always may; `*` for all.'),
    credentials: z
      .boolean()
      .default(false)
      .describe('Whether browsers may send cookies, TLS client certificates and saved passwords along.'),
    maxAge: duration()
      .prefault('10m')
      .describe('For how long a browser may remember the answer to a preflight. Browsers have limits of their own.'),
  })
  .refine(({ credentials, exposeHeaders }) => !credentials || !exposeHeaders.includes('*'), {
    message: 'to browsers "*" is a header named * when there are credentials: name the headers',
    path: ['exposeHeaders'],
  });

type CorsOptions = z.output<typeof options>;

/**
 * Cross-origin resource sharing (the Fetch standard, section 3.2). Preflights are answered here, with 204, and never
 * reach the upstream; one from an origin that is not allowed gets a 204 as well, but without any permission, which is
 * what makes the browser refuse. Other requests pass whatever their origin is, since CORS protects what browsers let
 * pages read and is no access control; what the upstream says about CORS is replaced by what is configured here.
 */
export const cors = definePolicy({
  name: 'cors',
  summary: 'Lets pages of other origins call the route from a browser, and answers their preflights.',
  options,
  create(corsOptions, env): Policy {
    const answers = new CorsAnswers(corsOptions);
    if (corsOptions.credentials && corsOptions.origins.includes('*')) {
      env.warn('cors allows every origin with credentials: any web site can act as the user that visits it');
    }
    return {
      onRequest(exchange) {
        if (exchange.method !== 'OPTIONS') return undefined;
        return isPreflight(exchange.method, exchange.requestHeaders)
          ? answers.toPreflight(exchange)
          : answers.toPlainOptions(exchange);
      },
      onResponse(exchange) {
        answers.permit(exchange);
      },
    };
  },
});

type Fields = [name: string, value: string][];

/** What one configuration says to browsers. */
class CorsAnswers {
  private readonly origins: OriginSet;
  /** Whether every response says `*`, so that it depends on no field of the request. */
  private readonly isPublic: boolean;
  private readonly credentials: boolean;
  private readonly exposed: string;
  private readonly methods: readonly string[] | null;
  private readonly headers: readonly string[];
  private readonly maxAge: string;

  constructor({ origins, methods, headers, exposeHeaders, credentials, maxAge }: CorsOptions) {
    this.origins = new OriginSet(origins);
    // To a browser that sends credentials `*` is no wildcard (the Fetch standard, section 3.2.5): each origin is named.
    this.isPublic = this.origins.any && !credentials;
    this.credentials = credentials;
    this.exposed = exposeHeaders.join(', ');
    this.methods = methods ?? null;
    this.headers = headers;
    this.maxAge = String(Math.floor(maxAge / 1000));
  }

  toPreflight(exchange: Exchange): Reply {
    const allowedOrigin = this.allowedOrigin(exchange);
    const fields: Fields = this.isPublic
      ? []
      : [['vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers']];
    if (allowedOrigin === null) return { status: 204, headers: fields };

    fields.push(['access-control-allow-origin', allowedOrigin]);
    if (this.credentials) fields.push(['access-control-allow-credentials', 'true']);
    const methods = this.allowedMethods(exchange);
    if (methods !== '') fields.push(['access-control-allow-methods', methods]);
    const headers = this.allowedHeaders(exchange);
    if (headers !== '') fields.push(['access-control-allow-headers', headers]);
    if (this.exposed !== '') fields.push(['access-control-expose-headers', this.exposed]);
    fields.push(['access-control-max-age', this.maxAge]);
    return { status: 204, headers: fields };
  }

  /** An OPTIONS request that no browser asks on its own: the upstream's, unless the route leaves OPTIONS to us. */
  toPlainOptions({ route }: Exchange): Reply | undefined {
    if (route.methods === null || route.methods.includes('OPTIONS')) return undefined;
    return { status: 204, headers: [['allow', [...route.methods, 'OPTIONS'].join(', ')]] };
  }

  /** Says in the head of a response whether pages of the client's origin may read it. */
  permit(exchange: Exchange): void {
    const headers = exchange.responseHeaders;
    const allowedOrigin = this.allowedOrigin(exchange);
    if (!this.isPublic) varyOn(headers, 'Origin');
    setOrRemove(headers, 'access-control-allow-origin', allowedOrigin ?? '');
    setOrRemove(headers, 'access-control-allow-credentials', allowedOrigin !== null && this.credentials ? 'true' : '');
    setOrRemove(headers, 'access-control-expose-headers', allowedOrigin === null ? '' : this.exposed);
  }

  /** The value of `Access-Control-Allow-Origin`, or null. */
  private allowedOrigin(exchange: Exchange): string | null {
    if (this.isPublic) return '*';
    const values = exchange.requestHeaders.getAll('origin');
    // Two origins are none: which of them the browser means, if there is a browser, nobody can know.
    if (values.length !== 1) return null;
    const [value] = values;
    return this.origins.lists(value) || (this.origins.any && isOrigin(value)) ? value : null;
  }

  private allowedMethods({ route, requestHeaders }: Exchange): string {
    const methods = this.methods ?? route.methods;
    if (methods !== null && !methods.includes('*')) return methods.join(', ');
    if (!this.credentials) return '*';
    const asked = requestHeaders.get('access-control-request-method') ?? '';
    return isToken(asked) ? asked : '';
  }

  private allowedHeaders({ requestHeaders }: Exchange): string {
    if (!this.credentials || !this.headers.includes('*')) return this.headers.join(', ');
    // The browser takes no `*` here, so it gets the names that it asks for. Like `*`, that does not cover `authorization`.
    const named = this.headers.filter((name) => name !== '*');
    const asked = requestHeaders.getAll('access-control-request-headers').join(',').split(',');
    const others = asked
      .map((name) => name.trim())
      .filter((name) => isToken(name) && !equalsIgnoringCase(name, 'authorization') && !named.includes(name));
    return [...named, ...others].join(', ');
  }
}

function setOrRemove(headers: Exchange['responseHeaders'], name: string, value: string): void {
  if (value === '') headers.remove(name);
  else headers.set(name, value);
}
