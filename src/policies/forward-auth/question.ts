/** The request by which a service is asked about another one, as nginx, Traefik and Caddy send it. */
import type { Exchange } from '../../contract.ts';
import { namedByConnection } from '../../http/connection-options.ts';
import * as kind from '../../http/field-kind.ts';
import { formatAuthority } from '../../http/host.ts';
import { z } from '../../util/schema.ts';
import { headerName } from '../header-options.ts';

type Field = readonly [name: string, value: string];

/** What the service is told of the request in any case; a client can say nothing in their place. */
const ownNames: ReadonlySet<string> = new Set([
  'x-forwarded-method',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-uri',
  'x-forwarded-for',
  'x-real-ip',
  'x-original-method',
  'x-original-url',
  'x-original-uri',
]);

/** What would make the service answer to something else than the question: with a 304, a part, or packed. */
const misleading: ReadonlySet<string> = new Set([
  'accept-encoding',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
  'range',
  'proxy-authorization',
]);

const sentName = headerName('request').refine((name) => !ownNames.has(name.toLowerCase()) && !isMisleading(name), {
  message: 'the gateway says this itself, or it would mislead the service',
});

/** The option. */
export const sendHeadersOption = z
  .union([z.literal('*'), z.array(sentName).max(100)])
  .default(['authorization', 'cookie'])
  .describe(
    "Headers of the request that the service gets, or `'*'` for all but those that are about the connection, the body or caches. It always gets `X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri` and `-For`, `X-Real-IP` and `X-Original-Method`, `-URL` and `-URI`.",
  );

export class Question {
  private readonly all: boolean;
  private readonly names: readonly string[];

  constructor(sendHeaders: z.output<typeof sendHeadersOption>) {
    this.all = sendHeaders === '*';
    this.names = sendHeaders === '*' ? [] : [...new Set(sendHeaders.map((name) => name.toLowerCase()))];
  }

  /**
   * The fields. Path and host are those that the route was found by, never what else the client may have written
   * (CVE-2021-43557, CVE-2025-54576): what is asked about is what is let through.
   */
  fieldsFor(exchange: Exchange): readonly Field[] {
    const { scheme, method, clientIp } = exchange;
    const host = exchange.host === '' ? '' : formatAuthority(exchange.host, exchange.port);
    const uri = exchange.query === '' ? exchange.path : `${exchange.path}?${exchange.query}`;
    const fields: Field[] = [
      ['x-forwarded-method', method],
      ['x-forwarded-proto', scheme],
      ['x-forwarded-host', host],
      ['x-forwarded-uri', uri],
      ['x-original-method', method],
      ['x-original-url', `${scheme}://${host}${uri}`],
      ['x-original-uri', uri],
    ];
    // A client at a Unix socket has none.
    if (clientIp !== '') fields.push(['x-forwarded-for', clientIp], ['x-real-ip', clientIp]);
    this.addSent(exchange, fields);
    return fields;
  }

  /** Whether the request has anything by which the service could know who calls. */
  isAnonymous({ requestHeaders }: Exchange): boolean {
    return !this.all && !this.names.some((name) => requestHeaders.has(name));
  }

  /** Whether the service sees this header. @param name in lower case. */
  includes(name: string): boolean {
    return this.all || this.names.includes(name);
  }

  private addSent({ requestHeaders }: Exchange, fields: Field[]): void {
    // What the upstream does not get is nothing that the service should let pass by.
    const ofHop = namedByConnection(requestHeaders);
    if (this.all) {
      for (const [name, value] of requestHeaders) {
        const lower = name.toLowerCase();
        if (lower !== 'cookie' && isAboutRequest(lower) && !ofHop.has(lower)) fields.push([lower, value]);
      }
    }
    for (const name of this.names) {
      if (name === 'cookie' || ofHop.has(name)) continue;
      for (const value of requestHeaders.getAll(name)) fields.push([name, value]);
    }
    if (!this.includes('cookie') || ofHop.has('cookie')) return;
    // One field, whatever the client has sent (RFC 9113, section 8.2.3): not all servers read more than one.
    const cookies = requestHeaders.getAll('cookie');
    if (cookies.length > 0) fields.push(['cookie', cookies.join('; ')]);
  }
}

function isMisleading(name: string): boolean {
  return misleading.has(name.toLowerCase());
}

function isAboutRequest(name: string): boolean {
  const nameKind = kind.fieldKind(name);
  // Of one hop or of a body.
  if (nameKind === kind.HOST || kind.isFraming(nameKind) || nameKind === kind.DEBUG) return false;
  if (kind.isForwarding(nameKind)) return false;
  return !ownNames.has(name) && !misleading.has(name) && !name.startsWith('content-');
}
