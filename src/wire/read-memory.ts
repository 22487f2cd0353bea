/**
 * The memory that a socket reads into. While a connection waits for a head it reads into one block that all share: a head
 * and a small body are copied out as text at once. A connection that streams a body gets a block of its own, so that the
 * sink can hold on to it until the kernel has taken the bytes.
 */

const blockBytes = 65_536;
const maxSpare = 64;

export const sharedBlock: Buffer = Buffer.allocUnsafeSlow(blockBytes);

const spare: Buffer[] = [];

function takeBlock(): Buffer {
  return spare.pop() ?? Buffer.allocUnsafeSlow(blockBytes);
}

export class ReadMemory {
  /** What the socket reads into next. */
  block: Buffer = sharedBlock;
  /** The sink of a body that is complete still holds the block. */
  held = false;
  /** The socket has read into the block, and reads into it again. */
  private isKept = false;

  /** For `onread.callback`: the socket has read into these bytes, and what it read was used up. */
  used(bytes: Uint8Array): void {
    this.isKept = bytes === this.block;
  }

  /**
   * For `onread.buffer`: what the socket reads into next. After a read that may be nothing, and then it stays what it was, which
   * spares Node to look up where the bytes are, each time.
   */
  next(): Buffer | undefined {
    if (!this.isKept) return this.block;
    this.isKept = false;
    return undefined;
  }

  /**
   * Before a body's bytes are handed on: copies them from the shared block to one of its own.
   * @returns how many there are, now from the beginning of `block`.
   */
  own(shared: Buffer, from: number, to: number): number {
    this.block = takeBlock();
    return shared.copy(this.block, 0, from, to);
  }

  /** In a body: leaves the block to the sink that holds it, and goes on with another. */
  replace(): void {
    this.block = takeBlock();
  }

  /** After a pass of reading: gives the block back, unless it is still needed or held by somebody. */
  settle(inBody: boolean): void {
    if (this.block === sharedBlock) return;
    if (this.held) {
      // What the sink holds is left to it, and then to the garbage collector.
      this.block = inBody ? takeBlock() : sharedBlock;
      this.held = false;
    } else if (!inBody) {
      if (spare.length < maxSpare) spare.push(this.block);
      this.block = sharedBlock;
    }
  }
}
