/** What a client sends to log in with a name and a password (RFC 7617, section 2). */

export interface BasicCredentials {
  readonly user: string;
  readonly password: string;
}

/** Bounds the work on what was not verified. */
const maxLength = 2048;
const maxUserLength = 256;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Whether a value of `Authorization` is of this kind; schemes compare without regard to case (RFC 9110, section 11.1). */
export function isBasic(value: string): boolean {
  return /^basic(?: |$)/i.test(value);
}

/**
 * Null for what is not exactly one name and one password in UTF-8: what gateway and upstream might read differently is
 * nobody's. Compared as it is, without a normal form: what looks alike is not the same.
 */
export function readBasic(value: string): BasicCredentials | null {
  if (value.length > maxLength) return null;
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(value)?.[1];
  if (encoded === undefined) return null;
  const octets = Buffer.from(encoded, 'base64');
  // RFC 4648, section 3.5: with other bits behind the last octet, or without padding, it would be another spelling.
  if (octets.toString('base64') !== encoded) return null;
  const text = decode(octets);
  const colon = text?.indexOf(':') ?? -1;
  // RFC 7617, section 2: neither has control characters, and the name has no colon.
  if (text === null || colon === -1 || colon > maxUserLength || /[\u0000-\u001f\u007f]/.test(text)) return null;
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

function decode(octets: Buffer): string | null {
  try {
    return utf8.decode(octets);
  } catch {
    return null;
  }
}
