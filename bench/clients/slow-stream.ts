/**
 * The two slow ends of a long stream, as programs of their own.
 *
 *   node slow-stream.ts serve <port> <bytes> <bytesPerSecond>      an upstream: GET sends as fast as it is taken,
 *                                                                  POST reads slowly and then says how much it read
 *   node slow-stream.ts download <port> <bytes> <bytesPerSecond>   a client that reads slowly
 *   node slow-stream.ts upload <port> <bytes> <bytesPerSecond>     a client that sends as fast as it is taken
 *
 * Whoever reads slowly first does not read at all for a while: a gateway that lets a buffer grow shows it then.
 * The clients print `{"bytes": n}`, the number of body bytes that arrived at the other end.
 */
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';

const [role, portText, bytesText, rateText] = process.argv.slice(2);
const [port, bytes, bytesPerSecond] = [Number(portText), Number(bytesText), Number(rateText)];
const STALL_MS = 2_000;
const PIECE = Buffer.alloc(256 * 1024, 'x');
const REQUEST_HEAD = 'HTTP/1.1\r\nHost: api.bench.test\r\nConnection: close\r\n';

/** Counts what comes and pauses the stream whenever it is ahead of the rate. */
function readSlowly(stream: Readable, onBytes: (length: number) => void): void {
  let startedAt = 0;
  let received = 0;
  stream.on('data', (chunk: Buffer) => {
    if (startedAt === 0) startedAt = performance.now() + STALL_MS;
    received += chunk.length;
    onBytes(chunk.length);
    const aheadMs = startedAt + (received / bytesPerSecond) * 1000 - performance.now();
    if (aheadMs < 5) return;
    stream.pause();
    setTimeout(() => stream.resume(), aheadMs);
  });
}

/** Writes `bytes` bytes, never more at once than the other side takes. */
function writeAll(stream: Writable, onDone: () => void): void {
  let left = bytes;
  const writeSome = (): void => {
    while (left > 0) {
      const piece = left >= PIECE.length ? PIECE : PIECE.subarray(0, left);
      left -= piece.length;
      if (!stream.write(piece)) {
        stream.once('drain', writeSome);
        return;
      }
    }
    onDone();
  };
  writeSome();
}

function serveStreams(): void {
  const server = createServer((request, response) => {
    if (request.method === 'GET') {
      response.writeHead(200, { 'content-length': request.url === '/' ? 0 : bytes });
      if (request.url === '/') response.end();
      else writeAll(response, () => response.end());
      return;
    }
    let received = 0;
    readSlowly(request, (length) => (received += length));
    request.once('end', () => response.end(JSON.stringify({ bytes: received })));
  });
  server.listen(port, '127.0.0.1');
}

function finish(received: number, socket: Socket): void {
  process.stdout.write(`${JSON.stringify({ bytes: received })}\n`);
  socket.destroy();
}

function download(): void {
  const socket = connect({ host: '127.0.0.1', port });
  socket.write(`GET /stream ${REQUEST_HEAD}\r\n`);
  socket.once('data', (first: Buffer) => {
    const bodyStart = first.indexOf('\r\n\r\n') + 4;
    if (!first.toString('latin1', 0, 12).endsWith('200') || bodyStart < 4) {
      process.exit(1);
    }
    let received = first.length - bodyStart;
    readSlowly(socket, (length) => {
      received += length;
      if (received >= bytes) finish(received, socket);
    });
  });
  socket.once('close', () => process.exit(0));
}

function upload(): void {
  const socket = connect({ host: '127.0.0.1', port });
  socket.write(`POST /stream ${REQUEST_HEAD}Content-Length: ${bytes}\r\n\r\n`);
  writeAll(socket, () => undefined);
  let answer = '';
  socket.on('data', (chunk: Buffer) => {
    answer += chunk.toString('latin1');
    const body = /\{"bytes":\s*(\d+)\}/.exec(answer);
    if (body) finish(Number(body[1]), socket);
  });
  socket.once('close', () => process.exit(0));
}

if (role === 'serve') serveStreams();
else if (role === 'download') download();
else upload();
