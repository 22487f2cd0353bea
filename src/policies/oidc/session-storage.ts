/** Where sessions are between requests: in the cookie itself, or in a store to which the cookie has the key. */
import type { MaybePromise, ValueStore } from '../../contract.ts';
import type { Sealer } from './sealer.ts';
import { type Session, decodeSession, encodeSession } from './session.ts';

export interface SessionStorage {
  /** For how long, in milliseconds, what was read may be relied upon without reading it again. */
  readonly reliableMs: number;
  /**
   * The session that the text of a cookie stands for; null if there is none.
   * @param host that the cookie came to; one of another host is none.
   * @throws when it cannot be told.
   */
  read(text: string, host: string): MaybePromise<Session | null>;
  /**
   * The text for the cookie; null if the session has ended meanwhile.
   * @param when `start` for a new session, `change` for one that must still be there.
   * @throws when it cannot be kept.
   */
  write(session: Session, host: string, when: 'start' | 'change', leftMs: number): MaybePromise<string | null>;
  /**
   * Takes the right to refresh this generation of its tokens, which one of all machines gets.
   * @throws when it cannot be told.
   */
  claimRefresh(session: Session, forMs: number): MaybePromise<boolean>;
  /** @throws when it cannot be told whether it is gone. */
  remove(session: Session): MaybePromise<void>;
}

/** No state but the cookie's. */
export class CookieStorage implements SessionStorage {
  readonly reliableMs = Infinity;
  private readonly sealer: Sealer;
  private readonly binding: readonly string[];

  /** @param binding whose sessions they are: the provider and the client. */
  constructor(sealer: Sealer, binding: readonly string[]) {
    this.sealer = sealer;
    this.binding = ['session', ...binding];
  }

  read(text: string, host: string): Session | null {
    const opened = this.sealer.open(text, [...this.binding, host]);
    return opened === null ? null : decodeSession(opened);
  }

  write(session: Session, host: string): string {
    return this.sealer.seal(encodeSession(session), [...this.binding, host]);
  }

  /** What other machines do is not known; those with a store know. */
  claimRefresh(): boolean {
    return true;
  }

  remove(): void {}
}

/** How long another machine may go on with a session that was ended or changed on this one. */
const reliableMs = 5_000;
/** 96 bits in base64url. */
const sessionId = /^[\w-]{16}$/;

export class StoreStorage implements SessionStorage {
  readonly reliableMs = reliableMs;
  private readonly store: ValueStore;
  private readonly sealer: Sealer;
  private readonly keyBinding: readonly string[];
  private readonly valueBinding: readonly string[];

  constructor(store: ValueStore, sealer: Sealer, binding: readonly string[]) {
    this.store = store;
    this.sealer = sealer;
    this.keyBinding = ['session key', ...binding];
    this.valueBinding = ['stored session', ...binding];
  }

  read(text: string, host: string): MaybePromise<Session | null> {
    const id = this.sealer.open(text, [...this.keyBinding, host]);
    if (id === null || !sessionId.test(id)) return null;
    return this.store.get(keyOf(id)).then((value) => {
      const opened = value === null ? null : this.sealer.open(value, [...this.valueBinding, host, id]);
      return opened === null ? null : decodeSession(opened);
    });
  }

  async write(session: Session, host: string, when: 'start' | 'change', leftMs: number): Promise<string | null> {
    const { id } = session;
    const value = this.sealer.seal(encodeSession(session), [...this.valueBinding, host, id]);
    // One that was ended meanwhile must not come back.
    const isKept = await this.store.set(keyOf(id), value, leftMs, when === 'start' ? 'always' : 'present');
    return isKept ? this.sealer.seal(id, [...this.keyBinding, host]) : null;
  }

  claimRefresh({ id, generation }: Session, forMs: number): Promise<boolean> {
    return this.store.set(`${keyOf(id)}/refresh/${generation}`, '1', forMs, 'absent');
  }

  remove({ id }: Session): Promise<void> {
    return this.store.delete(keyOf(id));
  }
}

function keyOf(id: string): string {
  return `oidc/session/${id}`;
}
