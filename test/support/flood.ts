/** Clients that ask again and again, on connections that stay open; for a bounded time. */
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
  /**
   * How long between the moments at which all connections ask at once. So as many requests as without it race each other,
   * and the machine is not kept busy by those that only come to be refused. As soon as they are answered when left out.
   */
  readonly everyMs?: number;
  /** Lines of the request head, each with its CRLF, that differ from one request to the next. */
  readonly fields?: (index: number) => string;
}

/** All answers, which have bodies without an empty line in them. */
export async function flood(address: () => Address, plan: FloodPlan): Promise<FloodAnswer[]> {
  const answers: FloodAnswer[] = [];
  const endAt = performance.now() + plan.forMs;
  let index = 0;
  const request = (): string => `GET / HTTP/1.1\r\nhost: x\r\n${plan.fields?.(index++) ?? ''}\r\n`;
  const asking = new Set<() => void>();
  const beat = plan.everyMs === undefined ? undefined : setInterval(() => asking.forEach((ask) => ask()), plan.everyMs);
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect({ ...address(), noDelay: true });
      let [text, awaited] = ['', 0];
      const ask = (count: number): void => {
        awaited += count;
        socket.write(Array.from({ length: count }, request).join(''));
      };
      socket.on('data', (bytes: Buffer) => {
        text += bytes.toString('latin1');
        let done = 0;
        for (let end; (end = endOfResponse(text)) !== -1; done++) {
          answers.push(answerOf(text.slice(0, end)));
          text = text.slice(end);
        }
        awaited -= done;
        if (performance.now() >= endAt) {
          if (awaited === 0) socket.destroy();
        } else if (beat === undefined && done > 0) ask(done);
      });
      const askAll = (): void => {
        if (performance.now() < endAt) ask(plan.pipelined - awaited);
        else if (awaited === 0) socket.destroy();
      };
      socket.on('connect', () => {
        askAll();
        asking.add(askAll);
      });
      socket.on('error', reject);
      socket.on('close', () => {
        asking.delete(askAll);
        resolve();
      });
    });
  await Promise.all(Array.from({ length: plan.connections }, one)).finally(() => clearInterval(beat));
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
