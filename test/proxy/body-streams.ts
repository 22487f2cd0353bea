/** Streams for policies that transform bodies, and what tests need to look at large bodies without keeping them. */
import type { Socket } from 'node:net';
import { Transform } from 'node:stream';
import type { TestGateway } from '../support/gateway.ts';

export const later = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Writes letters in upper case, one piece after the other. */
export function upperCase(): Transform {
  return new Transform({
    transform: (bytes: Buffer, _, done) => done(null, Buffer.from(bytes.toString('latin1').toUpperCase(), 'latin1')),
  });
}

/** Puts text before and behind the body. */
export function between(before: string, behind: string): Transform {
  const stream = new Transform({
    transform: (bytes: Buffer, _, done) => done(null, bytes),
    flush: (done) => done(null, Buffer.from(behind)),
  });
  stream.push(before);
  return stream;
}

/** Fails at the first piece. */
export function failing(): Transform {
  return new Transform({ transform: (_bytes, _, done) => done(new Error('boom')) });
}

export function blamed(gateway: TestGateway): unknown[] {
  return gateway.log.filter(({ level }) => level === 'error').map(({ message, about }) => [message, about['policy']]);
}

export const large = 'abcdefghij'.repeat(20_000);

/** Waits until a number has stayed the same for many turns of the event loop. */
export async function untilSteady(read: () => number): Promise<void> {
  let last = -1;
  for (let same = 0; same < 200;) {
    await later();
    const now = read();
    same = now === last ? same + 1 : 0;
    last = now;
  }
}

/** Takes what a paused socket has to give, without keeping it, until there have been this many bytes. */
export function countBytes(socket: Socket, total: number): Promise<number> {
  let count = 0;
  return new Promise((resolve) => {
    socket.removeAllListeners('data');
    socket.on('data', (bytes: Buffer) => {
      count += bytes.length;
      if (count >= total) resolve(count);
    });
    socket.resume();
  });
}
