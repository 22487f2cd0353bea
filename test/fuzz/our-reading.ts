/** What the gateway's own engine makes of bytes, from the socket to the handler. */
import { canonicalizeTarget, CanonicalTarget } from '../../src/http/path.ts';
import { HeaderFields } from '../../src/http/header-fields.ts';
import { parseAuthority } from '../../src/http/host.ts';
import type { ResponseHead } from '../../src/wire/message-head.ts';
import type { ConnectionHome } from '../../src/wire/connection-home.ts';
import { ServerConnection } from '../../src/wire/server-connection.ts';
import type { RequestHandler, ServerStream } from '../../src/wire/server-stream.ts';
import { TimerWheel } from '../../src/wire/timer-wheel.ts';
import type { UpstreamCall } from '../../src/wire/upstream-call.ts';
import { UpstreamConnection } from '../../src/wire/upstream-connection.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { MemorySocket, closed } from './memory-socket.ts';
import { type ReadRequest, type RequestReading, type ResponseReading, comparable } from './readings.ts';

const limits = { headBytes: 32_768, targetBytes: 16_384, headers: 100, keepUnderscores: false, bodyBytes: 2 ** 40 };
/** Nothing here waits for time to pass. */
const wheel = new TimerWheel(new FakeClock());
const noFields = new HeaderFields();
const target = new CanonicalTarget();

/** Notes every request with its body, answers it, and refuses what the stations behind the wire refuse at once. */
class Recorder implements RequestHandler {
  readonly reading: RequestReading = { requests: [], refusal: '', endsThere: false };

  onRequest(stream: ServerStream): void {
    const { reading } = this;
    stream.handler = {
      onClientGone: () => {},
      onBadBody: (code, reason) => {
        reading.refusal = `${code} ${reason}`;
        stream.sendWhole(400, '', noFields, '');
      },
    };
    if (!isRoutable(stream)) {
      reading.refusal = 'a target or a Host that is refused before routing';
      stream.closeAfterResponse();
      stream.sendWhole(400, '', noFields, '');
      return;
    }
    const { method, protocol, headers } = stream;
    const request: ReadRequest = {
      method,
      target: stream.target,
      version: protocol.slice(5),
      fields: comparable(headers),
      body: '',
      complete: false,
    };
    reading.requests.push(request);
    const complete = (): void => {
      request.complete = true;
      stream.sendWhole(200, 'OK', noFields, '');
    };
    if (stream.bodyText !== null) {
      request.body = stream.bodyText;
      complete();
      return;
    }
    stream.readBody({
      data: (bytes) => (request.body += Buffer.from(bytes).toString('latin1')),
      flush: () => true,
      end: () => {
        complete();
        return true;
      },
    });
  }

  onMalformed(stream: ServerStream, code: string, reason: string): void {
    this.reading.refusal = `${code} ${reason}`;
    stream.sendWhole(400, '', noFields, '');
  }
}

function isRoutable(stream: ServerStream): boolean {
  if (!canonicalizeTarget(stream.target, stream.method, target)) return false;
  if (stream.authority === '') return stream.protocol === 'HTTP/1.0' || target.authority !== '';
  return parseAuthority(stream.authority) !== null;
}

export async function readAsServer(pieces: readonly string[]): Promise<RequestReading> {
  const handler = new Recorder();
  const socket = new MemorySocket();
  const home: ConnectionHome = {
    settings: { limits, timeouts: { headMs: Infinity, bodyIdleMs: Infinity, keepAliveMs: Infinity }, handler },
    onConnectionClosed: () => {},
  };
  const peer = { address: '', port: 0, certificate: null };
  const connection = new ServerConnection(socket.asSocket(), peer, wheel, home, false);
  const gone = closed(socket);
  await socket.receive(pieces);
  if (!connection.destroyed) await gone;
  handler.reading.endsThere = handler.reading.refusal === '' && socket.written.includes('connection: close');
  return handler.reading;
}

/** Reads the response to a request with this method. */
export async function readAsClient(method: string, pieces: readonly string[]): Promise<ResponseReading> {
  const reading: ResponseReading = { status: 0, fields: [], body: '', complete: false, interim: [], refusal: '' };
  const call: UpstreamCall = {
    method,
    wantsUpgrade: false,
    pipelinable: false,
    needsFreshConnection: false,
    connectMs: Infinity,
    firstByteMs: Infinity,
    idleMs: Infinity,
    deadlineAt: 0,
    onConnection: (ready) => ready.send(call, `${method} / HTTP/1.1\r\nhost: a\r\n\r\n`, false),
    onInterim: ({ status }) => void reading.interim.push(status),
    onResponse(head: ResponseHead, bodyText: string | null) {
      reading.status = head.status;
      reading.fields = comparable(head.headers);
      if (bodyText === null) return;
      reading.body = bodyText;
      reading.complete = true;
    },
    onUpgrade: () => ({ fromUpstream() {} }),
    onFailure: (code, reason) => (reading.refusal = `${code} ${reason}`),
    data: (bytes) => (reading.body += Buffer.from(bytes).toString('latin1')),
    flush: () => true,
    end: () => (reading.complete = true),
  };
  const socket = new MemorySocket();
  const owner = { onIdle() {}, onGone() {} };
  const connection = new UpstreamConnection(
    socket.asSocket(),
    wheel,
    owner,
    { limits: { ...limits, keepUnderscores: true }, idleExpiryMs: Infinity, readyEvent: 'connect' },
    call,
  );
  socket.emit('connect');
  socket.resume();
  for (const piece of pieces) {
    if (socket.destroyed) break;
    const bytes = Buffer.from(piece, 'latin1');
    connection.receive(bytes, bytes.length);
  }
  const gone = closed(socket);
  await socket.receive([]);
  if (!socket.destroyed) await gone;
  return reading;
}
