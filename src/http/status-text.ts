/** Reason phrases for responses that the gateway makes itself (RFC 9110, section 15). */
import { STATUS_CODES } from 'node:http';

/** Empty for a status that has none; clients ignore it anyway (RFC 9112, section 4). */
export function statusText(status: number): string {
  return STATUS_CODES[status] ?? '';
}
