/**
 * What is signed of a request (RFC 9421, section 2): components of it, one a line, and the parameters of the signature.
 * What is not understood makes no line, and without all of its lines there is no base: nothing is left out quietly.
 */
import { isToken, trimBlanks } from './grammar.ts';
import {
  type Dictionary,
  type InnerList,
  type Item,
  type Parameters,
  isInnerList,
  parseDictionary,
  parseItem,
  parseList,
  serializeDictionary,
  serializeInnerList,
  serializeItem,
  serializeList,
  serializeMember,
} from './structured-fields.ts';

/** What components are taken from. All text has one byte in each character. */
export interface SignedRequest {
  readonly method: string;
  readonly scheme: 'http' | 'https';
  /** As `normalAuthority` makes it. */
  readonly authority: string;
  readonly path: string;
  /** Without `?`; empty when there is none. */
  readonly query: string;
  /** The values of all fields of this name, in order. */
  fields(name: string): readonly string[];
}

/** What is signed, or why there is nothing that could be. */
export type SignatureBase =
  | {
      readonly text: string;
      /** The identifiers of the components, as the text has them. */
      readonly covered: ReadonlySet<string>;
      readonly problem?: never;
    }
  | { readonly text?: never; readonly problem: string };

/** Derived components (RFC 9421, section 2.2) of requests, without `@query-param`. */
const derived: ReadonlyMap<string, (request: SignedRequest) => string> = new Map([
  ['@method', ({ method }: SignedRequest) => method],
  ['@scheme', ({ scheme }: SignedRequest) => scheme],
  ['@authority', ({ authority }: SignedRequest) => authority],
  ['@path', ({ path }: SignedRequest) => path],
  ['@query', ({ query }: SignedRequest) => `?${query}`],
  ['@request-target', pathAndQuery],
  ['@target-uri', (request: SignedRequest) => `${request.scheme}://${request.authority}${pathAndQuery(request)}`],
]);

function pathAndQuery({ path, query }: SignedRequest): string {
  return query === '' ? path : `${path}?${query}`;
}

/** Components that have others in them. */
const containing: ReadonlyMap<string, readonly string[]> = new Map([
  ['@request-target', ['@path', '@query']],
  ['@target-uri', ['@scheme', '@authority', '@path', '@query']],
]);

/** Fields that are known to be structured, for `sf`: of any other nobody can tell what its strict form is. */
const structures: ReadonlyMap<string, 'dictionary' | 'list' | 'item'> = new Map([
  ['accept', 'list'],
  ['accept-encoding', 'list'],
  ['accept-language', 'list'],
  ['cache-control', 'dictionary'],
  ['content-digest', 'dictionary'],
  ['content-encoding', 'list'],
  ['content-type', 'item'],
  ['priority', 'dictionary'],
  ['repr-digest', 'dictionary'],
  ['signature', 'dictionary'],
  ['signature-input', 'dictionary'],
  ['want-content-digest', 'dictionary'],
  ['want-repr-digest', 'dictionary'],
]);

/**
 * A component as configurations write it: `@method`, `content-type`, `cache-control;key="max-age"`,
 * `@query-param;name="id"`.
 * @returns null for what could never be a component of a request.
 */
export function parseComponent(text: string): Item | null {
  const [name, ...parameters] = text.split(';');
  const item = parseItem([`"${name.toLowerCase()}"`, ...parameters].join(';'));
  return item !== null && problemOf(item) === '' ? item : null;
}

/** A component that a signature may have to cover. */
export interface Coverage {
  /** Each of these identifiers says something about it. */
  readonly by: readonly string[];
}

export function coverageOf(component: Item): Coverage {
  const name = nameOf(component);
  const around = component.parameters.size > 0 ? [] : [...containing].filter(([, parts]) => parts.includes(name));
  return { by: [serializeItem(component), ...around.map(([whole]) => `"${whole}"`)] };
}

/** @param covered see `SignatureBase`. */
export function isCovered({ by }: Coverage, covered: ReadonlySet<string>): boolean {
  return by.some((id) => covered.has(id));
}

/** Whether the request has what the component is made of. */
export function hasComponent(request: SignedRequest, component: Item): boolean {
  return valueOf(request, component) !== null;
}

/** RFC 9421, section 2.5. @param input the components and the parameters of the signature. */
export function signatureBase(request: SignedRequest, input: InnerList): SignatureBase {
  const covered = new Set<string>();
  let text = '';
  for (const item of input.items) {
    const problem = problemOf(item);
    if (problem !== '') return { problem };
    const id = serializeItem(item);
    if (covered.has(id)) return { problem: `the component ${id} is there twice` };
    covered.add(id);
    const value = valueOf(request, item);
    if (value === null) return { problem: `the request has no ${id}, or not one that could be signed` };
    text += `${id}: ${value}\n`;
  }
  return { text: `${text}"@signature-params": ${serializeInnerList(input)}`, covered };
}

/** RFC 9421, section 2.2.3: lower-case, without the port that the scheme has anyway. */
export function normalAuthority(authority: string, scheme: 'http' | 'https'): string {
  const lower = authority.toLowerCase();
  const usual = scheme === 'https' ? ':443' : ':80';
  return lower.endsWith(usual) ? lower.slice(0, -usual.length) : lower;
}

function nameOf({ value }: Item): string {
  return value.kind === 'string' ? value.value : '';
}

const flags: ReadonlySet<string> = new Set(['sf', 'bs']);

/** Why this is no component that a request could have; empty if it is. */
function problemOf(item: Item): string {
  const name = nameOf(item);
  const { parameters } = item;
  if (name === '@query-param') {
    return parameters.size === 1 && textOf(parameters, 'name') !== null
      ? ''
      : '@query-param needs a name and nothing else';
  }
  if (name.startsWith('@')) {
    return derived.has(name) && parameters.size === 0 ? '' : 'a derived component that is not supported';
  }
  if (!isToken(name) || name !== name.toLowerCase()) return 'a component with the name of no field';
  for (const [key, value] of parameters) {
    if (flags.has(key) ? value.kind === 'boolean' && value.value : key === 'key' && value.kind === 'string') continue;
    // `tr` and `req` as well: trailers are not here yet, and a request answers none.
    return 'a component with a parameter that is not supported';
  }
  if (parameters.has('bs') && parameters.size > 1) return 'a component with parameters that exclude each other';
  return '';
}

function textOf(parameters: Parameters, key: string): string | null {
  const value = parameters.get(key);
  return value?.kind === 'string' ? value.value : null;
}

function valueOf(request: SignedRequest, item: Item): string | null {
  const name = nameOf(item);
  if (name === '@query-param') return queryParameter(request, textOf(item.parameters, 'name')!);
  const derive = derived.get(name);
  return derive === undefined ? fieldValue(request, name, item.parameters) : derive(request);
}

/**
 * What was parsed of a request. Components may ask for one part of it after another, in each of several signatures that
 * nobody has verified, so each is parsed once (else a single request keeps a thread busy for more than a second).
 */
interface Parsed {
  /** The values, by name. */
  query: ReadonlyMap<string, readonly string[]> | null;
  readonly dictionaries: Map<string, Dictionary | null>;
}

const parsedOf = new WeakMap<SignedRequest, Parsed>();

function partsOf(request: SignedRequest): Parsed {
  let known = parsedOf.get(request);
  if (known === undefined) parsedOf.set(request, (known = { query: null, dictionaries: new Map() }));
  return known;
}

function dictionaryOf(request: SignedRequest, name: string, joined: string): Dictionary | null {
  const { dictionaries } = partsOf(request);
  let dictionary = dictionaries.get(name);
  if (dictionary === undefined) dictionaries.set(name, (dictionary = parseDictionary(joined)));
  return dictionary;
}

/** RFC 9421, section 2.1. */
function fieldValue(request: SignedRequest, name: string, parameters: Parameters): string | null {
  const values = request.fields(name);
  if (values.length === 0) return null;
  const trimmed = values.map(trimBlanks);
  // Section 2.1.3: each line by itself, so that a comma in one cannot pass for the boundary of two.
  if (parameters.has('bs')) {
    return trimmed.map((value) => `:${Buffer.from(value, 'latin1').toString('base64')}:`).join(', ');
  }
  const joined = trimmed.join(', ');
  const key = textOf(parameters, 'key');
  if (key !== null) {
    const member = dictionaryOf(request, name, joined)?.get(key);
    return member === undefined ? null : serializeMember(member);
  }
  return parameters.has('sf') ? strictForm(joined, structures.get(name)) : joined;
}

/** RFC 9421, section 2.1.1. */
function strictForm(text: string, structure: 'dictionary' | 'list' | 'item' | undefined): string | null {
  switch (structure) {
    case 'dictionary': {
      const dictionary = parseDictionary(text);
      return dictionary === null ? null : serializeDictionary(dictionary);
    }
    case 'list': {
      const list = parseList(text);
      return list === null ? null : serializeList(list);
    }
    case 'item': {
      const item = parseItem(text);
      return item === null ? null : serializeItem(item);
    }
    case undefined:
      return null;
  }
}

/** RFC 9421, section 2.2.8: of a parameter that is repeated nobody can say which one is meant. */
function queryParameter(request: SignedRequest, name: string): string | null {
  const parts = partsOf(request);
  parts.query ??= parametersIn(request.query);
  const values = parts.query.get(name) ?? [];
  return values.length === 1 ? formEncoded(values[0]) : null;
}

function parametersIn(query: string): ReadonlyMap<string, readonly string[]> {
  const parameters = new Map<string, string[]>();
  for (const [key, value] of new URLSearchParams(query)) {
    const name = formEncoded(key);
    const values = parameters.get(name);
    if (values === undefined) parameters.set(name, [value]);
    else values.push(value);
  }
  return parameters;
}

/** By the percent-encode set of `application/x-www-form-urlencoded`, a space as `%20`. */
function formEncoded(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replaceAll(
    /[!'()~]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** One signature of a message (RFC 9421, section 4). */
export interface MessageSignature {
  readonly label: string;
  readonly input: InnerList;
  readonly signature: Uint8Array;
}

/** More signatures or components than anybody needs are a way to keep the gateway busy. */
const maxSignatures = 8;
const maxComponents = 64;

/**
 * The signatures of a message, in the order of `Signature-Input`.
 * @param inputs all values of `Signature-Input`, joined by commas; `signatures` those of `Signature`.
 * @returns null when these are not what RFC 9421, section 4 says, or do not belong together.
 */
export function parseSignatures(inputs: string, signatures: string): readonly MessageSignature[] | null {
  const byLabel = parseDictionary(signatures);
  const parsed = parseDictionary(inputs);
  if (byLabel === null || parsed === null || parsed.size > maxSignatures || parsed.size !== byLabel.size) return null;
  const found: MessageSignature[] = [];
  for (const [label, input] of parsed) {
    const signature = byLabel.get(label);
    if (!isInnerList(input) || input.items.length > maxComponents) return null;
    if (signature === undefined || isInnerList(signature) || signature.value.kind !== 'bytes') return null;
    found.push({ label, input, signature: signature.value.value });
  }
  return found;
}
