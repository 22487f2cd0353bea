/**
 * Holds WebSockets open through a gateway and keeps them talking. A program of its own, so that its work is not on the
 * bench's event loop.
 *
 *   node web-sockets.ts serve <port>
 *   node web-sockets.ts talk <port> <count> <host>
 *
 * `talk` prints `{"open": n}` once all are there, and `{"cut": n, "echoes": n}` for every line on stdin; ends with it.
 */
import { WebSocket, WebSocketServer } from 'ws';

const EVERY_MS = 50;

const [role, port, count, host] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4]), process.argv[5]];

function serve(): void {
  const server = new WebSocketServer({ host: '127.0.0.1', port });
  server.on('connection', (socket) =>
    socket.on('message', (message, isBinary) => socket.send(message, { binary: isBinary })),
  );
}

function talk(): void {
  let open = 0;
  let cut = 0;
  let echoes = 0;
  const print = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
  for (let i = 0; i < count; i++) {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/socket`, { headers: { host } });
    socket.on('open', () => {
      if (++open === count) print({ open });
      setInterval(() => socket.readyState === WebSocket.OPEN && socket.send('ping'), EVERY_MS);
    });
    socket.on('message', () => echoes++);
    socket.on('error', () => {});
    socket.on('close', () => cut++);
  }
  process.stdin.on('data', () => print({ cut, echoes }));
  process.stdin.once('end', () => process.exit(0));
}

if (role === 'serve') serve();
else talk();
