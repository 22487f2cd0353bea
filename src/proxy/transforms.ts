/** The streams that policies put into the way of a body. */
import { Duplex } from 'node:stream';
import type { BodySink, BodySource } from '../wire/connection.ts';
import type { ProxyExchange } from './exchange.ts';
import type { Step } from './route.ts';

/** A stream that a policy has put into the way of a body. */
export interface Transform {
  readonly policy: string;
  readonly stream: Duplex;
}

type TransformStep = Step<(exchange: ProxyExchange) => Duplex | null>;

/**
 * Asks the policies that take part for the streams that they want this body to pass through.
 * @returns null when one of them failed.
 */
export function openTransforms(
  exchange: ProxyExchange,
  steps: readonly TransformStep[],
  onFailed: (step: TransformStep, error: unknown) => void,
): readonly Transform[] | null {
  const transforms: Transform[] = [];
  for (const step of steps) {
    if (!exchange.hasInResponse(step.position)) continue;
    try {
      const stream = step.hook(exchange);
      if (stream === null) continue;
      // A policy without types may return anything, and without its stream the body must not pass.
      if (!(stream instanceof Duplex)) throw new TypeError('a transform hook returned something that is no stream');
      transforms.push({ policy: step.policy, stream });
    } catch (error) {
      for (const { stream } of transforms) stream.destroy();
      onFailed(step, error);
      return null;
    }
  }
  return transforms;
}

/** Takes a body through one or more of Node's streams, with backpressure both ways. Trailers are dropped. */
export class TransformSink implements BodySink, BodySource {
  private readonly transforms: readonly Transform[];
  private readonly first: Duplex;
  private readonly last: Duplex;
  private readonly destination: BodySink;
  private readonly onFailed: (policy: string, error: unknown) => void;
  private source: BodySource | null = null;
  /** The body is through, or never will be: what the streams still have to say does not matter. */
  private over = false;

  constructor(
    transforms: readonly Transform[],
    destination: BodySink,
    onFailed: (policy: string, error: unknown) => void,
  ) {
    this.transforms = transforms;
    this.destination = destination;
    this.onFailed = onFailed;
    this.first = transforms[0].stream;
    this.last = transforms[transforms.length - 1].stream;
    for (let i = 1; i < transforms.length; i++) transforms[i - 1].stream.pipe(transforms[i].stream);
    for (const { policy, stream } of transforms) {
      stream.on('error', (error) => this.fail(policy, error));
      // A stream that is destroyed says neither `error` nor `end`, unless it is told to.
      stream.on('close', () => stream.readableEnded || this.fail(policy, new Error('a transform ended too early')));
    }
    this.first.on('drain', () => {
      const { source } = this;
      this.source = null;
      source?.resume();
    });
    this.last.on('data', (piece: Buffer | string) => this.deliver(piece));
    this.last.on('end', () => {
      this.over = true;
      destination.end(null);
    });
  }

  private deliver(piece: Buffer | string): void {
    if (this.over) return;
    // A stream with an encoding, or in object mode, does not speak in bytes.
    const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece;
    if (!(bytes instanceof Uint8Array)) {
      this.fail(
        this.transforms.at(-1)!.policy,
        new TypeError('a transform made something that is neither bytes nor text'),
      );
      return;
    }
    this.destination.data(bytes);
    if (!this.destination.flush(this)) this.last.pause();
  }

  private fail(policy: string, error: unknown): void {
    if (this.over) return;
    this.over = true;
    this.onFailed(policy, error);
  }

  data(bytes: Uint8Array): void {
    if (!this.first.destroyed) this.first.write(Buffer.from(bytes));
  }

  flush(source: BodySource): boolean {
    // The head in front of the body must not wait for what the streams may be holding back.
    if (!this.over && !this.destination.flush(this)) this.last.pause();
    if (!this.first.writableNeedDrain) return true;
    this.source = source;
    return false;
  }

  end(): boolean {
    if (!this.first.destroyed) this.first.end();
    return true;
  }

  resume(): void {
    this.last.resume();
  }

  destroy(): void {
    this.over = true;
    for (const { stream } of this.transforms) stream.destroy();
  }
}
