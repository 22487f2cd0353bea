import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { MemoryNetwork } from '../../src/testing/memory-network.ts';
import { MemorySocket, type EndOptions } from '../../src/testing/memory-socket.ts';

function pair(one: Partial<EndOptions> = {}, other: Partial<EndOptions> = {}) {
  const network = new MemoryNetwork();
  const halfOpen = { allowHalfOpen: true };
  const [a, b] = MemorySocket.pair(network, { ...halfOpen, ...one }, { ...halfOpen, ...other });
  return { network, a, b };
}

/** All that arrives, until the end. */
async function read(socket: MemorySocket): Promise<string> {
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  await once(socket, 'end');
  return text;
}

/** Why it failed. */
function codeOf({ errored }: MemorySocket): unknown {
  return errored !== null && 'code' in errored ? errored.code : null;
}

describe('a socket in memory', () => {
  it('delivers in order, later than it was sent, and then the end', async () => {
    const { a, b } = pair();
    const received = read(b);
    a.write('one ');
    a.cork();
    a.write('two ', 'latin1');
    a.write(Buffer.from('three'));
    a.uncork();
    assert.equal(b.readableLength, 0);
    a.end();
    assert.equal(await received, 'one two three');
    b.end('answer to a half-closed end');
    assert.equal(await read(a), 'answer to a half-closed end');
  });

  it('has sent bytes once the write returns, whatever happens to their memory', async () => {
    const { a, b } = pair();
    const memory = Buffer.from('before');
    a.write(memory);
    assert.equal(a.writableLength, 0);
    memory.fill('x');
    a.end();
    assert.equal(await read(b), 'before');
  });

  it('makes who sends wait for who does not read', async () => {
    const { network, a, b } = pair();
    let sent = 0;
    for (let i = 0; i < 4; i++) a.write(Buffer.alloc(50_000), () => sent++);
    await network.settle();
    assert.ok(sent < 4, `${sent} sent`);
    assert.ok(a.writableLength > 0);
    b.resume();
    await network.settle();
    assert.equal(sent, 4);
    assert.equal(a.writableLength, 0);
  });

  it('ends when the other end is destroyed, and fails when it writes after that', async () => {
    const { network, a, b } = pair();
    const ended = once(b.resume(), 'end');
    a.destroy();
    await ended;
    b.write('too late');
    await network.settle();
    assert.equal(b.destroyed, true);
    assert.equal(codeOf(b), 'ECONNRESET');
  });

  it('shows a reset as one', async () => {
    const { network, a, b } = pair();
    a.resetAndDestroy();
    await network.settle();
    assert.equal(codeOf(b), 'ECONNRESET');
  });

  it('closes by itself where half-open is not allowed', async () => {
    const { network, a, b } = pair({ allowHalfOpen: false });
    a.resume();
    b.end();
    await network.settle();
    b.resume();
    await network.settle();
    assert.equal(a.closed, true);
    assert.equal(b.closed, true);
  });

  it('reads into the memory that it is told to, and stops when it is told to', async () => {
    const block = Buffer.alloc(4);
    let text = '';
    const given: (Buffer | undefined)[] = [block];
    const onread = {
      // The same again, where it says no other.
      buffer: () => given.pop() as Buffer,
      callback(length: number) {
        text += block.toString('latin1', 0, length);
        return text.length % 8 !== 0;
      },
    };
    const { network, a, b } = pair({}, { onread });
    a.write('0123456789abcdef!');
    await network.settle();
    assert.equal(text, '01234567');
    b.resume();
    await network.settle();
    assert.equal(text, '0123456789abcdef');
    b.resume();
    await network.settle();
    assert.equal(text, '0123456789abcdef!');
  });

  it('knows which request of a test something was sent for', async () => {
    const { network, a, b } = pair();
    b.resume();
    network.onBehalfOf(7, () => a.write('x'));
    await network.settle();
    assert.equal(b.cause, 7);
    a.write('y');
    await network.settle();
    assert.equal(b.cause, undefined);
  });
});
