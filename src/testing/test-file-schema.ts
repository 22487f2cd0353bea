/** What a file of configuration tests may say. */
import { headerValue, responseHeaderName } from '../config/schema/http-text.ts';
import { errors } from '../errors.ts';
import { z } from '../util/schema.ts';
import { duration } from '../util/units.ts';
import { requestPlace } from './choose-listener.ts';
import { fakeFailures } from './fake-answer.ts';

const METHOD_AND_URL = /^([^ ]+) +(.+)$/;

function isRequestLine(text: string): boolean {
  const match = METHOD_AND_URL.exec(text);
  return match !== null && isMethod(match[1]) && isUrl(match[2]);
}

function isMethod(text: string): boolean {
  return /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(text);
}

function isUrl(text: string): boolean {
  try {
    requestPlace(text);
    return true;
  } catch {
    return false;
  }
}

function isRegex(text: string): boolean {
  try {
    return new RegExp(text, 'u').source !== '';
  } catch {
    return false;
  }
}

const URL_RULE = 'write a URL such as http://api.example.com/catalog/7';
const url = z.string().refine(isUrl, { error: URL_RULE });

/** Fields of a request: whatever a client may send. */
const requestHeaders = z.record(z.string(), z.union([z.string(), z.array(z.string()).min(1)]));

const json = z.unknown().optional();
const eitherBody = {
  error: 'a body is text (`body`) or JSON (`json`), not both',
  path: ['json'],
};

function hasOneBody({ body, json: content }: { body?: unknown; json?: unknown }): boolean {
  return body === undefined || content === undefined;
}

const requestParts = z
  .strictObject({
    method: z.string().refine(isMethod, { error: 'is not a method' }).default('GET'),
    url,
    headers: requestHeaders.default({}),
    body: z.string().optional(),
    json,
    from: z.union([z.ipv4(), z.ipv6()], { error: 'write an IP address' }).optional(),
    listener: z.string().optional(),
  })
  .refine(hasOneBody, eitherBody);

export type RequestParts = z.output<typeof requestParts>;

const requestLine = z
  .string()
  .refine(isRequestLine, { error: 'write a method and a URL, such as GET http://api.example.com/catalog/7' })
  .transform((line): RequestParts => {
    const [, method, address] = METHOD_AND_URL.exec(line) ?? ['', 'GET', line];
    return { method, url: address, headers: {} };
  });

const request = z.union([requestLine, requestParts], { error: 'write a method and a URL, or {method, url, …}' });

const responseHeaders = z.record(responseHeaderName, z.union([headerValue, z.array(headerValue).min(1)]));

const answer = z.union(
  [
    z.enum(fakeFailures),
    z
      .strictObject({
        status: z.int().min(200).max(599).optional(),
        headers: responseHeaders.default({}),
        body: z.string().optional(),
        json,
        delay: duration().optional(),
      })
      .refine(hasOneBody, eitherBody),
  ],
  { error: `write a response such as {status: 200, body: "…"}, or ${fakeFailures.join(', ')}` },
);

export type AnswerParts = z.output<typeof answer>;

const answers = z.record(z.string(), answer);

const isGiven = (value: unknown): boolean => value !== undefined;
const regex = z.string().refine(isRegex, { error: 'is not a regular expression' });

const expectedField = z.union(
  [
    z.string(),
    z.strictObject({ present: z.boolean() }),
    z.strictObject({ regex }),
    z.strictObject({ contains: z.string() }),
  ],
  { error: 'write the value as text, {present: true}, {regex: …} or {contains: …}' },
);

const expectedBody = z.union(
  [
    z.string(),
    z.strictObject({ json: z.unknown().refine(isGiven, { error: 'is empty' }) }),
    z.strictObject({ contains: z.unknown().refine(isGiven, { error: 'is empty' }) }),
    z.strictObject({ regex }),
  ],
  { error: 'write text, {json: …}, {contains: …} or {regex: …}' },
);

export type ExpectedField = z.output<typeof expectedField>;
export type ExpectedBody = z.output<typeof expectedBody>;

const expectedRequest = z.strictObject({
  method: z.string().optional(),
  path: z.string().optional(),
  headers: z.record(z.string(), expectedField).optional(),
  body: expectedBody.optional(),
});

/** A name, or null where there must be none. */
const nameOrNone = z.string().nullable().optional();
const codes = Object.keys(errors) as [string, ...string[]];

const expectation = z.strictObject({
  route: nameOrNone,
  status: z.int().min(100).max(599).optional(),
  headers: z.record(z.string(), expectedField).optional(),
  body: expectedBody.optional(),
  code: z.enum(codes, { error: 'is not a code of the gateway' }).nullable().optional(),
  upstream: nameOrNone,
  target: nameOrNone,
  cache: nameOrNone,
  consumer: nameOrNone,
  clientIp: nameOrNone,
  attempts: z.int().min(0).optional(),
  upstreamRequest: expectedRequest.nullable().optional(),
});

export type Expectation = z.output<typeof expectation>;
export type ExpectedRequest = z.output<typeof expectedRequest>;

/** One request, and what is around it. */
const requestStep = {
  request: request.optional(),
  repeat: z.int().min(1).max(100_000).optional(),
  upstream: answer.optional(),
  upstreams: answers.optional(),
  expect: expectation.optional(),
};

const step = z.strictObject({ ...requestStep, advance: duration().optional() });

export type TestStep = z.output<typeof step>;

const test = z.strictObject({
  name: z.string().trim().min(1),
  ...requestStep,
  steps: z.array(step).min(1).optional(),
});

export type DeclaredTest = z.output<typeof test>;

export const testFileSchema = z.strictObject({
  config: z.string().min(1).optional(),
  env: z.record(z.string(), z.string()).default({}),
  files: z.record(z.string(), z.string()).default({}),
  now: z.iso.datetime({ offset: true, error: 'write a date such as "2026-01-01T12:00:00Z"' }).optional(),
  upstreams: answers.default({}),
  tests: z.array(test).min(1),
});

export type TestFile = z.output<typeof testFileSchema>;
