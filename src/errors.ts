/**
 * The one table of everything that can go wrong with an exchange, or with a request to the admin port: a stable code, the
 * status it is answered with, whose fault it is and whether the same request may be sent again. The access log, the metrics, the problem details
 * (RFC 9457) and the generated reference all read this table; nothing else assigns a status to a failure.
 */

import { adminErrors } from './errors/admin.ts';

/** Whose fault a failure is: the client's, the gateway's own, or the upstream's. */
export type ErrorSource = 'client' | 'gateway' | 'upstream';

export interface ErrorEntry {
  /** The HTTP status of the reply. 499 is only ever logged: the client that would read it is gone. */
  readonly status: number;
  readonly source: ErrorSource;
  /** Whether sending the very same request again later can succeed. */
  readonly retry: boolean;
  /** The `title` of the problem details: constant, in plain words, without internals. */
  readonly title: string;
  /** The paragraph of the reference: what it means and what to do. */
  readonly help: string;
  /** The error type of `Proxy-Status` (RFC 9209, section 2.3), where one fits. */
  readonly proxyStatus?: string;
}

export const errors = {
  BAD_REQUEST: {
    status: 400,
    source: 'client',
    retry: false,
    proxyStatus: 'http_request_error',
    title: 'The request is malformed',
    help: 'The bytes are not a valid HTTP/1.1 request (RFC 9112): a bad request line, header, Host, length or chunk. The connection is closed, because where the next request would begin is not known. Correct the client.',
  },
  BAD_PATH: {
    status: 400,
    source: 'client',
    retry: false,
    proxyStatus: 'http_request_error',
    title: 'The request path is not acceptable',
    help: 'The path cannot be made canonical: an encoded slash or backslash, a control character, malformed percent-encoding, a `#`, or dot segments that leave the root. Such paths mean different things to different servers, so they are refused before a route is chosen. A route that needs encoded slashes opts in with `match.encodedSlash: keep`.',
  },
  BODY_TOO_LARGE: {
    status: 413,
    source: 'client',
    retry: false,
    proxyStatus: 'http_request_error',
    title: 'The request body is too large',
    help: "The body is larger than the listener's `limits.bodyBytes`, a `bodyLimit` policy, or what a policy that needs the whole body may buffer. Send less, or raise the limit. On the admin port the limit is fixed: 64 MiB for a configuration, 64 KiB otherwise.",
  },
  TARGET_TOO_LONG: {
    status: 414,
    source: 'client',
    retry: false,
    proxyStatus: 'http_request_error',
    title: 'The request target is too long',
    help: "The request target is longer than the listener's `limits.targetBytes`.",
  },
  HEAD_TOO_LARGE: {
    status: 431,
    source: 'client',
    retry: false,
    proxyStatus: 'http_request_error',
    title: 'The request head is too large',
    help: "The request line and headers exceed the listener's `limits.headBytes`, or there are more headers than `limits.headers`.",
  },
  EXPECTATION_FAILED: {
    status: 417,
    source: 'client',
    retry: false,
    proxyStatus: 'http_request_error',
    title: 'The expectation is not supported',
    help: 'The only expectation that HTTP defines is `Expect: 100-continue` (RFC 9110, section 10.1.1).',
  },
  REQUEST_TIMEOUT: {
    status: 408,
    source: 'client',
    retry: true,
    proxyStatus: 'http_request_error',
    title: 'The request took too long to arrive',
    help: "The head did not arrive within the listener's `timeouts.head`, or the body stood still for `timeouts.bodyIdle`.",
  },
  NOT_IMPLEMENTED: {
    status: 501,
    source: 'client',
    retry: false,
    proxyStatus: 'http_request_error',
    title: 'The request needs a feature of HTTP that is not supported',
    help: 'A transfer coding other than `chunked`, or the method CONNECT: a gateway is not a forward proxy. Also TRACE with `Max-Forwards: 0`, and TRACE for a route that does not list it among its methods.',
  },
  VERSION_NOT_SUPPORTED: {
    status: 505,
    source: 'client',
    retry: false,
    proxyStatus: 'http_request_error',
    title: 'The HTTP version is not supported',
    help: 'Only HTTP/1.0 and HTTP/1.1 are spoken on this listener.',
  },
  NO_ROUTE: {
    status: 404,
    source: 'client',
    retry: false,
    proxyStatus: 'destination_not_found',
    title: 'No route matches the request',
    help: 'No route matches the host, path, headers and query of the request.',
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    source: 'client',
    retry: false,
    proxyStatus: 'http_request_denied',
    title: 'The method is not allowed here',
    help: 'Routes match the request but for its method. The `Allow` header lists the methods that they accept. The admin port says so of its own paths as well.',
  },
  UNAUTHENTICATED: {
    status: 401,
    source: 'client',
    retry: false,
    proxyStatus: 'http_request_denied',
    title: 'The request needs valid credentials',
    help: 'An authentication policy of the route found no credential that holds: none, an unknown or wrong one, one that has expired or was revoked. The answer is the same for all of these, so that nobody can learn from it; the `reason` in the access log says which it was. `WWW-Authenticate` says what is asked for.',
  },
  FORBIDDEN: {
    status: 403,
    source: 'client',
    retry: false,
    proxyStatus: 'http_request_denied',
    title: 'The caller may not do this',
    help: 'Who calls is known and is not allowed to: an `authorize` policy, or an authorisation server that was asked, refuses it. The `reason` in the access log says why; the client is not told.',
  },
  TOO_MANY_ATTEMPTS: {
    status: 429,
    source: 'client',
    retry: true,
    proxyStatus: 'http_request_denied',
    title: 'Too many attempts to authenticate have failed',
    help: 'The client has sent too many credentials that do not hold. Further attempts are refused for a while, which `Retry-After` names. Others are not concerned: refusals go by the address of the client, and by the account together with it.',
  },
  RATE_LIMITED: {
    status: 429,
    source: 'client',
    retry: true,
    proxyStatus: 'http_request_denied',
    title: 'Too many requests',
    help: 'A `rateLimit` of the route has let as many requests pass as it does in its time. `Retry-After` says when the next one can, `RateLimit` how much there is of which limit, and `detail` names the one that has refused. A refused request is charged to none of the limits.',
  },
  QUOTA_EXCEEDED: {
    status: 429,
    source: 'client',
    retry: true,
    proxyStatus: 'http_request_denied',
    title: 'The quota is used up',
    help: 'A `quota` of the route is used up for the day or the month. `Retry-After` says when the next one begins, and `detail` names the quota.',
  },
  TOO_MANY_CONCURRENT: {
    status: 429,
    source: 'client',
    retry: true,
    proxyStatus: 'http_request_denied',
    title: 'Too many requests at once',
    help: 'As many requests as a `concurrency` policy of the route allows are on their way, and its queue is full or the request has waited in it for `queueTimeout`. Send fewer at a time.',
  },
  AUTH_UNAVAILABLE: {
    status: 503,
    source: 'gateway',
    retry: true,
    proxyStatus: 'http_request_denied',
    title: 'Credentials cannot be verified at the moment',
    help: 'What the gateway has to ask to verify the credential (the keys of an issuer, an introspection endpoint, an authorisation server) does not answer, so nobody is let through. The application log says what is missing; the request may be repeated.',
  },
  UPSTREAM_AUTH_UNAVAILABLE: {
    status: 503,
    source: 'gateway',
    retry: true,
    proxyStatus: 'proxy_internal_error',
    title: 'The gateway has no credential for the upstream at the moment',
    help: "The upstream is called with a token of the gateway's own (`auth.clientCredentials`), and the token endpoint has given none that is still valid. Nothing was sent to the upstream. The application log says why; the request may be repeated.",
  },
  IP_DENIED: {
    status: 403,
    source: 'client',
    retry: false,
    proxyStatus: 'http_request_denied',
    title: 'This address may not call here',
    help: "An `ipFilter` policy refuses the address of the client. Behind a proxy or load balancer, name it in the listener's `trustedProxies`, so that the address of the real client is seen.",
  },
  BANNED: {
    status: 403,
    source: 'client',
    retry: true,
    proxyStatus: 'http_request_denied',
    title: 'This client is turned away for a while',
    help: "A `ban` policy has found that the client misbehaves, or an operator has banned its network through the admin API. `Retry-After` says for how long yet. `gatewright bans list` shows who is banned, until when and why, and `gatewright bans remove ADDRESS` lifts a ban. Behind a proxy or load balancer, name it in the listener's `trustedProxies`, so that clients are told apart.",
  },
  DRAINING: {
    status: 503,
    source: 'gateway',
    retry: true,
    proxyStatus: 'proxy_internal_response',
    title: 'The gateway is shutting down',
    help: 'The process was asked to stop and finishes what it has begun. Another instance should have the traffic by now.',
  },
  OVERLOADED: {
    status: 503,
    source: 'gateway',
    retry: true,
    proxyStatus: 'proxy_internal_response',
    title: 'The gateway has more to do than it can',
    help: 'The event loop of the thread, or its memory, is past what `overload` allows, and requests are refused, the least important first; or the body would have had to be kept while memory is short. `Retry-After` says when to try again. `gatewright status` shows the measures; give the gateway more threads or memory, or find out what keeps it busy.',
  },
  TOO_MANY_CONNECTIONS: {
    status: 503,
    source: 'gateway',
    retry: true,
    proxyStatus: 'connection_limit_reached',
    title: 'The gateway has too many connections',
    help: "The listener's `limits.connections` is reached, or connections come faster than its `limits.newConnections`. Raise it, or find out who holds the connections or opens so many.",
  },
  TOO_MANY_CLIENT_CONNECTIONS: {
    status: 503,
    source: 'client',
    retry: true,
    proxyStatus: 'connection_limit_reached',
    title: 'Too many connections come from this address',
    help: "The client has as many connections as the listener's `limits.connectionsPerAddress` allows, or opens them faster than its `limits.newConnectionsPerAddress`. Others are not concerned. Where many clients share an address (a proxy, a company), raise the limit, or name the proxy in the listener's `trustedProxies`.",
  },
  POLICY_FAILED: {
    status: 500,
    source: 'gateway',
    retry: false,
    proxyStatus: 'proxy_internal_error',
    title: 'A policy failed',
    help: 'A policy threw, or its promise was not settled within `timeouts.total`; that is a defect in the policy. The request was refused (fail closed). The log names the policy and the error.',
  },
  BAD_REWRITE: {
    status: 500,
    source: 'gateway',
    retry: false,
    proxyStatus: 'proxy_configuration_error',
    title: 'The rewritten path is not acceptable',
    help: "The result of the route's `rewrite.path` for this request cannot be made canonical, or contains dot segments. Nothing was sent to the upstream. Correct the rewrite.",
  },
  LOOP_DETECTED: {
    status: 508,
    source: 'gateway',
    retry: false,
    proxyStatus: 'proxy_loop_detected',
    title: 'The request goes in circles',
    help: 'The `Via` header says that the request has passed gateways of this kind more than eight times, so an upstream leads back here. Nothing was sent on. Correct the targets of the upstream, or the route that catches what comes back.',
  },
  INTERNAL: {
    status: 500,
    source: 'gateway',
    retry: false,
    proxyStatus: 'proxy_internal_error',
    title: 'The gateway failed',
    help: 'A defect in the gateway. The log has the error; please report it.',
  },
  ROUTE_GONE: {
    status: 503,
    source: 'gateway',
    retry: true,
    title: 'The route is no longer served',
    help: 'The configuration was changed while the exchange was under way, its route is no longer in it, and it did not end within the 30 seconds that were left to it. A WebSocket or a stream whose head had been sent is closed instead.',
  },
  UPSTREAM_UNREACHABLE: {
    status: 502,
    source: 'upstream',
    retry: true,
    proxyStatus: 'connection_refused',
    title: 'The upstream cannot be reached',
    help: 'No target of the upstream accepted a connection (refused, no route to host, name not resolved). Check that the service runs and listens where the configuration says.',
  },
  UPSTREAM_TLS_FAILED: {
    status: 502,
    source: 'upstream',
    retry: false,
    proxyStatus: 'tls_protocol_error',
    title: 'The upstream could not be trusted',
    help: 'The TLS handshake with the target failed, or its certificate is not valid for its name. Give the upstream the right `tls.ca` and `tls.serverName`.',
  },
  UPSTREAM_RESET: {
    status: 502,
    source: 'upstream',
    retry: true,
    proxyStatus: 'connection_terminated',
    title: 'The upstream closed the connection',
    help: 'The target closed or reset the connection before a complete response had arrived.',
  },
  UPSTREAM_BAD_RESPONSE: {
    status: 502,
    source: 'upstream',
    retry: false,
    proxyStatus: 'http_protocol_error',
    title: 'The upstream sent an invalid response',
    help: 'What the target sent is not a valid HTTP response (RFC 9112): a bad status line, header, length or chunk, too large a head, or too many interim responses. It was not forwarded and the connection was destroyed.',
  },
  UPSTREAM_RESPONSE_TOO_LARGE: {
    status: 502,
    source: 'upstream',
    retry: false,
    proxyStatus: 'http_response_body_size',
    title: 'The upstream response is too large',
    help: 'A policy needs the whole response body, and it is larger than that policy may buffer.',
  },
  UPSTREAM_BUSY: {
    status: 503,
    source: 'gateway',
    retry: true,
    proxyStatus: 'connection_limit_reached',
    title: 'The upstream is busy',
    help: 'Every target is at its `connections.max` and the queue is full, or the request waited in it for `queue.timeout`.',
  },
  UPSTREAM_CONNECT_TIMEOUT: {
    status: 504,
    source: 'upstream',
    retry: true,
    proxyStatus: 'connection_timeout',
    title: 'The upstream did not accept a connection in time',
    help: 'No connection to a target was established within `timeouts.connect`.',
  },
  UPSTREAM_TIMEOUT: {
    status: 504,
    source: 'upstream',
    retry: true,
    proxyStatus: 'http_response_timeout',
    title: 'The upstream did not answer in time',
    help: 'The target did not begin its response within `timeouts.firstByte`, stood still for `timeouts.idle`, or the exchange exceeded `timeouts.total`. After the head has been sent the connection to the client is closed instead, so that it can see the truncation.',
  },
  CLIENT_CLOSED: {
    status: 499,
    source: 'client',
    retry: false,
    title: 'The client went away',
    help: 'The client closed its connection before the response was complete. The upstream request was cancelled. Nobody receives this status; it appears in the log and the metrics only.',
  },
  ...adminErrors,
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errors;
