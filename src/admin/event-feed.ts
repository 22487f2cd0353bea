/**
 * What happens, as server-sent events. Everything is bounded: the events that are kept for those who come back, the
 * subscribers, and what is buffered for each: one that does not keep up is cut off, and may come back for what it missed.
 */
import type { ServerResponse } from 'node:http';
import type { Clock } from '../util/clock.ts';
import type { ControlEvent, ControlPlane } from './control-plane.ts';
import { hideIn } from './hide-secrets.ts';

const maxKept = 256;
/** Of all that are kept, in characters: less than may wait for a subscriber, so that it can be sent at once. */
const maxKeptLength = 128 * 1024;
const maxSubscribers = 32;
/** Bytes that wait for one subscriber. */
const maxBuffered = 256 * 1024;
const maxEventLength = 32 * 1024;
/** Shorter than the idle time-outs of common proxies. */
const heartbeatMs = 15_000;

interface KeptEvent {
  readonly id: number;
  readonly text: string;
}

export interface EventFeedOptions {
  readonly clock: Clock;
  /** What is secret in a text. */
  readonly hide: (text: string) => string;
}

export class EventFeed {
  private readonly options: EventFeedOptions;
  private readonly subscribers = new Set<ServerResponse>();
  private readonly kept: KeptEvent[] = [];
  /** Ids of another process mean nothing to this one. */
  private readonly era: string;
  private lastId = 0;
  private keptLength = 0;
  private unsubscribe: () => void = () => {};
  private stopHeartbeat: () => void = () => {};

  constructor(options: EventFeedOptions) {
    this.options = options;
    this.era = options.clock.wallNow().toString(36);
  }

  /** Begins to take down what a control plane says. */
  attach(control: ControlPlane): void {
    this.unsubscribe();
    this.unsubscribe = control.subscribe((event) => this.publish(event));
    this.stopHeartbeat();
    this.stopHeartbeat = this.options.clock.every(heartbeatMs, () => this.send(':\n\n'));
  }

  get isFull(): boolean {
    return this.subscribers.size >= maxSubscribers;
  }

  /** Answers a subscriber: what it has missed, as its `Last-Event-ID` says, and then what comes. */
  subscribe(response: ServerResponse, lastEventId: string | undefined): void {
    this.subscribers.add(response);
    response.on('close', () => this.subscribers.delete(response));
    // The first bytes tell the client that it is subscribed.
    response.write(`retry: 3000\n:\n\n`);
    const missed = lastEventId === undefined ? [] : this.after(lastEventId);
    for (const { text } of missed) response.write(text);
  }

  close(): void {
    this.unsubscribe();
    this.stopHeartbeat();
    for (const subscriber of this.subscribers) subscriber.destroy();
  }

  /** All that is kept, for an id of another process or one that is kept no more. */
  private after(lastEventId: string): readonly KeptEvent[] {
    const [era, number] = lastEventId.split('.');
    const id = era === this.era && /^\d{1,15}$/.test(number ?? '') ? Number(number) : 0;
    return this.kept.filter((event) => event.id > id);
  }

  private publish({ kind, at, about }: ControlEvent): void {
    const id = ++this.lastId;
    let data = JSON.stringify({ kind, at, about: hideIn(about, this.options.hide) });
    if (data.length > maxEventLength) data = JSON.stringify({ kind, at, about: { truncated: true } });
    const text = `id: ${this.era}.${id}\nevent: ${kind.replaceAll(/[^\w-]/g, '_')}\ndata: ${data}\n\n`;
    this.kept.push({ id, text });
    this.keptLength += text.length;
    while (this.kept.length > maxKept || this.keptLength > maxKeptLength) {
      this.keptLength -= this.kept.shift()?.text.length ?? 0;
    }
    this.send(text);
  }

  private send(text: string): void {
    for (const subscriber of this.subscribers) {
      if (subscriber.writableLength + text.length > maxBuffered) subscriber.destroy();
      else subscriber.write(text);
    }
  }
}
