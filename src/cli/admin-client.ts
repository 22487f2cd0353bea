/** How commands talk to the admin API of a gateway that runs. */

/** Where a gateway answers its operators unless configured otherwise. */
export const standardAdminUrl = 'http://127.0.0.1:9901';

/** The environment variable that the token is taken from: an argument would be seen by everybody on the machine. */
export const tokenVariable = 'GATEWRIGHT_ADMIN_TOKEN';

/** For the whole answer. */
const timeoutMs = 5_000;

export interface AdminRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** With the query, from `/` on. */
  readonly path: string;
  readonly body?: string;
  /** Of the body. By default `application/json`. */
  readonly contentType?: string;
  /** undefined or empty for none. */
  readonly token: string | undefined;
}

export interface AdminAnswer {
  readonly status: number;
  /** Problem details (RFC 9457) where the status says that something is wrong. */
  readonly json: unknown;
}

/** There was no answer of an admin API. The message is one line for people that says what to do; it has no secret in it. */
export class AdminUnreachable extends Error {
  override readonly name = 'AdminUnreachable';
}

/**
 * Asks the admin API at a URL such as `http://127.0.0.1:9901`.
 * @throws {AdminUnreachable} when nothing answers, not in time, not with JSON, or only to those with the right token.
 */
export async function adminRequest(url: string, request: AdminRequest): Promise<AdminAnswer> {
  const base = baseOf(url);
  const response = await send(base, request);
  if (response.status === 401) {
    const what = request.token ? 'refuses the token' : 'wants a token';
    throw new AdminUnreachable(
      `the admin API at ${base} ${what}: set ${tokenVariable} to the admin.token of the gateway`,
    );
  }
  return { status: response.status, json: await readJson(response, base) };
}

/** @returns the URL without anything behind the port. */
function baseOf(text: string): string {
  const url = URL.parse(text.includes('://') ? text : `http://${text}`);
  const isPlain = url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '';
  if (isPlain && url.pathname === '/' && url.search === '' && url.hash === '') return url.origin;
  // The text is not repeated: what should not be in a URL may be a password.
  throw new AdminUnreachable(`the URL of the admin API is only scheme, host and port, such as ${standardAdminUrl}`);
}

async function send(base: string, request: AdminRequest): Promise<Response> {
  const { method, path, body, contentType = 'application/json', token } = request;
  const headers: Record<string, string> = { accept: 'application/json' };
  if (body !== undefined) headers['content-type'] = contentType;
  if (token) {
    // The message of `fetch` about a header that cannot be sent would quote it.
    if (!/^[\x21-\x7e]+$/.test(token)) {
      throw new AdminUnreachable(
        `${tokenVariable} has characters that a token cannot have: blanks, line breaks or letters beyond ASCII`,
      );
    }
    headers['authorization'] = `Bearer ${token}`;
  }
  try {
    return await fetch(`${base}${path}`, {
      method,
      headers,
      ...(body !== undefined && { body }),
      // Whoever answers there might send the token on to somebody else.
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    });
  } catch (error) {
    throw unreachable(base, error);
  }
}

async function readJson(response: Response, base: string): Promise<unknown> {
  let text: string;
  try {
    text = await response.text();
  } catch (error) {
    throw unreachable(base, error);
  }
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new AdminUnreachable(
      `what answers at ${base} is not the admin API of a gateway: name another URL with --admin`,
    );
  }
}

function unreachable(base: string, error: unknown): AdminUnreachable {
  const isLate = error instanceof Error && error.name === 'TimeoutError';
  const reason = isLate ? `no answer within ${timeoutMs / 1000} s` : reasonOf(error);
  return new AdminUnreachable(
    `the admin API at ${base} cannot be reached (${reason}): start the gateway, or name its admin URL with --admin`,
  );
}

/** `ECONNREFUSED` and the like: the messages of `fetch` itself say nothing. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  if (!(cause instanceof Error)) return 'unknown error';
  return (cause as NodeJS.ErrnoException).code ?? cause.message;
}
