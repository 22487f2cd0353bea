/** What Node's own HTTP (llhttp, in its strict mode) makes of bytes: the second opinion. */
import { type IncomingMessage, Server, request as requestHttp } from 'node:http';
import { MemorySocket, closed } from './memory-socket.ts';
import { type ReadRequest, type RequestReading, type ResponseReading, comparable, pairs } from './readings.ts';

const readings = new WeakMap<object, RequestReading>();

const server = new Server({ maxHeaderSize: 65_536, requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0 });
server.timeout = 0;
server.on('request', (incoming, response) => {
  const reading = readings.get(incoming.socket)!;
  const request: ReadRequest = {
    method: incoming.method!,
    target: incoming.url!,
    version: incoming.httpVersion,
    fields: comparable(pairs(incoming.rawHeaders)),
    body: '',
    complete: false,
  };
  reading.requests.push(request);
  incoming.on('data', (bytes: Buffer) => (request.body += bytes.toString('latin1')));
  incoming.on('end', () => {
    request.complete = true;
    response.end();
  });
  incoming.on('error', () => {});
});
server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
  const reading = readings.get(socket);
  // The end of the bytes in the middle of a message is nothing malformed.
  const isCutOff = error.code === 'HPE_INVALID_EOF_STATE' || error.code === 'ECONNRESET';
  if (reading !== undefined && !isCutOff) reading.refusal ||= error.code ?? error.message;
  // Requests before the bad one are handed on in turns of the event loop.
  setImmediate(() => socket.destroy());
});

export async function readAsNodeServer(pieces: readonly string[]): Promise<RequestReading> {
  const reading: RequestReading = { requests: [], refusal: '', endsThere: false };
  const socket = new MemorySocket();
  readings.set(socket, reading);
  server.emit('connection', socket);
  const gone = closed(socket);
  await socket.receive(pieces);
  await gone;
  // It answers some requests itself, without handing them on.
  const refused = /HTTP\/1\.1 (4\d\d)/.exec(socket.written);
  if (refused !== null) reading.refusal ||= `answered ${refused[1]}`;
  return reading;
}

/** Reads the response to a request with this method. */
export function readAsNodeClient(method: string, pieces: readonly string[]): Promise<ResponseReading> {
  const reading: ResponseReading = { status: 0, fields: [], body: '', complete: false, interim: [], refusal: '' };
  const socket = new MemorySocket();
  return new Promise((resolve) => {
    const outgoing = requestHttp({
      method,
      createConnection: () => socket.asSocket(),
      maxHeaderSize: 131_072,
    });
    const finish = (): void => {
      socket.destroy();
      resolve(reading);
    };
    let hasBegun = false;
    outgoing.on('information', ({ statusCode }) => reading.interim.push(statusCode));
    outgoing.on('upgrade', finish);
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      reading.refusal ||= error.code ?? error.message;
      // What is wrong behind a complete response does not make it incomplete.
      if (!hasBegun) finish();
    });
    outgoing.on('response', (incoming: IncomingMessage) => {
      hasBegun = true;
      reading.status = incoming.statusCode!;
      reading.fields = comparable(pairs(incoming.rawHeaders));
      incoming.on('data', (bytes: Buffer) => (reading.body += bytes.toString('latin1')));
      incoming.on('error', (error: NodeJS.ErrnoException) => (reading.refusal ||= error.code ?? error.message));
      incoming.on('close', () => {
        reading.complete = incoming.complete;
        finish();
      });
    });
    outgoing.end();
    // The parser is attached to the socket in the next turn.
    setImmediate(() => void socket.receive(pieces));
  });
}
