/** Sends a signed request to a gateway that serves, and reads from the answer how the gateway has handled it. */
import { type ClientRequest, type IncomingMessage, request as requestPlain } from 'node:http';
import { request as requestSecure } from 'node:https';
import { isIP } from 'node:net';
import type { LiveExplanation } from '../compile/explain/explanation.ts';
import { DEBUG_HEADER, signDebug } from '../http/debug-signature.ts';
import { isFieldValue, isToken } from '../http/grammar.ts';

/** The environment variable that the secret is taken from: an argument would be seen by everybody on the machine. */
export const debugSecretVariable = 'GATEWRIGHT_DEBUG_SECRET';

export interface LiveRequest {
  readonly method: string;
  /** As on the wire. */
  readonly target: string;
  /** The value of Host. */
  readonly host: string;
  /** The others. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Scheme, host and port to connect to. */
  readonly to: URL;
  readonly secret: string;
}

/** There was no explanation. The message is one line for people that says what to do; it has no secret in it. */
export class NotExplained extends Error {
  override readonly name = 'NotExplained';
}

/** For the head of the answer: longer than what a route commonly has. */
const timeoutMs = 90_000;
/** A gateway may pass on large heads of upstreams. */
const maxHeaderSize = 128 * 1024;

/**
 * Asks for the head of the response alone; the connection is closed then.
 * @throws {NotExplained} when nothing answers, or not with an explanation.
 */
export async function sendLive(live: LiveRequest): Promise<LiveExplanation> {
  const { statusCode, headers } = await answerTo(live);
  const value = headers[DEBUG_HEADER];
  if (typeof value !== 'string') {
    throw new NotExplained(
      `${live.to.origin} answers ${statusCode} without an explanation: telemetry.debug must be configured there, with ` +
        'the same secret, and its clock must not be far from that of this machine',
    );
  }
  return parse(value, live.to);
}

function answerTo({ method, target, host, headers, to, secret }: LiveRequest): Promise<IncomingMessage> {
  const parts = { method, authority: host, target };
  const signature = signDebug(secret, parts, Math.floor(Date.now() / 1000));
  const name = host.replace(/:[0-9]*$/, '');
  const options = {
    host: to.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: to.port === '' ? (to.protocol === 'https:' ? 443 : 80) : Number(to.port),
    method,
    path: target,
    headers: ['host', host, ...headers.flat(), DEBUG_HEADER, signature],
    agent: false,
    maxHeaderSize,
    signal: AbortSignal.timeout(timeoutMs),
    // The certificate is that of the host which is asked for, wherever it is.
    ...(isIP(name.replace(/^\[(.*)\]$/, '$1')) === 0 && { servername: name }),
  };
  return new Promise((resolve, reject) => {
    const send = to.protocol === 'https:' ? requestSecure : requestPlain;
    const request: ClientRequest = send(options);
    const answered = (response: IncomingMessage): void => {
      resolve(response);
      request.destroy();
    };
    request.on('response', answered);
    request.on('upgrade', (response, socket) => {
      socket.destroy();
      answered(response);
    });
    request.on('error', (error: NodeJS.ErrnoException) => {
      const reason = error.name === 'TimeoutError' ? `no answer within ${timeoutMs / 1000} s` : error.code;
      reject(
        new NotExplained(
          `${to.origin} cannot be reached (${reason ?? error.message}): start the gateway, or name it with --to`,
        ),
      );
    });
    request.end();
  });
}

function parse(value: string, to: URL): LiveExplanation {
  try {
    const live = JSON.parse(value) as Partial<LiveExplanation> | null;
    if (Array.isArray(live?.timings) && typeof live.happened === 'object' && live.explanation !== undefined) {
      return live as LiveExplanation;
    }
  } catch {
    // Said below.
  }
  throw new NotExplained(`what answers at ${to.origin} is not a gateway of this version: name another with --to`);
}

/** Why it cannot be sent, or null: `node:http` would quote in its error what may be a credential. */
export function whyNotSent({ target, host, headers, method }: Omit<LiveRequest, 'to' | 'secret'>): string | null {
  if (headers.some(([name]) => /^(?:content-length|transfer-encoding)$/i.test(name))) {
    return 'the request is sent without a body: leave out content-length and transfer-encoding';
  }
  const names = [method, ...headers.map(([name]) => name)];
  const values = [host, ...headers.map(([, value]) => value)];
  const isSendable = /^[\x21-\x7e]+$/.test(target) && names.every(isToken) && values.every(isFieldValue);
  return isSendable ? null : 'a client cannot send this request: it has characters that must be encoded';
}
