/** Clients that ask again as soon as they are answered, on connections that stay open; for a bounded time. */
import { connect } from 'node:net';
import type { Address } from './raw-client.ts';

/** The head of one response. */
export interface FloodAnswer {
  readonly status: number;
  field(name: string): string;
}

export interface FloodPlan {
  readonly connections: number;
  /** Requests that one connection has on their way. */
  readonly pipelined: number;
  readonly forMs: number;
  /** Lines of the request head, each with its CRLF, that differ from one request to the next. */
  readonly fields?: (index: number) => string;
}

/** All answers, which have bodies without an empty line in them. */
export async function flood(address: () => Address, plan: FloodPlan): Promise<FloodAnswer[]> {
  const answers: FloodAnswer[] = [];
  const endAt = performance.now() + plan.forMs;
  let index = 0;
  const request = (): string => `GET / HTTP/1.1\r\nhost: x\r\n${plan.fields?.(index++) ?? ''}\r\n`;
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect({ ...address(), noDelay: true });
      let [text, awaited] = ['', 0];
      const ask = (count: number): void => {
        awaited += count;
        socket.write(Array.from({ length: count }, request).join(''));
      };
      socket.on('connect', () => ask(plan.pipelined));
      socket.on('data', (bytes: Buffer) => {
        text += bytes.toString('latin1');
        let done = 0;
        for (let end; (end = endOfResponse(text)) !== -1; done++) {
          answers.push(answerOf(text.slice(0, end)));
          text = text.slice(end);
        }
        awaited -= done;
        if (done > 0 && performance.now() < endAt) ask(done);
        else if (awaited === 0) socket.destroy();
      });
      socket.on('error', reject);
      socket.on('close', () => resolve());
    });
  await Promise.all(Array.from({ length: plan.connections }, one));
  return answers;
}

function endOfResponse(text: string): number {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd === -1) return -1;
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(text.slice(0, headEnd + 2))?.[1] ?? 0);
  return text.length >= headEnd + 4 + length ? headEnd + 4 + length : -1;
}

function answerOf(text: string): FloodAnswer {
  return {
    status: Number(text.slice(9, 12)),
    field: (name) => new RegExp(`\r\n${name}: ([^\r]*)`, 'i').exec(text)?.[1] ?? '',
  };
}
