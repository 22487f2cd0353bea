import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Turns } from '../../src/util/turns.ts';
import { settle } from '../support/changes.ts';

/** Work that says when it begins and lasts until it is ended. */
class Work {
  readonly begun: string[] = [];
  private readonly ends = new Map<string, PromiseWithResolvers<void>>();

  of(name: string): () => Promise<void> {
    return () => {
      this.begun.push(name);
      const end = Promise.withResolvers<void>();
      this.ends.set(name, end);
      return end.promise;
    };
  }

  async end(name: string, error?: Error): Promise<void> {
    const end = this.ends.get(name)!;
    if (error === undefined) end.resolve();
    else end.reject(error);
    await settle();
  }
}

describe('turns', () => {
  it('let what must be alone begin when everything before it is done, and nothing beside it', async () => {
    const turns = new Turns();
    const work = new Work();
    void turns.shared(work.of('a'));
    void turns.shared(work.of('b'));
    void turns.alone(work.of('C'));
    void turns.shared(work.of('d'));
    void turns.alone(work.of('E'));
    await settle();
    assert.deepEqual(work.begun, ['a', 'b']);
    await work.end('b');
    assert.deepEqual(work.begun, ['a', 'b']);
    await work.end('a');
    assert.deepEqual(work.begun, ['a', 'b', 'C']);
    await work.end('C');
    assert.deepEqual(work.begun, ['a', 'b', 'C', 'd']);
    await work.end('d');
    assert.deepEqual(work.begun, ['a', 'b', 'C', 'd', 'E']);
  });

  it('go on after work that failed, of which only who asked for it is told', async () => {
    const turns = new Turns();
    const work = new Work();
    const failed = assert.rejects(turns.alone(work.of('A')), /no/);
    const beside = assert.rejects(turns.shared(work.of('b')), /neither/);
    void turns.alone(work.of('C'));
    await settle();
    await work.end('A', new Error('no'));
    await failed;
    await work.end('b', new Error('neither'));
    await beside;
    assert.deepEqual(work.begun, ['A', 'b', 'C']);
  });
});
