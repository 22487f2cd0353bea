import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import {
  EXPECTATION_FAILED,
  HEAD_TOO_LARGE,
  INCOMPLETE,
  MALFORMED,
  NOT_IMPLEMENTED,
  RequestHead,
  ResponseHead,
  TARGET_TOO_LONG,
  VERSION_NOT_SUPPORTED,
  parseRequestHead,
  parseResponseHead,
  parseTrailers,
  refusalOf,
  type HeadLimits,
} from '../../src/wire/message-head.ts';
import { HeaderFields } from '../../src/http/header-fields.ts';
import { HeadSource } from '../../src/wire/head-source.ts';

const limits: HeadLimits = { headBytes: 4096, targetBytes: 1024, headers: 20, keepUnderscores: false };

function request(text: string, some: Partial<HeadLimits> = {}): { end: number; head: RequestHead } {
  const head = new RequestHead();
  return { end: parseRequestHead(HeadSource.of(text), { ...limits, ...some }, head), head };
}

function response(text: string): { end: number; head: ResponseHead } {
  const head = new ResponseHead();
  return { end: parseResponseHead(HeadSource.of(text), limits, head), head };
}

const withFields = (fields: string): string => `GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;

describe('the head of a request', () => {
  it('is taken apart; what follows it is left alone', () => {
    const text =
      'POST /a?b=c HTTP/1.1\r\nHost: api.example.com\r\nX-A:  b c\t\r\nx-a:\r\nContent-Length: 007\r\n\r\nGET';
    const { end, head } = request(text);
    assert.equal(text.slice(end), 'GET');
    assert.deepEqual(
      [head.method, head.target, head.host, head.minorVersion, head.contentLength],
      ['POST', '/a?b=c', 'api.example.com', 1, 7],
    );
    assert.deepEqual(
      [...head.headers],
      [
        ['Host', 'api.example.com'],
        ['X-A', 'b c'],
        ['x-a', ''],
        ['Content-Length', '007'],
      ],
    );
    assert.deepEqual([head.headers.get('x-A'), head.headers.getAll('X-a')], ['b c', ['b c', '']]);
  });

  it('is incomplete at every byte before its last', () => {
    for (const text of [
      withFields('X: y\r\nConnection: close\r\n'),
      `\r\n${withFields('')}`,
      'GET / HTTP/1.0\r\n\r\n',
    ]) {
      for (let length = 0; length < text.length; length++) {
        assert.equal(request(text.slice(0, length)).end, INCOMPLETE, text.slice(0, length));
      }
      assert.equal(request(text).end, text.length);
    }
  });

  const refused: readonly (readonly [text: string, result: number, reason: RegExp])[] = [
    ['GET  / HTTP/1.1\r\n', MALFORMED, /target/],
    [' GET / HTTP/1.1\r\n', MALFORMED, /request line/],
    ['GET\t/ HTTP/1.1\r\n', MALFORMED, /request line/],
    ['GET /\r\n', MALFORMED, /target/],
    ['GET / HTTP/1.1 \r\n', MALFORMED, /version/],
    ['GET / HTTP/1.1\n', MALFORMED, /version/],
    ['GET / HTTP/1.1\r\r\n', MALFORMED, /version/],
    ['GET / http/1.1\r\n', MALFORMED, /version/],
    ['GET / HTTP/1.10\r\n', MALFORMED, /version/],
    ['GET / HTTP/2.0\r\n', VERSION_NOT_SUPPORTED, /version/],
    ['GET / HTTP/1.2\r\n', VERSION_NOT_SUPPORTED, /version/],
    ['GET / HTTP/0.9\r\n', VERSION_NOT_SUPPORTED, /version/],
    ['GET /\x80 HTTP/1.1\r\n', MALFORMED, /target/],
    ['GET /\x7f HTTP/1.1\r\n', MALFORMED, /target/],
    ['GET /\0 HTTP/1.1\r\n', MALFORMED, /target/],
    ['get / HTTP/1.1\r\n', NOT_IMPLEMENTED, /upper case/],
    ['G!T / HTTP/1.1\r\n', NOT_IMPLEMENTED, /upper case/],
    ['G(T / HTTP/1.1\r\n', MALFORMED, /request line/],
    [`${'A'.repeat(33)} / HTTP/1.1\r\n`, NOT_IMPLEMENTED, /too long/],
    ['\r\n\r\nGET / HTTP/1.1\r\n', MALFORMED, /request line/],
    ['\nGET / HTTP/1.1\r\n', MALFORMED, /request line/],
    ['\rGET / HTTP/1.1\r\n', MALFORMED, /stray CR/],
    ['\x16\x03\x01', MALFORMED, /request line/],
    ['CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n', NOT_IMPLEMENTED, /CONNECT/],
    ['GET / HTTP/1.1\r\n\r\n', MALFORMED, /Host/],
    [withFields('Host: a\r\n'), MALFORMED, /Host/],
    [withFields(': x\r\n'), MALFORMED, /name/],
    [withFields('X : y\r\n'), MALFORMED, /name/],
    [withFields('X\r\n'), MALFORMED, /name/],
    [withFields(' X: y\r\n'), MALFORMED, /name/],
    [withFields('X: y\r\n z\r\n'), MALFORMED, /name/],
    [withFields('X: y\r\n\tz\r\n'), MALFORMED, /name/],
    [withFields('X(: y\r\n'), MALFORMED, /name/],
    [withFields('X\0: y\r\n'), MALFORMED, /name/],
    [withFields('X: y\0\r\n'), MALFORMED, /value/],
    [withFields('X: y\x01\r\n'), MALFORMED, /value/],
    [withFields('X: y\x7f\r\n'), MALFORMED, /value/],
    [withFields('X: y\n'), MALFORMED, /value/],
    [withFields('X: y\rZ: 1\r\n'), MALFORMED, /CR/],
    [withFields('\rX: y\r\n'), MALFORMED, /CR/],
    [withFields('Content-Length: 1\r\nContent-Length: 1\r\n'), MALFORMED, /more than one/],
    [withFields('Content-Length: 1\r\nTransfer-Encoding: chunked\r\n'), MALFORMED, /both/],
    [withFields('Transfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n'), MALFORMED, /more than one/],
    [withFields('Transfer-Encoding: gzip, chunked\r\n'), NOT_IMPLEMENTED, /coding/],
    [withFields('Transfer-Encoding: chunked, chunked\r\n'), NOT_IMPLEMENTED, /coding/],
    [withFields('Transfer-Encoding: identity\r\n'), NOT_IMPLEMENTED, /coding/],
    [withFields('Transfer-Encoding:\r\n'), MALFORMED, /Transfer-Encoding/],
    [withFields('Transfer-Encoding: "chunked"\r\n'), MALFORMED, /Transfer-Encoding/],
    [withFields('Transfer-Encoding: chunked;q=1\r\n'), MALFORMED, /Transfer-Encoding/],
    [withFields('Transfer-Encoding: \x0bchunked\r\n'), MALFORMED, /value/],
    ['GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n', MALFORMED, /1\.0/],
    [withFields('Expect: 200-ok\r\n'), EXPECTATION_FAILED, /expectation/],
    [withFields('Connection: Host\r\n'), MALFORMED, /frames/],
    [withFields('Connection: close, content-length\r\n'), MALFORMED, /frames/],
    [withFields('Connection: Transfer-Encoding\r\n'), MALFORMED, /frames/],
    ...['', ' ', '-1', '+1', '1.0', '0x1', '1 1', '1,1', '1a', '9007199254740992', '0'.repeat(21), '\u00b2'].map(
      (length) => [withFields(`Content-Length: ${length}\r\n`), MALFORMED, /Content-Length/] as const,
    ),
  ];
  for (const [text, result, reason] of refused) {
    it(`is refused: ${JSON.stringify(text.replace('GET / HTTP/1.1\r\nHost: a\r\n', '…'))}`, () => {
      const { end, head } = request(text);
      assert.equal(end, result);
      assert.match(head.reason, reason);
      assert.notEqual(refusalOf(end), 'INTERNAL');
    });
  }

  it('is refused as soon as the byte is there that is wrong, not at its end', () => {
    for (const text of [
      'GET / HTTX',
      'GET / HTTP/1.1\r\nX : ',
      'GET / HTTP/1.1\r\nX: y\n',
      'GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n',
      'GET /\x80',
    ]) {
      assert.equal(request(text).end, MALFORMED, text);
    }
  });

  it('has every length that a safe integer can say', () => {
    for (const length of ['0', '00', '1', '9007199254740991', '00000000000000000005']) {
      assert.equal(request(withFields(`Content-Length: ${length}\r\n`)).head.contentLength, Number(length));
    }
  });

  it('says whether the connection goes on', () => {
    const persistent = (version: string, fields: string): boolean =>
      request(`GET / HTTP/${version}\r\nHost: a\r\n${fields}\r\n`).head.persistent;
    assert.deepEqual(
      [
        persistent('1.1', ''),
        persistent('1.1', 'Connection: CLOSE\r\n'),
        persistent('1.1', 'Connection: x, close ,y\r\n'),
        persistent('1.1', 'Connection: x\r\nconnection: close\r\n'),
        persistent('1.0', ''),
        persistent('1.0', 'Connection: Keep-Alive\r\n'),
        persistent('1.0', 'Connection: keep-alive, close\r\n'),
      ],
      [true, false, false, false, false, true, false],
    );
  });

  it('says what the client expects and can take', () => {
    const { head } = request(
      withFields('Expect: 100-Continue\r\nTE: gzip;q=1, Trailers\r\nConnection: upgrade, te\r\nUpgrade: websocket\r\n'),
    );
    assert.deepEqual([head.expectsContinue, head.acceptsTrailers, head.upgrade], [true, true, true]);
    assert.equal(request('GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n').head.expectsContinue, false);
    for (const value of ['trailersx', 'xtrailers', 'x trailers']) {
      assert.equal(request(withFields(`TE: ${value}\r\n`)).head.acceptsTrailers, false);
    }
  });

  it('is bounded in every direction', () => {
    const bytes = (length: number): string => withFields(`X: ${'y'.repeat(length - withFields('X: \r\n').length)}\r\n`);
    assert.deepEqual(
      [request(bytes(4096)).end, request(bytes(4097)).end, request(`\r\n${bytes(4096)}`).end],
      [4096, HEAD_TOO_LARGE, 4098],
    );
    assert.equal(request(`GET / HTTP/1.1\r\nX: ${'y'.repeat(4096)}`).end, HEAD_TOO_LARGE, 'before it is complete');
    const target = (length: number): string => `GET ${'/'.repeat(length)}`;
    assert.deepEqual(
      [
        request(`${target(1024)} HTTP/1.0\r\n\r\n`).end > 0,
        request(`${target(1025)} HTTP/1.0\r\n\r\n`).end,
        request(target(1025)).end,
      ],
      [true, TARGET_TOO_LONG, TARGET_TOO_LONG],
    );
    assert.deepEqual(
      [request(withFields('X: y\r\n'.repeat(19))).end > 0, request(withFields('X: y\r\n'.repeat(20))).end],
      [true, HEAD_TOO_LARGE],
    );
    assert.deepEqual(
      [
        request(withFields(`Connection: ${'a,'.repeat(100)}\r\n`)).end > 0,
        request(withFields(`Connection: ${'a,'.repeat(101)}\r\n`)).end,
      ],
      [true, MALFORMED],
    );
  });

  it('loses headers with underscores, unless they are kept and fold onto nothing that is guarded', () => {
    const names = (keepUnderscores: boolean): string[] =>
      Array.from(
        request(withFields('X_A: 1\r\nContent_Length: 5\r\nX_Forwarded_For: 1\r\n_: 1\r\nX-B: 2\r\n'), {
          keepUnderscores,
        }).head.headers,
        ([name]) => name,
      );
    assert.deepEqual(
      [names(false), names(true)],
      [
        ['Host', 'X-B'],
        ['Host', 'X_A', '_', 'X-B'],
      ],
    );
  });

  const name = fc
    .string({ unit: fc.constantFrom(..."abcXYZ0123456789-!#$%&'*+.^`|~"), minLength: 1, maxLength: 12 })
    .map((text) => `q${text}`);
  const value = fc
    .string({ unit: fc.constantFrom(...'ab ,;:="\\\t\x80\xff/?{}'), maxLength: 20 })
    .map((text) => text.replace(/^[ \t]+|[ \t]+$/g, ''));
  const padding = fc.string({ unit: fc.constantFrom(' ', '\t'), maxLength: 3 });

  it('has exactly the fields that were written, and passes them on as such', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(name, padding, value, padding), { maxLength: 10 }), (fields) => {
        const text = withFields(fields.map(([n, before, v, after]) => `${n}:${before}${v}${after}\r\n`).join(''));
        const { end, head } = request(text);
        const expected = fields.map(([n, , v]) => [n, v]);
        assert.equal(end, text.length);
        assert.deepEqual([...head.headers].slice(1), expected);
        // The lines that are passed on mean the same to whoever parses them next.
        const next = request(`GET / HTTP/1.1\r\nHost: a\r\n${head.headers.ordinaryLines()}\r\n`);
        assert.deepEqual([...next.head.headers].slice(1), expected);
      }),
    );
  });

  it('passes no line on that it has dropped, nominated or treats in a way of its own', () => {
    const line = fc.constantFrom(
      'X-A: 1',
      'x-b:2 ',
      'Connection: x-a',
      'X_C: 3',
      'Keep-Alive: 4',
      'X-Forwarded-For: 5',
      'Upgrade: 6',
      'Date: 7',
      'TE: 8',
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
        const { head } = request(withFields(lines.map((text) => `${text}\r\n`).join('')));
        const nominated = lines.includes('Connection: x-a');
        const expected = lines
          .filter((text) => /^(?:x-b|Date)/.test(text) || (text.startsWith('X-A') && !nominated))
          .map((text) => text.replace(/: */, ': ').trim());
        const passed = head.headers
          .ordinaryLines()
          .split('\r\n')
          .slice(0, -1)
          .map((text) => text.replace(/: */, ': ').trim());
        assert.deepEqual(passed, expected);
      }),
    );
  });
});

describe('the head of a response', () => {
  it('is taken apart', () => {
    const text = 'HTTP/1.1 404 Not  Found\xe9\r\nContent-Length: 5\r\nSet-Cookie: a\r\nset-cookie: b\r\n\r\nhello';
    const { end, head } = response(text);
    assert.equal(text.slice(end), 'hello');
    assert.deepEqual(
      [head.status, head.statusText, head.contentLength, head.minorVersion],
      [404, 'Not  Found\xe9', 5, 1],
    );
    assert.deepEqual(head.headers.getAll('Set-Cookie'), ['a', 'b']);
  });

  it('may do without a reason, and without the space before it', () => {
    for (const line of ['HTTP/1.1 200 \r\n', 'HTTP/1.1 200\r\n', 'HTTP/1.0 200 OK\r\n']) {
      assert.equal(response(`${line}\r\n`).head.status, 200);
    }
  });

  it('is incomplete at every byte before its last', () => {
    for (const text of ['HTTP/1.1 200 OK\r\nX: y\r\n\r\n', 'HTTP/1.1 200\r\n\r\n']) {
      for (let length = 0; length < text.length; length++) {
        assert.equal(response(text.slice(0, length)).end, INCOMPLETE, text.slice(0, length));
      }
    }
  });

  it('keeps headers with underscores only where that is wanted', () => {
    const head = new ResponseHead();
    parseResponseHead(HeadSource.of('HTTP/1.1 200 OK\r\nX_A: 1\r\n\r\n'), { ...limits, keepUnderscores: true }, head);
    assert.equal(head.headers.get('x_a'), '1');
  });

  for (const line of [
    'HTTP/2 200 OK',
    'HTTP/1.2 200 OK',
    'HTTP/1.1  200 OK',
    'HTTP/1.1 20 OK',
    'HTTP/1.1 2000 OK',
    'HTTP/1.1 000 OK',
    'HTTP/1.1 +20 OK',
    'HTTP/1.1 2x0 OK',
    'HTTP/1.1\t200 OK',
    'http/1.1 200 OK',
    'ICY 200 OK',
    ' HTTP/1.1 200 OK',
    'HTTP/1.1 200 O\0K',
    'HTTP/1.1 200 OK\n',
    'HTTP/1.1 200 O\rK',
  ]) {
    it(`is refused: ${JSON.stringify(line)}`, () => assert.equal(response(`${line}\r\n\r\n`).end, MALFORMED));
  }

  for (const fields of [
    'Content-Length: 1\r\nContent-Length: 1',
    'Content-Length: 1\r\nTransfer-Encoding: chunked',
    'Content-Length: 1, 1',
    'X : y',
    'X: y\r\n z',
    'Connection: content-length',
  ]) {
    it(`is refused with ${JSON.stringify(fields)}`, () =>
      assert.equal(response(`HTTP/1.1 200 OK\r\n${fields}\r\n\r\n`).end, MALFORMED));
  }
});

describe('trailers', () => {
  it('are fields up to an empty line, by the same rules', () => {
    const parse = (text: string) => {
      const head = new ResponseHead();
      return { end: parseTrailers(HeadSource.of(text), limits, head), fields: [...head.headers] };
    };
    assert.deepEqual(parse('X: y\r\nz:\r\n\r\nGET'), {
      end: 12,
      fields: [
        ['X', 'y'],
        ['z', ''],
      ],
    });
    assert.deepEqual(parse('\r\nGET').end, 2);
    assert.equal(parse('X: y\r\n').end, INCOMPLETE);
    for (const text of ['X : y\r\n\r\n', '\n', 'X: y\n\r\n', ' X: y\r\n\r\n', 'X: y\r\n\r\r\n']) {
      assert.equal(parse(text).end, MALFORMED, text);
    }
    assert.equal(parse('X: y\r\n'.repeat(21)).end, HEAD_TOO_LARGE);
    assert.equal(parse(`X: ${'y'.repeat(4096)}`).end, HEAD_TOO_LARGE);
  });
});

describe('header fields', () => {
  it("that a policy sets are the gateway's own, whatever the client said of that name", () => {
    const { head } = request(withFields('Connection: x-a\r\nX-A: client\r\n'));
    assert.equal(head.headers.ordinaryLines(), '');
    head.headers.set('x-a', 'gateway');
    assert.equal(head.headers.ordinaryLines(), 'X-A: gateway\r\n');
  });

  it('that are changed are passed on as changed', () => {
    const { head } = request(withFields('A: 1\r\nB: 2\r\nC: 3\r\nb: 4\r\n'));
    head.headers.remove('B');
    head.headers.add('D', '5');
    head.headers.set('a', '6');
    assert.equal(head.headers.ordinaryLines(), 'A: 6\r\nC: 3\r\nD: 5\r\n');
    assert.equal(HeaderFields.from(head.headers).clone().get('d'), '5');
  });
});
