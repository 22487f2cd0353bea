/** Processes that take over from each other. */
import type { TestContext } from 'node:test';
import type { Command } from './command.ts';

/** Tells a process to be replaced. @returns the id of the one that has taken over, which ends with the test. */
export async function upgrade(t: TestContext, gateway: Command, pid = gateway.pid): Promise<number> {
  const from = gateway.log.length;
  process.kill(pid, 'SIGUSR2');
  const taken = await gateway.logged('another process has taken over', from);
  const successor = Number(taken['pid']);
  t.after(() => {
    try {
      process.kill(successor, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  });
  return successor;
}

export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
