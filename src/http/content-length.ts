const ZERO = 0x30;

/** Digits, leading zeros included; the value must be a safe integer as well (CVE-2021-40346). */
const longest = 20;

/**
 * The value of a `Content-Length`: `1*DIGIT`, leading zeros allowed (RFC 9110, section 8.6).
 * @returns -1 for anything else, or more than a safe integer.
 */
export function parseContentLength(value: string): number {
  if (value.length === 0 || value.length > longest) return -1;
  let length = 0;
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - ZERO;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length <= Number.MAX_SAFE_INTEGER ? length : -1;
}
