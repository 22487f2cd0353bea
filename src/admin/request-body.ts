/** Reads the body of a request to the admin port: bounded, of a type that the endpoint takes, and of the form it wants. */
import type { IncomingMessage } from 'node:http';
import type { z } from '../util/schema.ts';
import type { BodyRule, Refusal } from './endpoint.ts';

/** What of a wrong input is said at most. */
const maxErrors = 20;
const maxErrorLength = 200;

/**
 * The media type without parameters, in lower case; empty when there is none, null when it is not one that is understood.
 * JSON and YAML are UTF-8 (RFC 8259, section 8.1; RFC 9512); a page can only send other types without asking first, so
 * that a type that is not exactly one of those of the endpoint is refused (cross-site request forgery).
 */
export function mediaTypeOf(request: IncomingMessage): string | null {
  const values = request.headersDistinct['content-type'] ?? [];
  if (values.length === 0) return '';
  const match = /^([\w.+-]+\/[\w.+-]+)(?:\s*;\s*charset="?utf-8"?)?$/i.exec(
    values.length === 1 ? values[0].trim() : '',
  );
  return match === null ? null : match[1].toLowerCase();
}

/** Whether there is a body, as the head says. */
function hasBody(request: IncomingMessage): boolean {
  return request.headers['transfer-encoding'] !== undefined || declaredLength(request) > 0;
}

export function declaredLength(request: IncomingMessage): number {
  return Number(request.headers['content-length'] ?? 0);
}

/** Why the head of a request shows that its body is not to be read; null when it is. */
export function refusalOfHead(request: IncomingMessage, rule: BodyRule | null): Refusal | null {
  if (rule === null) {
    return hasBody(request) ? { code: 'ADMIN_BAD_INPUT', detail: 'This endpoint takes no body.' } : null;
  }
  const type = mediaTypeOf(request);
  const coding = request.headers['content-encoding'];
  if (type === null || !rule.types.includes(type) || (coding !== undefined && coding !== 'identity')) {
    return {
      code: 'ADMIN_MEDIA_TYPE',
      detail: `It takes ${rule.types.join(' or ')} in UTF-8, not compressed.`,
      headers: { accept: rule.types.join(', ') },
    };
  }
  return declaredLength(request) > rule.maxBytes ? tooLarge(rule) : null;
}

/** The text of a body; a refusal when it is too long or not UTF-8. Rejects when the client goes away. */
export async function readText(request: IncomingMessage, rule: BodyRule): Promise<string | Refusal> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > rule.maxBytes) return tooLarge(rule);
    chunks.push(chunk);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks, length));
  } catch {
    return { code: 'ADMIN_BAD_INPUT', detail: 'The body is not UTF-8.' };
  }
}

function tooLarge({ maxBytes }: BodyRule): Refusal {
  return { code: 'BODY_TOO_LARGE', detail: `The body may have at most ${maxBytes} bytes.` };
}

/** What an input is once its schema has read it, or why it is none. */
function readInput(schema: z.ZodType, input: unknown, what: string): { readonly value: unknown } | Refusal {
  const result = schema.safeParse(input);
  if (result.success) return { value: result.data };
  const errors = result.error.issues.slice(0, maxErrors).map(({ path, message }) => ({
    path: path.map((key) => (typeof key === 'number' ? key : String(key).slice(0, maxErrorLength))),
    message: message.slice(0, maxErrorLength),
  }));
  return { code: 'ADMIN_BAD_INPUT', detail: `The ${what} is not what this endpoint takes.`, more: { errors } };
}

export function readJson(text: string, schema: z.ZodType): { readonly value: unknown } | Refusal {
  let input: unknown;
  try {
    input = JSON.parse(text);
  } catch {
    return { code: 'ADMIN_BAD_INPUT', detail: 'The body is not valid JSON.' };
  }
  return readInput(schema, input, 'body');
}

/** A query as a record. A parameter that is given twice could be read either way, so it is refused. */
export function readQuery(query: string, schema: z.ZodType): { readonly value: unknown } | Refusal {
  const parameters = new URLSearchParams(query);
  const record: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [name, value] of parameters) {
    if (Object.hasOwn(record, name)) {
      return { code: 'ADMIN_BAD_INPUT', detail: 'A query parameter is given more than once.' };
    }
    record[name] = value;
  }
  return readInput(schema, { ...record }, 'query');
}
