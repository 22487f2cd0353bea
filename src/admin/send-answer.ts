/** Writes answers of the admin port. */
import type { ServerResponse } from 'node:http';
import { type ErrorCode, errors } from '../errors.ts';
import { PROBLEM_MEDIA_TYPE, problemDetails } from '../http/problem.ts';
import type { Answer, Refusal } from './endpoint.ts';
import { hideIn } from './hide-secrets.ts';

/** Nothing is kept, guessed, framed or run; the page has neither scripts nor styles. */
const securityHeaders = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const;

type Headers = Readonly<Record<string, string>>;

/** @param hide what is secret in a text; whatever the answer says goes through it. */
export function sendAnswer(response: ServerResponse, answer: Answer, hide: (text: string) => string): void {
  if ('code' in answer) {
    send(response, errors[answer.code].status, PROBLEM_MEDIA_TYPE, problemText(answer, hide), answer.headers);
  } else if ('json' in answer) {
    send(response, 200, 'application/json', `${JSON.stringify(hideIn(answer.json, hide))}\n`, answer.headers);
  } else if ('text' in answer) {
    send(response, answer.status, `${answer.type}; charset=utf-8`, answer.text, answer.headers);
  } else if ('notModified' in answer) {
    response.writeHead(304, { ...securityHeaders, ...answer.headers }).end();
  } else {
    response.writeHead(200, { ...securityHeaders, 'content-type': answer.type, 'x-accel-buffering': 'no' });
    if (response.req.method === 'HEAD') response.end();
    else answer.stream(response);
  }
}

function problemText({ code, detail, more }: Refusal, hide: (text: string) => string): string {
  const details = JSON.parse(problemDetails(code, '', detail)) as Record<string, unknown>;
  return `${JSON.stringify({ ...details, ...(hideIn(more ?? {}, hide) as object) })}\n`;
}

function send(response: ServerResponse, status: number, type: string, body: string, headers: Headers = {}): void {
  const length = Buffer.byteLength(body);
  response.writeHead(status, { ...securityHeaders, 'content-type': type, 'content-length': length, ...headers });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

/** The whole message for a request that could not be read, so that there is nothing to answer through. */
export function rawRefusal(code: ErrorCode): string {
  const { status } = errors[code];
  const body = `${problemDetails(code, '')}\n`;
  const fields: Headers = {
    ...securityHeaders,
    'content-type': PROBLEM_MEDIA_TYPE,
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
  };
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${code}\r\n${head.join('')}\r\n${body}`;
}
