/**
 * Memory that upstream sockets read into. While a connection waits for a head it reads into one block that all share:
 * a head and a small body are copied out as text at once. A connection that streams a body gets a block of its own, so
 * that the sink can hold on to it until the kernel has taken the bytes.
 */

export const blockBytes = 65_536;
const maxSpare = 64;

export const sharedBlock = Buffer.allocUnsafeSlow(blockBytes);

const spare: Buffer[] = [];

export function takeBlock(): Buffer {
  return spare.pop() ?? Buffer.allocUnsafeSlow(blockBytes);
}

/** Gives a block back, which nobody may refer to any longer. */
export function giveBlock(block: Buffer): void {
  if (spare.length < maxSpare) spare.push(block);
}
