/** What becomes of a request by what the service has answered. */
import { type CallResponse, Refusal, type Reply } from '../../contract.ts';
import type { ErrorCode } from '../../errors.ts';
import { isFieldValue } from '../../http/grammar.ts';

type Field = readonly [name: string, value: string];

/** The service lets it pass. */
export interface Permission {
  /** For the upstream. */
  readonly copies: readonly Field[];
  /** What the client is to keep: values of `Set-Cookie`. */
  readonly cookies: readonly string[];
  /** Who calls, in the words of the service; empty where it does not say. */
  readonly caller: string;
  /** Whether another request that is the same in all that the service sees may pass by it. */
  readonly isReusable: boolean;
}

/** A refusal goes to the client with these; what else the service says is between it and the gateway. */
const shown: ReadonlySet<string> = new Set([
  'cache-control',
  'content-language',
  'content-type',
  'location',
  'retry-after',
  'set-cookie',
  'www-authenticate',
]);

const codes: Readonly<Record<number, ErrorCode>> = { 401: 'UNAUTHENTICATED', 403: 'FORBIDDEN' };

export interface AnswerRules {
  /** Lower-case names. */
  readonly copyHeaders: readonly string[];
  /** Lower-case, or empty for none. */
  readonly consumerHeader: string;
}

/**
 * @returns text: why it is no answer to rely on, for the log.
 * @param isAnonymous the request had nothing by which the service could know who calls.
 */
export function readAnswer(
  { status, headers, body }: CallResponse,
  { copyHeaders, consumerHeader }: AnswerRules,
  isAnonymous: boolean,
): Permission | Refusal | string {
  // They have come over a wire already; what goes into another message is looked at again (CVE-2026-31908).
  if (!headers.every(([, value]) => isFieldValue(value))) return 'it answers with a header that is none';
  const fields = headers.map(([name, value]) => [name.toLowerCase(), value] as const);
  if (status >= 200 && status < 300) {
    const callers = consumerHeader === '' ? [] : valuesOf(consumerHeader, fields);
    if (callers.length > 1) return `it names more than one caller in ${consumerHeader}`;
    const cookies = valuesOf('set-cookie', fields);
    return {
      copies: fields.filter(([name]) => copyHeaders.includes(name)),
      cookies,
      caller: callers.join(''),
      isReusable: cookies.length === 0 && !valuesOf('cache-control', fields).some((value) => /no-store/i.test(value)),
    };
  }
  // Nothing was asked on a condition, so nothing can be "not modified".
  if (status < 300 || status >= 500 || status === 304) return `it answers with status ${status}`;
  const reply = replyOf(status, fields, body);
  return new Refusal(isAnonymous ? 'missing' : 'invalid', `the service answers with status ${status}`, reply);
}

function valuesOf(name: string, fields: readonly Field[]): readonly string[] {
  return fields.flatMap(([other, value]) => (other === name ? [value] : []));
}

function replyOf(status: number, fields: readonly Field[], body: Uint8Array): Reply {
  const headers = fields.filter(([name]) => shown.has(name));
  // Whoever logs in next must not be shown the way to the login.
  if (!headers.some(([name]) => name === 'cache-control')) headers.push(['cache-control', 'no-store']);
  const code = Object.hasOwn(codes, status) ? codes[status] : undefined;
  if (body.length > 0) return { status, headers, body, ...(code !== undefined && { code }) };
  const bodiless = headers.filter(([name]) => name !== 'content-type');
  return { status, headers: bodiless, ...(code === undefined ? { body: '' } : { code }) };
}
