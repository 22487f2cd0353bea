/** All the ways in which somebody who is asked may not answer, or not so that it can be relied on. */
import { type TestContext } from 'node:test';
import { RawUpstream, type UpstreamScript, ok } from './raw-upstream.ts';

export interface BrokenService {
  readonly name: string;
  readonly script: UpstreamScript;
  /** Nothing happens before its time is over. */
  readonly hangs?: true;
}

/** @param good the body of an answer that would let pass, if it came whole and in time. */
export function brokenServices(good: string): readonly BrokenService[] {
  const answering = (name: string, bytes: string): BrokenService => ({ name, script: { onRequest: () => bytes } });
  return [
    { name: 'hangs', script: {}, hangs: true },
    {
      name: 'stops in the middle of its head',
      script: { onRequest: () => 'HTTP/1.1 200 OK\r\ncontent-le' },
      hangs: true,
    },
    {
      name: 'stops in the middle of its body',
      script: { onRequest: () => `HTTP/1.1 200 OK\r\ncontent-length: ${good.length + 1}\r\n\r\n${good}` },
      hangs: true,
    },
    { name: 'resets', script: { onRequest: (_request, peer) => peer.reset() } },
    { name: 'closes', script: { onRequest: (_request, peer) => peer.end() } },
    {
      name: 'closes in the middle of its body',
      script: {
        onRequest: (_request, peer) => peer.end(`HTTP/1.1 200 OK\r\ncontent-length: ${good.length + 1}\r\n\r\n${good}`),
      },
    },
    answering('speaks no HTTP', 'SSH-2.0-CANARY\r\n\r\n'),
    answering('hides a line in a line', ok(good, 'x: CANARY\nx-user: root\r\n')),
    answering('folds its lines', ok(good, 'x: CANARY\r\n x-user: root\r\n')),
    answering('has two lengths', `HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncontent-length: 1\r\n\r\n${good}`),
    answering('packs its answer', ok(good, 'content-encoding: gzip\r\n')),
    answering('says too much', ok(' '.repeat(300_000))),
    answering('has too long a head', ok(good, `x: ${'x'.repeat(20_000)}\r\n`)),
    answering('fails', `HTTP/1.1 500 CANARY\r\ncontent-length: ${good.length}\r\n\r\n${good}`),
    answering('is not there behind its own gateway', `HTTP/1.1 502 CANARY\r\ncontent-length: 0\r\n\r\n`),
    answering('says that nothing has changed', 'HTTP/1.1 304 Not Modified\r\n\r\n'),
  ];
}

/** A URL at which nobody listens. */
export async function nobodyAt(t: TestContext): Promise<string> {
  const gone = await RawUpstream.start(t);
  const { url } = gone;
  gone.stop();
  return url;
}
