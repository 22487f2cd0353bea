/** What the admin API is made of. One table of endpoints does the dispatch and is the OpenAPI document. */
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import type { ErrorCode } from '../errors.ts';
import { z } from '../util/schema.ts';
import type { ControlPlane } from './control-plane.ts';

/** Says no; becomes problem details (RFC 9457). */
export interface Refusal {
  readonly code: ErrorCode;
  /** One sentence. */
  readonly detail?: string;
  /** More members of the problem details. */
  readonly more?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface JsonAnswer {
  readonly json: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface TextAnswer {
  readonly status: number;
  readonly text: string;
  readonly type: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The resource is what the client has already (RFC 9110, section 15.4.5). */
export interface NotModified {
  readonly notModified: true;
  readonly headers: Readonly<Record<string, string>>;
}

/** A response that lasts. It is called with the response before anything was sent, for GET only. */
export interface StreamAnswer {
  readonly type: string;
  stream(response: ServerResponse): void;
}

export type Answer = Refusal | JsonAnswer | TextAnswer | NotModified | StreamAnswer;

/** What an endpoint is called with. */
export interface Call<Query, Body> {
  /** What stands in the path where the endpoint has a name in braces. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  readonly body: Body;
  readonly headers: IncomingHttpHeaders;
  /** Of the request body, without parameters; empty when there is none. */
  readonly mediaType: string;
}

/** What a request body must be. Without a schema it is handed on as text. */
export interface BodyRule {
  readonly types: readonly string[];
  readonly maxBytes: number;
  readonly schema: z.ZodType | null;
}

export interface EndpointFacts {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** A part in braces is any one segment, which `Call.params` has. */
  readonly path: string;
  readonly operationId: string;
  /** One sentence. */
  readonly summary: string;
  /** Whether everybody may call it: it says nothing that not everybody may know. */
  readonly isOpen?: boolean;
  /** Request headers that have a meaning, with what it is. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The answer with status 200, by media type; the schema of one that is JSON. */
  readonly answer: {
    readonly type: string;
    readonly schema: z.ZodType | null;
    /** Media types of other forms, for who asks for them. */
    readonly others?: readonly string[];
  };
  /** Other statuses that it answers with in the same form, and what they mean. */
  readonly also?: Readonly<Record<number, string>>;
  /** Refusals of its own; those that any endpoint may answer with are not listed. */
  readonly refusals?: readonly ErrorCode[];
}

export interface Endpoint extends EndpointFacts {
  readonly query: z.ZodType;
  readonly body: BodyRule | null;
  /** @param control null while there is none yet. */
  readonly handle: (call: Call<unknown, unknown>, control: ControlPlane | null) => Answer | Promise<Answer>;
}

export const noQuery = z.strictObject({});

export interface EndpointWithInput<Query, Body> extends EndpointFacts {
  readonly query?: z.ZodType<Query>;
  readonly body?: BodyRule & { readonly schema: z.ZodType<Body> | null };
  readonly handle: (call: Call<Query, Body>, control: ControlPlane) => Answer | Promise<Answer>;
}

/** An endpoint that tells of, or changes, what serves: it answers 503 while nothing does. */
export function controlEndpoint<Query, Body = undefined>(endpoint: EndpointWithInput<Query, Body>): Endpoint {
  const { query = noQuery, body = null, handle, refusals = [], ...facts } = endpoint;
  return {
    ...facts,
    refusals: [...refusals, 'ADMIN_NOT_READY'],
    query,
    body,
    handle: (call, control) =>
      control === null
        ? { code: 'ADMIN_NOT_READY', headers: { 'retry-after': '1' } }
        : // The dispatch has parsed both by these very schemas.
          handle(call as Call<Query, Body>, control),
  };
}
