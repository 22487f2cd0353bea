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
import { type BasicCredentials, isBasic, readBasic } from './authentication/basic-credentials.ts';
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
/** Addresses, for each of them. */
const clientsRemembered = 64;
/** Of `Authorization`: what is longer was never verified. */
const maxValueLength = 2048;
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
  /**
   * The addresses that it came from. From others attempts are counted first, although nothing has to be verified: else
   * whoever is refused could go on guessing at those who are logged in.
   */
  readonly clients: Set<string>;
  credential: Credential;
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
  /** Also where the configuration says that nothing is to be hidden. */
  readonly secretFields = ['authorization'];
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
    const values = requestHeaders.getAll('authorization');
    if (values.length === 0) return missing;
    if (values.length > 1) return ambiguous;
    const [value] = values;
    if (!isBasic(value)) return missing;
    const users = this.logins.users();
    const decide = (read: HtpasswdUsers | null): MaybePromise<Credential | Refusal> =>
      this.known(exchange, value, read) ?? this.verify(exchange, value);
    return users instanceof Promise ? users.then(decide) : decide(users);
  }

  conceal({ requestHeaders }: Exchange): void {
    if (!requestHeaders.has('authorization')) return;
    // A token for the upstream, where `optional` lets it pass, is none of ours.
    if (requestHeaders.getAll('authorization').some(isBasic)) requestHeaders.remove('authorization');
  }

  /** Whose password was verified lately, for this client. */
  private known(exchange: Exchange, value: string, users: HtpasswdUsers | null): Credential | null {
    const verified = this.remembered(value);
    if (verified === null || !verified.clients.has(exchange.clientIp)) return null;
    const login = this.logins.find(verified.user, users);
    if (login?.passwordHash !== verified.passwordHash || this.isExpired(login)) return null;
    login.used();
    return credentialFor(verified, login);
  }

  private remembered(value: string): Verified | null {
    const verified = value.length > maxValueLength ? undefined : this.passwords.verified.get(value);
    return verified !== undefined && this.env.now() < verified.until ? verified : null;
  }

  private async verify(exchange: Exchange, value: string): Promise<Credential | Refusal> {
    const { env, logins } = this;
    const { clientIp } = exchange;
    const given = readBasic(value);
    if (given === null) return malformed;
    const { user } = given;
    const { delayMs, refuseMs } = env.damping.look(clientIp, user);
    if (refuseMs > 0) return damped(refuseMs);
    await slowDown(env, clientIp, delayMs);
    const login = logins.find(user, await logins.users());
    const hash = this.hashToVerify(login);
    const isRight = this.remembered(value)?.passwordHash === hash || (await this.isPassword(given, hash, clientIp));
    if (isRight instanceof Refusal) return isRight;
    // The file or the consumer may have changed meanwhile.
    const now = logins.find(user, await logins.users());
    if (!isRight || now?.passwordHash !== hash || this.isExpired(now)) {
      return new Refusal('invalid', 'an unknown user or a wrong password', null, user);
    }
    env.damping.succeeded(clientIp, user);
    now.used();
    return credentialFor(this.remember(value, user, hash, now, clientIp), now);
  }

  /** Of a user who is there, or of one who could be. */
  private hashToVerify(login: Login | undefined): string {
    const { dummy } = this.passwords;
    if (login === undefined || parsePasswordHash(login.passwordHash) === null) return dummy.text;
    dummy.note(login.passwordHash);
    return login.passwordHash;
  }

  private async isPassword(given: BasicCredentials, hash: string, clientIp: string): Promise<boolean | Refusal> {
    try {
      return (await this.passwords.verifier.verify(given, hash, clientIp)) ?? busy;
    } catch {
      return failing;
    }
  }

  private remember(value: string, user: string, passwordHash: string, login: Login, clientIp: string): Verified {
    const before = this.remembered(value);
    if (before?.passwordHash === passwordHash) {
      if (before.clients.size >= clientsRemembered) before.clients.clear();
      before.clients.add(clientIp);
      return before;
    }
    const until = this.env.now() + rememberMs;
    const credential = credentialOf(user, login);
    const verified = { user, passwordHash, until, clients: new Set([clientIp]), credential };
    this.passwords.verified.set(value, verified);
    return verified;
  }

  private isExpired({ expiresAt }: Login): boolean {
    return expiresAt !== Infinity && this.env.wallNow() >= expiresAt;
  }
}

/** The one that is remembered, unless the consumer has changed. */
function credentialFor(verified: Verified, login: Login): Credential {
  if (verified.credential.consumer !== login.consumer) verified.credential = credentialOf(verified.user, login);
  return verified.credential;
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
