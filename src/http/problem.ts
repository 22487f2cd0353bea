/**
 * What the gateway says of a failure: problem details (RFC 9457) in the body and `Proxy-Status` (RFC 9209) in the head.
 * Both are made of the error table's constants; the only thing of an exchange in them is its request id.
 */
import { type ErrorCode, type ErrorEntry, errors } from '../errors.ts';

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

/** The name of this gateway in `Proxy-Status`; a Token (RFC 9651, section 3.3.4). */
const PROXY_NAME = 'gatewright';

interface ConstantParts {
  /** The members before `status`, and the brace that opens them. */
  readonly head: string;
  readonly proxyStatus: string | undefined;
}

const constantParts: ReadonlyMap<string, ConstantParts> = new Map(
  Object.entries(errors).map(([code, entry]: [string, ErrorEntry]) => [
    code,
    {
      head: `{"type":"urn:gatewright:error:${code}","title":${JSON.stringify(entry.title)},"code":"${code}","status":`,
      proxyStatus: entry.proxyStatus === undefined ? undefined : `${PROXY_NAME}; error=${entry.proxyStatus}`,
    },
  ]),
);

/**
 * The problem details for a failure, as JSON text.
 *
 * @param requestId left out when empty.
 * @param detail one constant sentence; left out when undefined.
 * @param status the status of the reply, where it is not the one of the error table.
 */
export function problemDetails(
  code: ErrorCode,
  requestId: string,
  detail?: string,
  status: number = errors[code].status,
): string {
  let body = constantParts.get(code)!.head + status;
  if (detail !== undefined) body += `,"detail":${JSON.stringify(detail)}`;
  if (requestId !== '') body += `,"requestId":${JSON.stringify(requestId)}`;
  return `${body}}`;
}

/** The value of `Proxy-Status` for a failure; undefined for one that RFC 9209 has no error type for. */
export function proxyStatus(code: ErrorCode): string | undefined {
  return constantParts.get(code)!.proxyStatus;
}
