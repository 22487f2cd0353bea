/** Somebody who publishes documents, for whoever calls it by `call`: says what it is told to, when it is told to. */
import type { CallRequest, CallResponse } from '../../src/contract.ts';

interface Asked {
  readonly request: CallRequest;
  readonly answer: (response: CallResponse) => void;
  readonly fail: (error: Error) => void;
}

export class FakePublisher {
  readonly asked: Asked[] = [];

  readonly call = (request: CallRequest): Promise<CallResponse> => {
    const { promise, resolve, reject } = Promise.withResolvers<CallResponse>();
    this.asked.push({ request, answer: resolve, fail: reject });
    return promise;
  };

  get count(): number {
    return this.asked.length;
  }

  /** Answers what was asked last, and lets whoever waits for it go on. */
  async say(body: string | Uint8Array, { status = 200, headers = [] as CallResponse['headers'] } = {}): Promise<void> {
    this.asked.at(-1)!.answer({ status, headers, body: typeof body === 'string' ? Buffer.from(body) : body });
    await settled();
  }

  async fail(message: string): Promise<void> {
    this.asked.at(-1)!.fail(new Error(message));
    await settled();
  }
}

/** Lets promises that have something to go on with do so. */
export async function settled(): Promise<void> {
  await new Promise(setImmediate);
}
