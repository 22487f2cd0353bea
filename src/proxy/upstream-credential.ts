/**
 * What the gateway proves to an upstream that it is. It belongs to the upstream, so whichever way a request has come to
 * it, no other upstream ever gets it, and it takes the place of what the client has sent in the same fields.
 */
import type { MaybePromise } from '../contract.ts';

/** The request of one attempt, as far as it is known when its head is written. */
export interface SentRequest {
  readonly method: string;
  readonly scheme: 'http' | 'https';
  /** The value of Host. */
  readonly host: string;
  readonly path: string;
  /** Without `?`; empty when there is none. */
  readonly query: string;
  /** All other fields but those that frame the message, as lines that end in CRLF. */
  readonly lines: string;
  /** The whole body, text with a byte in each character; null for one that is not whole when the head is sent. */
  readonly body: string | Uint8Array | null;
}

export interface UpstreamCredential {
  /** Fields, in lower case, that never go from the client to this upstream. */
  readonly replaces: readonly string[];
  /** Whether there is something to send; a promise where that has to be waited for. */
  ready(): MaybePromise<boolean>;
  /** The lines of the request with those of the credential. Called for each attempt, once it is ready. */
  complete(request: SentRequest): string;
  /** The upstream has answered 401. */
  refused(): void;
}
