/**
 * The one table of everything that can go wrong with an exchange, or with a request to the admin port: a stable code, the
 * status it is answered with, whose fault it is and whether the same request may be sent again. The access log, the metrics, the problem details
 * (RFC 9457) and the generated reference all read this table; nothing else assigns a status to a failure.
 */

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
  IP_DENIED: {
    status: 403,
    source: 'client',
    retry: false,
    proxyStatus: 'http_request_denied',
    title: 'This address may not call here',
    help: "An `ipFilter` policy refuses the address of the client. Behind a proxy or load balancer, name it in the listener's `trustedProxies`, so that the address of the real client is seen.",
  },
  DRAINING: {
    status: 503,
    source: 'gateway',
    retry: true,
    proxyStatus: 'proxy_internal_response',
    title: 'The gateway is shutting down',
    help: 'The process was asked to stop and finishes what it has begun. Another instance should have the traffic by now.',
  },
  TOO_MANY_CONNECTIONS: {
    status: 503,
    source: 'gateway',
    retry: true,
    proxyStatus: 'connection_limit_reached',
    title: 'The gateway has too many connections',
    help: "The listener's `limits.connections` is reached. Raise it, or find out who holds the connections.",
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
  ADMIN_BAD_INPUT: {
    status: 400,
    source: 'client',
    retry: false,
    title: 'The admin API does not understand what it was sent',
    help: 'A query parameter, a header or the body of a request to the admin port is not what the endpoint takes; `detail` and `errors` say which part. `GET /api/v1/openapi.json` describes every endpoint.',
  },
  ADMIN_UNAUTHORIZED: {
    status: 401,
    source: 'client',
    retry: false,
    title: 'The admin API wants a token',
    help: 'The request had no `Authorization: Bearer …` with the `admin.token` of the configuration. A missing and a wrong token are answered alike.',
  },
  ADMIN_FORBIDDEN: {
    status: 403,
    source: 'client',
    retry: false,
    title: 'The admin API does not answer callers like this one',
    help: 'Without an `admin.token` only callers on the same machine are served, under a loopback address or `localhost` and not through a proxy; and requests that a web page of another origin makes are refused, as that page may belong to anybody. `detail` says which rule it was. Call `http://127.0.0.1:9901`, or set a token.',
  },
  ADMIN_NOT_FOUND: {
    status: 404,
    source: 'client',
    retry: false,
    title: 'The admin port has nothing of this name',
    help: 'There is no such path on the admin port. `GET /api/v1/openapi.json` lists all that there are.',
  },
  ADMIN_MEDIA_TYPE: {
    status: 415,
    source: 'client',
    retry: false,
    title: 'The admin API does not take bodies of this type',
    help: 'The `Content-Type` is not one that the endpoint takes, or the body is compressed. JSON is `application/json`; a configuration may also be `application/yaml`.',
  },
  ADMIN_TOO_MANY_ATTEMPTS: {
    status: 429,
    source: 'client',
    retry: true,
    title: 'Too many wrong tokens came from this address',
    help: 'After ten wrong tokens an address is refused, whatever it presents, until the time in `Retry-After` has passed. The log names the address.',
  },
  ADMIN_NOT_READY: {
    status: 503,
    source: 'gateway',
    retry: true,
    title: 'The gateway is still starting',
    help: 'The admin port answers before there is a configuration that serves. Ask again in a moment, or watch `/readyz`.',
  },
  ADMIN_BUSY: {
    status: 503,
    source: 'gateway',
    retry: true,
    title: 'The admin API is busy',
    help: 'As many callers as it allows listen to events already, or another configuration is being received. Ask again in a moment.',
  },
  CONFIG_CONFLICT: {
    status: 412,
    source: 'client',
    retry: false,
    title: 'Another configuration serves than the request expects',
    help: 'The `If-Match` of the request names a revision that does not serve any more: somebody else has changed the configuration. Nothing was changed. Read `/api/v1/snapshot` again and decide anew.',
  },
  CONFIG_REFUSED: {
    status: 422,
    source: 'client',
    retry: false,
    title: 'The configuration has errors',
    help: 'What was sent, or the file that was read again, cannot be served; `problems` lists all that was found, with line and column. Nothing was changed: what served before serves on.',
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errors;
