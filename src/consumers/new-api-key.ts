/**
 * Keys that are recognised for what they are wherever they turn up: `gwk_`, 30 random characters (178 bits) and 6 of a
 * checksum. The prefix lets scanners find them, the checksum lets them tell a key from what only looks like one.
 */
import { createHash, randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';

const PREFIX = 'gwk_';
const RANDOM_LENGTH = 30;
const CHECKSUM_LENGTH = 6;
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

const FORM = /^gwk_[0-9A-Za-z]{36}$/;

/** A key that nobody has yet. */
export function newApiKey(): string {
  const random = Array.from({ length: RANDOM_LENGTH }, () => DIGITS[randomInt(DIGITS.length)]).join('');
  return `${PREFIX}${random}${checksumOf(`${PREFIX}${random}`)}`;
}

/** Whether a text is a key of this form, and not only looks like one. */
export function isApiKey(text: string): boolean {
  return FORM.test(text) && text.endsWith(checksumOf(text.slice(0, -CHECKSUM_LENGTH)));
}

/** What is kept of a key, 64 hexadecimal digits: `digest` of an `ApiKeyRecord`. */
export function digestOfApiKey(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/** CRC-32 of what stands before it, in base 62 with leading zeros. */
function checksumOf(text: string): string {
  let rest = crc32(text);
  let digits = '';
  while (digits.length < CHECKSUM_LENGTH) {
    digits = DIGITS[rest % DIGITS.length] + digits;
    rest = Math.floor(rest / DIGITS.length);
  }
  return digits;
}
