import { resolve } from 'node:path';
import {
  type Authenticator,
  type Consumer,
  type ConsumerDirectory,
  type Credential,
  type Exchange,
  type MaybePromise,
  type PolicyEnv,
  Refusal,
  definePolicy,
} from '../contract.ts';
import { parsePasswordHash } from '../util/password-hash.ts';
import { SecretTable } from '../util/secret-table.ts';
import { z } from '../util/schema.ts';
import { authenticating, commonOptions } from './authentication/authenticating.ts';
import { isBasic, readBasic } from './authentication/basic-credentials.ts';
import { DummyHash } from './authentication/dummy-hash.ts';
import { HtpasswdFile, type HtpasswdUsers } from './authentication/htpasswd-file.ts';
import { PasswordVerifier } from './authentication/password-verifier.ts';
import { challengeFor, realm } from './authentication/realm.ts';
import { tooManyAttempts } from './authentication/refuse.ts';
import { slowDown } from './authentication/slow-down.ts';

const options = z
  .strictObject({
    ...commonOptions,
    realm,
    htpasswd: z
      .string()
      .min(1)
      .optional()
      .describe(
        'A file of users, a line each, with bcrypt, argon2id or `{SHA}` hashes, as `htpasswd -B` writes it. It is read again when it changes. A user is the consumer of that name, if there is one.',
      ),
    consumers: z
      .boolean()
      .optional()
      .describe('Whether consumers may log in that have `basic`. By default if there is no `htpasswd`.'),
  })
  .refine(({ htpasswd, consumers }) => htpasswd !== undefined || consumers !== false, {
    message: 'nobody could log in: name a file of users, or let consumers',
  });

/** Of each thread. */
const passwordsRemembered = 4096;
/** How long a password is not verified again, as long as its hash stays the same. */
const rememberMs = 300_000;

const missing = new Refusal('missing', 'no user and password');
const ambiguous = new Refusal('invalid', 'more than one Authorization');
const malformed = new Refusal('invalid', 'not a possible user and password');
const busy = new Refusal('unavailable', 'too many passwords are being verified');
const failing = new Refusal('unavailable', 'the password could not be verified');

/** Says who calls by a name and a password (RFC 7617). */
export const basicAuth = definePolicy({
  name: 'basicAuth',
  summary: 'Lets requests pass that have the user name and the password of a consumer, or of a user in a file.',
  options,
  provides: ['consumer'],
  create(given, env) {
    const make = (file: HtpasswdFile | null) => {
      const logins = new Logins(
        file,
        given.consumers ?? file === null,
        env.consumers,
        Passwords.of(env.consumers).dummy,
      );
      return authenticating(new BasicAuthenticator(logins, given.realm, env), given, env);
    };
    if (given.htpasswd === undefined) return make(null);
    return HtpasswdFile.open(resolve(env.baseDir, given.htpasswd), env).then(make);
  },
});

/** Who may log in. */
interface Login {
  readonly consumer: Consumer | null;
  readonly passwordHash: string;
  /** Wall-clock milliseconds. */
  readonly expiresAt: number;
  used(): void;
}

class Logins {
  private readonly file: HtpasswdFile | null;
  private readonly consumers: ConsumerDirectory;
  private readonly hasConsumers: boolean;
  private readonly dummy: DummyHash;
  private noted: HtpasswdUsers | null = null;

  constructor(file: HtpasswdFile | null, hasConsumers: boolean, consumers: ConsumerDirectory, dummy: DummyHash) {
    this.file = file;
    this.hasConsumers = hasConsumers;
    this.consumers = consumers;
    this.dummy = dummy;
  }

  /** What is in the file now; a promise only where it has to be looked at. */
  users(): MaybePromise<HtpasswdUsers | null> {
    return this.file === null ? null : this.file.current();
  }

  find(user: string, users: HtpasswdUsers | null): Login | undefined {
    if (users !== null && users !== this.noted) {
      this.noted = users;
      for (const hash of new Set(users.values())) this.dummy.note(hash);
    }
    const passwordHash = users?.get(user);
    if (passwordHash !== undefined) {
      const consumer = this.consumers.byName(user) ?? null;
      return { consumer, passwordHash, expiresAt: Infinity, used() {} };
    }
    return this.hasConsumers ? this.consumers.byUser(user) : undefined;
  }
}

/** A password that was right, as long as the user has the same hash. */
interface Verified {
  readonly user: string;
  readonly passwordHash: string;
  readonly until: number;
  readonly credential: Credential;
}

/** What all routes of a thread have in common. */
class Passwords {
  private static readonly all = new WeakMap<ConsumerDirectory, Passwords>();
  readonly verifier = new PasswordVerifier();
  readonly dummy = new DummyHash();
  /**
   * By the value of `Authorization`, of which there is one for a user and a password: `readBasic` takes no other
   * spelling. Its table has keyed hashes of 128 bits only.
   */
  readonly verified = new SecretTable<Verified>(passwordsRemembered);

  static of(consumers: ConsumerDirectory): Passwords {
    let passwords = Passwords.all.get(consumers);
    if (passwords === undefined) {
      passwords = new Passwords();
      Passwords.all.set(consumers, passwords);
    }
    return passwords;
  }
}

class BasicAuthenticator implements Authenticator {
  readonly challenge: string;
  private readonly logins: Logins;
  private readonly env: PolicyEnv;
  private readonly passwords: Passwords;

  constructor(logins: Logins, realmName: string, env: PolicyEnv) {
    this.challenge = `${challengeFor('Basic', realmName)}, charset="UTF-8"`;
    this.logins = logins;
    this.env = env;
    this.passwords = Passwords.of(env.consumers);
  }

  authenticate(exchange: Exchange): MaybePromise<Credential | Refusal> {
    const { requestHeaders } = exchange;
    const value = requestHeaders.get('authorization');
    if (value === undefined) return missing;
    if (requestHeaders.getAll('authorization').length > 1) return ambiguous;
    if (!isBasic(value)) return missing;
    const users = this.logins.users();
    if (users instanceof Promise) return users.then((read) => this.known(value, read) ?? this.verify(exchange, value));
    return this.known(value, users) ?? this.verify(exchange, value);
  }

  conceal({ requestHeaders }: Exchange): void {
    if (!requestHeaders.has('authorization')) return;
    // A token for the upstream, where `optional` lets it pass, is none of ours.
    if (requestHeaders.getAll('authorization').some(isBasic)) requestHeaders.remove('authorization');
  }

  /** Whose password was verified lately. */
  private known(value: string, users: HtpasswdUsers | null): Credential | null {
    if (value.length > 4096) return null;
    const verified = this.passwords.verified.get(value);
    if (verified === undefined || this.env.now() >= verified.until) return null;
    const login = this.logins.find(verified.user, users);
    if (login?.passwordHash !== verified.passwordHash || this.isExpired(login)) return null;
    login.used();
    const { credential } = verified;
    if (credential.consumer === login.consumer) return credential;
    const changed = credentialOf(verified.user, login);
    this.passwords.verified.set(value, { ...verified, credential: changed });
    return changed;
  }

  private async verify(exchange: Exchange, value: string): Promise<Credential | Refusal> {
    const { env, passwords } = this;
    const { clientIp } = exchange;
    const given = readBasic(value);
    if (given === null) return malformed;
    const { user } = given;
    const { delayMs, refuseMs } = env.damping.look(clientIp, user);
    if (refuseMs > 0) return damped(refuseMs);
    await slowDown(env, clientIp, delayMs);
    const login = this.logins.find(user, await this.logins.users());
    const isVerifiable = login !== undefined && parsePasswordHash(login.passwordHash) !== null;
    if (isVerifiable) passwords.dummy.note(login.passwordHash);
    const hash = isVerifiable ? login.passwordHash : passwords.dummy.text;
    const verification = passwords.verifier.verify(given, hash, clientIp);
    if (verification === null) return busy;
    let isRight: boolean;
    try {
      isRight = await verification;
    } catch {
      return failing;
    }
    // The file or the consumer may have changed meanwhile.
    const now = this.logins.find(user, await this.logins.users());
    if (!isRight || !isVerifiable || now?.passwordHash !== hash || this.isExpired(now)) {
      return new Refusal('invalid', 'an unknown user or a wrong password', null, user);
    }
    env.damping.succeeded(clientIp, user);
    now.used();
    const credential = credentialOf(user, now);
    passwords.verified.set(value, { user, passwordHash: hash, until: env.now() + rememberMs, credential });
    return credential;
  }

  private isExpired({ expiresAt }: Login): boolean {
    return expiresAt !== Infinity && this.env.wallNow() >= expiresAt;
  }
}

function credentialOf(user: string, { consumer }: Login): Credential {
  return Object.freeze({ method: 'basicAuth', subject: user, consumer, claims: noClaims, scopes: noScopes });
}

const noClaims = Object.freeze({});
const noScopes: readonly string[] = Object.freeze([]);

function damped(refuseMs: number): Refusal {
  const reason = 'too many attempts have failed lately';
  return new Refusal('damped', reason, tooManyAttempts(refuseMs, reason));
}
