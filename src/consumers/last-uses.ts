/** When each credential was last used, as far as all threads have told. */
import type { CredentialUse } from './used-credentials.ts';

export class LastUses {
  /** By consumer, then by credential: wall-clock milliseconds. */
  private readonly byConsumer = new Map<string, Map<string, number>>();
  /** Of whom something is newer than what was taken last. */
  private readonly changed = new Set<string>();

  merge(uses: Iterable<CredentialUse>): void {
    for (const { consumer, id, usedAt } of uses) {
      let known = this.byConsumer.get(consumer);
      if (known === undefined) this.byConsumer.set(consumer, (known = new Map<string, number>()));
      if ((known.get(id) ?? 0) >= usedAt) continue;
      known.set(id, usedAt);
      this.changed.add(consumer);
    }
  }

  /** @returns wall-clock milliseconds, or null when it was not used, as far as is known. */
  of(consumer: string, id: string): number | null {
    return this.byConsumer.get(consumer)?.get(id) ?? null;
  }

  /** Whoever gets the name next has not used anything. */
  forget(consumer: string): void {
    this.byConsumer.delete(consumer);
    this.changed.delete(consumer);
  }

  /** What a start before this one has noted: it is known, and nothing that would have to be noted again. */
  recall(uses: Iterable<CredentialUse>): void {
    const changed = [...this.changed];
    this.merge(uses);
    this.changed.clear();
    for (const consumer of changed) this.changed.add(consumer);
  }

  /** What has become known since this was asked last. */
  *takeChanged(): Iterable<CredentialUse> {
    for (const consumer of this.changed) {
      for (const [id, usedAt] of this.byConsumer.get(consumer) ?? []) yield { consumer, id, usedAt };
    }
    this.changed.clear();
  }
}
