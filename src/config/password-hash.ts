/** Which hashes of passwords can be verified. What cannot would only lock its consumer out, so it is refused. */

const bcrypt = /^\$2[aby]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}$/;
/** As the reference implementation writes it: version, memory, passes, lanes, salt, hash. */
const argon2id =
  /^\$argon2id\$v=19\$m=[0-9]{1,8},t=[0-9]{1,4},p=[0-9]{1,3}\$[A-Za-z0-9+/]{11,88}\$[A-Za-z0-9+/]{22,172}$/;
const sha1 = /^\{SHA\}[A-Za-z0-9+/]{27}=$/;

const HOW = '`htpasswd -nB NAME` makes one';

/** What cannot be verified, by how it begins, with what it is. */
const others: readonly (readonly [begin: RegExp, what: string])[] = [
  [/^\$2[aby]\$/, `a bcrypt hash has a cost from 04 to 31 and 53 characters after it; ${HOW}`],
  [/^\$argon2id\$/, 'an argon2id hash has the form $argon2id$v=19$m=…,t=…,p=…$salt$hash'],
  [/^\{SHA\}/, 'a {SHA} hash has 27 characters of base64 and a ='],
  [/^\$argon2[id]\$/, 'of the forms of argon2 only argon2id is verified'],
  [/^\$(?:apr1|1)\$/, `hashes of MD5 are not verified, they are guessed too fast; take bcrypt: ${HOW}`],
  [/^\$(?:5|6|7|y|gy|sha1|md5)\$/, `hashes of crypt are not verified; take bcrypt: ${HOW}`],
  [/^\{/, `of the forms in braces only {SHA} is verified; take bcrypt: ${HOW}`],
];

/** Why nobody could ever log in with what has this for its hash; null for a hash that can be verified. */
export function passwordHashProblem(text: string): string | null {
  if (bcrypt.test(text) || argon2id.test(text) || sha1.test(text)) return null;
  const known = others.find(([begin]) => begin.test(text));
  return (
    known?.[1] ?? `this is no hash, and a password itself is not accepted; write a bcrypt or argon2id hash: ${HOW}`
  );
}
