/** Which hashes of passwords can be verified. What cannot would only lock its owner out, so it is refused when it is loaded. */
import crypto from 'node:crypto';

export type PasswordHash =
  | { readonly kind: 'bcrypt'; readonly cost: number }
  | {
      readonly kind: 'argon2id';
      readonly memoryKiB: number;
      readonly passes: number;
      readonly lanes: number;
      readonly salt: Buffer;
      readonly tag: Buffer;
    }
  | { readonly kind: 'sha1'; readonly digest: Buffer };

/** The salt and the hash end in characters of which some bits are not used. */
const bcrypt = /^\$2[aby]\$(0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}$/;
/** As the reference implementation writes it: version, memory in KiB, passes, lanes, salt, hash. */
const argon2id =
  /^\$argon2id\$v=19\$m=([0-9]{1,7}),t=([0-9]{1,3}),p=([0-9]{1,2})\$([A-Za-z0-9+/]{11,88})\$([A-Za-z0-9+/]{22,172})$/;
const sha1 = /^\{SHA\}([A-Za-z0-9+/]{27}=)$/;

/** A gibibyte. */
const mostMemoryKiB = 1_048_576;

const HOW = '`htpasswd -nB NAME` makes one';

/** What cannot be verified, by how it begins, with what it is. */
const others: readonly (readonly [begin: RegExp, what: string])[] = [
  [
    /^\$2[aby]\$/,
    `a bcrypt hash has a cost from 04 to 16 (with more, it takes too long) and 53 characters behind it; ${HOW}`,
  ],
  [/^\$argon2id\$/, 'an argon2id hash has the form $argon2id$v=19$m=…,t=…,p=…$salt$hash, with 1 GiB of memory at most'],
  [/^\{SHA\}/, 'a {SHA} hash has 27 characters of base64 and a ='],
  [/^\$argon2[id]\$/, 'of the forms of argon2 only argon2id is verified'],
  [/^\$(?:apr1|1)\$/, `hashes of MD5 are not verified, they are guessed too fast; take bcrypt: ${HOW}`],
  [/^\$(?:5|6|7|y|gy|sha1|md5)\$/, `hashes of crypt are not verified; take bcrypt: ${HOW}`],
  [/^\{/, `of the forms in braces only {SHA} is verified; take bcrypt: ${HOW}`],
];

/** Why nobody could ever log in with what has this for its hash; null for a hash that can be verified. */
export function passwordHashProblem(text: string): string | null {
  const hash = parsePasswordHash(text);
  if (hash?.kind === 'argon2id' && typeof crypto.argon2 !== 'function') {
    return 'this build of Node.js has no argon2; take one that is linked with OpenSSL 3.2 or later, or bcrypt';
  }
  if (hash !== null) return null;
  const known = others.find(([begin]) => begin.test(text));
  return (
    known?.[1] ?? `this is no hash, and a password itself is not accepted; write a bcrypt or argon2id hash: ${HOW}`
  );
}

/** Null for what cannot be verified. */
export function parsePasswordHash(text: string): PasswordHash | null {
  const cost = bcrypt.exec(text)?.[1];
  if (cost !== undefined) return { kind: 'bcrypt', cost: Number(cost) };
  const digest = sha1.exec(text)?.[1];
  if (digest !== undefined) return { kind: 'sha1', digest: Buffer.from(digest, 'base64') };
  const parts = argon2id.exec(text);
  if (parts === null) return null;
  const [memoryKiB, passes, lanes] = parts.slice(1, 4).map(Number);
  const [salt, tag] = parts.slice(4).map((part) => Buffer.from(part, 'base64'));
  // RFC 9106, section 3.1.
  const isPossible = lanes >= 1 && passes >= 1 && memoryKiB >= 8 * lanes && memoryKiB <= mostMemoryKiB;
  return isPossible ? { kind: 'argon2id', memoryKiB, passes, lanes, salt, tag } : null;
}
