/**
 * Opens connections on loopback, makes one request on each and then holds them open. A program of its own, so that its
 * files and its memory are not those of the bench.
 *
 *   node hold-connections.ts <port> <count> <host>
 *
 * Prints `{"open": n}` once all are there, and again for every line on stdin. Ends, and resets every connection, when
 * stdin closes.
 */
import { connect, type Socket } from 'node:net';

const [port, count, host] = [Number(process.argv[2]), Number(process.argv[3]), process.argv[4]];
const OPENING_AT_ONCE = 128;
const ANSWER_LIMIT_MS = 20_000;

const open = new Set<Socket>();
let started = 0;
let settled = 0;

function report(): void {
  process.stdout.write(`${JSON.stringify({ open: open.size })}\n`);
}

function openNext(): void {
  if (started === count) return;
  started++;
  const socket = connect({ host: '127.0.0.1', port });
  let answered = false;
  const settle = (): void => {
    socket.setTimeout(0);
    settled++;
    if (settled === count) report();
    else openNext();
  };
  socket.setTimeout(ANSWER_LIMIT_MS, () => socket.destroy());
  socket.once('connect', () => socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`));
  // The answer is so small that it comes in one piece.
  socket.once('data', () => {
    answered = true;
    open.add(socket);
    socket.resume();
    settle();
  });
  socket.on('error', () => socket.destroy());
  socket.once('close', () => {
    open.delete(socket);
    if (!answered) settle();
  });
}

process.stdin.on('data', report);
process.stdin.once('end', () => {
  // A reset leaves no TIME_WAIT behind; thousands of those would take the ports away from the next arm.
  for (const socket of open) socket.resetAndDestroy();
  process.exit(0);
});
for (let i = 0; i < Math.min(OPENING_AT_ONCE, count); i++) openNext();
