/** What a thread has sent and what came of it, as columns that grow and are handed over without a copy. */
import type { Exchanges } from './load-plan.ts';

const firstCapacity = 4096;

export class ExchangeLog {
  private size = 0;
  private sentMs = new Float64Array(firstCapacity);
  private answeredMs = new Float64Array(firstCapacity);
  private status = new Uint16Array(firstCapacity);
  private key = new Uint32Array(firstCapacity);

  add(sentMs: number, answeredMs: number, status: number, key: number): void {
    if (this.size === this.sentMs.length) this.grow();
    const at = this.size++;
    this.sentMs[at] = sentMs;
    this.answeredMs[at] = answeredMs;
    this.status[at] = status;
    this.key[at] = key;
  }

  all(): Exchanges {
    const { size, sentMs, answeredMs, status, key } = this;
    return {
      sentMs: sentMs.slice(0, size),
      answeredMs: answeredMs.slice(0, size),
      status: status.slice(0, size),
      key: key.slice(0, size),
    };
  }

  private grow(): void {
    const capacity = this.size * 2;
    const wider = <T extends Float64Array | Uint16Array | Uint32Array>(wide: T, narrow: T): T => {
      wide.set(narrow);
      return wide;
    };
    this.sentMs = wider(new Float64Array(capacity), this.sentMs);
    this.answeredMs = wider(new Float64Array(capacity), this.answeredMs);
    this.status = wider(new Uint16Array(capacity), this.status);
    this.key = wider(new Uint32Array(capacity), this.key);
  }
}

export function joinExchanges(parts: readonly Exchanges[]): Exchanges {
  const size = parts.reduce((sum, { status }) => sum + status.length, 0);
  const whole: Exchanges = {
    sentMs: new Float64Array(size),
    answeredMs: new Float64Array(size),
    status: new Uint16Array(size),
    key: new Uint32Array(size),
  };
  let at = 0;
  for (const part of parts) {
    whole.sentMs.set(part.sentMs, at);
    whole.answeredMs.set(part.answeredMs, at);
    whole.status.set(part.status, at);
    whole.key.set(part.key, at);
    at += part.status.length;
  }
  return whole;
}
