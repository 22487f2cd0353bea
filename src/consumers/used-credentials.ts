/** When credentials were last used. Noting it is two writes into the object of the credential itself. */
import type { Consumer, ConsumerKey } from '../contract.ts';

/** A credential and when it was last used. */
export interface CredentialUse {
  readonly consumer: string;
  /** See `credentialId`. */
  readonly id: string;
  /** Wall-clock milliseconds. */
  readonly usedAt: number;
}

export class UsedCredentials {
  private readonly wallNow: () => number;
  /** Those that were used since they were last told of, each once. */
  private noted: WatchedKey[] = [];

  constructor(wallNow: () => number) {
    this.wallNow = wallNow;
  }

  /** @param expiresAt wall-clock milliseconds; Infinity for never. */
  watch(consumer: Consumer, id: string, label: string, expiresAt: number): ConsumerKey {
    return new WatchedKey(consumer, id, label, expiresAt, this);
  }

  note(key: WatchedKey): void {
    if (key.usedAt === 0) this.noted.push(key);
    key.usedAt = this.wallNow();
  }

  /** What was used since this was asked last, of very many a part: ask again until it is less than `most`. */
  take(most: number): CredentialUse[] {
    const told = this.noted.splice(0, most);
    return told.map((key) => {
      const { usedAt } = key;
      key.usedAt = 0;
      return { consumer: key.consumer.name, id: key.id, usedAt };
    });
  }
}

class WatchedKey implements ConsumerKey {
  readonly consumer: Consumer;
  readonly id: string;
  readonly label: string;
  readonly expiresAt: number;
  /** Wall-clock milliseconds; 0 when it was not used since its use was last told of. */
  usedAt = 0;
  private readonly uses: UsedCredentials;

  constructor(consumer: Consumer, id: string, label: string, expiresAt: number, uses: UsedCredentials) {
    this.consumer = consumer;
    this.id = id;
    this.label = label;
    this.expiresAt = expiresAt;
    this.uses = uses;
  }

  used(): void {
    this.uses.note(this);
  }
}
