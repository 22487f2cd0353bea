/** One attempt to get a document: asked for, followed to where it is, and looked at. */
import { open } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { CallRequest, CallResponse, DocumentPointer, DocumentSource } from '../contract.ts';
import type { Clock } from '../util/clock.ts';

export interface FetchEnv {
  readonly clock: Clock;
  /** See `PolicyEnv.call`. */
  call(request: CallRequest): Promise<CallResponse>;
}

export interface Fetched {
  readonly text: string;
  /** How long it holds by its own account; Infinity if it does not say. */
  readonly lifetimeMs: number;
}

/** An answer that is not the document. The message has nothing of the answer in it, which may be anything. */
class NoDocument extends Error {
  override readonly name = 'NoDocument';
}

/** @throws with a message that may be logged, for whatever is not the document. */
export async function fetchDocument(source: DocumentSource, env: FetchEnv): Promise<Fetched> {
  const deadlineAt = env.clock.now() + source.timeoutMs;
  let fetched = source.url.startsWith('file:') ? await readWhole(source) : await ask(source, source.timeoutMs, env);
  if (source.pointer !== undefined) {
    const url = follow(source.pointer, source.url, objectOf(fetched.text));
    const leftMs = deadlineAt - env.clock.now();
    if (leftMs <= 0) throw new NoDocument('it took too long to say where the document is');
    const { tls, timeoutMs, maxBytes, refreshMs, cooldownMs } = source;
    fetched = await ask({ url, timeoutMs, maxBytes, refreshMs, cooldownMs, ...(tls && { tls }) }, leftMs, env);
  }
  const { members, lifetimeMember } = source;
  if (members === undefined && lifetimeMember === undefined) return fetched;
  const object = objectOf(fetched.text);
  for (const [name, type] of Object.entries(members ?? {})) {
    const value = ownMember(object, name);
    if (type === 'array' ? !Array.isArray(value) : typeof value !== 'string') {
      throw new NoDocument(`the answer has no member "${name}" that is ${type === 'array' ? 'a list' : 'a text'}`);
    }
  }
  const seconds = lifetimeMember === undefined ? undefined : ownMember(object, lifetimeMember);
  // What says itself how long it holds is usually not to be stored by caches at all.
  const lifetimeMs = typeof seconds === 'number' && seconds >= 0 ? seconds * 1000 : Infinity;
  return { text: fetched.text, lifetimeMs: lifetimeMember === undefined ? fetched.lifetimeMs : lifetimeMs };
}

async function ask(source: DocumentSource, timeoutMs: number, env: FetchEnv): Promise<Fetched> {
  const { url, headers, body, tls, maxBytes } = source;
  const {
    status,
    headers: fields,
    ...answer
  } = await env.call({
    url,
    method: body === undefined ? 'GET' : 'POST',
    timeoutMs,
    maxBytes,
    ...(headers !== undefined && { headers }),
    ...(body !== undefined && { body }),
    ...(tls !== undefined && { tls }),
  });
  if (status !== 200) throw new NoDocument(`the answer has status ${status}`);
  return { text: textOf(answer.body), lifetimeMs: lifetimeOf(fields) };
}

async function readWhole({ url, maxBytes }: DocumentSource): Promise<Fetched> {
  const file = await open(fileURLToPath(url));
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(maxBytes + 1), 0, maxBytes + 1, 0);
    if (bytesRead > maxBytes) throw new NoDocument(`the file has more than ${maxBytes} bytes`);
    return { text: textOf(buffer.subarray(0, bytesRead)), lifetimeMs: Infinity };
  } finally {
    await file.close();
  }
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new NoDocument('the answer is not UTF-8');
  }
}

type JsonObject = Readonly<Record<string, unknown>>;

function objectOf(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new NoDocument('the answer is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new NoDocument('the answer is not a JSON object');
  }
  return value as JsonObject;
}

function ownMember(object: JsonObject, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

function follow({ member, mustSay }: DocumentPointer, from: string, pointer: JsonObject): string {
  for (const [name, expected] of Object.entries(mustSay)) {
    if (ownMember(pointer, name) !== expected) throw new NoDocument(`the answer does not say "${name}": "${expected}"`);
  }
  const url = ownMember(pointer, member);
  if (typeof url !== 'string') throw new NoDocument(`the answer has no member "${member}" that is a text`);
  // Nothing but the network is asked because an answer says so, and not in the clear what was asked in secret.
  if (!/^https:\/\//i.test(url) && !(/^http:\/\//i.test(from) && /^http:\/\//i.test(url))) {
    throw new NoDocument(`"${member}" of the answer is not an https:// URL`);
  }
  return url;
}

/** `max-age` of Cache-Control (RFC 9111, section 5.2.2.1), less the time that the answer has spent in caches already. */
function lifetimeOf(headers: CallResponse['headers']): number {
  const valueOf = (name: string): string =>
    headers.flatMap(([field, value]) => (field.toLowerCase() === name ? [value] : [])).join(',');
  const maxAge = /(?:^|[,\s])max-age="?(\d{1,10})/i.exec(valueOf('cache-control'));
  if (maxAge === null) return Infinity;
  const age = /^\d{1,10}$/.exec(valueOf('age').trim());
  return Math.max(0, Number(maxAge[1]) - Number(age?.[0] ?? 0)) * 1000;
}
