/**
 * What the password of a user is compared with who is not there, so that it takes as long as a wrong one (user
 * enumeration: CVE-2016-6210 and its kin). It is like the most expensive hash that was seen of somebody who is there.
 */
import { type PasswordHash, parsePasswordHash } from '../../util/password-hash.ts';

export class DummyHash {
  /** `htpasswd -B` makes cost 5, most others 10 or more. */
  text = `$2b$10$${'.'.repeat(53)}`;
  private work = 0;

  note(text: string): void {
    const hash = parsePasswordHash(text);
    if (hash === null) return;
    const work = workOf(hash);
    if (work <= this.work) return;
    this.work = work;
    this.text = likeness(text, hash);
  }
}

/** In milliseconds, more or less. */
function workOf(hash: PasswordHash): number {
  switch (hash.kind) {
    case 'bcrypt':
      return 2 ** hash.cost / 16;
    case 'argon2id':
      return (hash.memoryKiB * hash.passes) / 1024;
    case 'sha1':
      return 0.001;
  }
}

/** The same work, and nobody's password: what comes of it is not looked at. */
function likeness(text: string, hash: PasswordHash): string {
  switch (hash.kind) {
    case 'bcrypt':
      return text.slice(0, 7) + '.'.repeat(53);
    case 'argon2id':
      return text.replace(/[^$]+$/, (tag) => 'A'.repeat(tag.length));
    case 'sha1':
      return `{SHA}${'A'.repeat(27)}=`;
  }
}
