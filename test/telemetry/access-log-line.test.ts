import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { type AccessLogEntry, jsonLines, textLines } from '../../src/telemetry/access-log-line.ts';
import { Redaction } from '../../src/telemetry/redaction.ts';
import { accessLogEntry } from '../support/access-log-entry.ts';

const redaction = new Redaction(['authorization', 'cookie', '?token']);
const json = jsonLines({ redaction, headers: [], thread: 3 });
const text = textLines({ redaction, headers: [], thread: 3 });

const strings = [
  'requestId',
  'traceId',
  'clientIp',
  'method',
  'host',
  'path',
  'query',
  'route',
  'consumer',
  'upstream',
  'target',
  'code',
  'reason',
  'cache',
  'protocol',
  'userAgent',
] as const;
const numbers = ['status', 'attempts', 'bytesIn', 'bytesOut'] as const;

const hostileText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc
    .array(
      fc.constantFrom(
        '"',
        '\\',
        '\n',
        '\r\n',
        '\0',
        '\x1b[2J',
        '\x7f',
        '\u0085',
        '\u2028',
        '\ud800',
        '\udc00',
        'é',
        '😀',
        '{',
        '","status":0',
        ' ',
      ),
      { maxLength: 6 },
    )
    .map((parts) => parts.join('')),
);
const hostileEntry = fc
  .record(
    Object.fromEntries(strings.map((name) => [name, hostileText])) as Record<
      (typeof strings)[number],
      typeof hostileText
    >,
  )
  .map((fields) => accessLogEntry(fields));

/** Whatever a line reader or a terminal could take for more than text. */
const isOnePlainLine = (line: string): boolean => /^[\x20-\x7e]*\n$/.test(line);

describe('the JSON access log', () => {
  it('has these keys in this order', () => {
    assert.equal(
      json(accessLogEntry()),
      '{"time":"2026-01-31T23:59:58.007Z","requestId":"01jk-7","traceId":null,"clientIp":"203.0.113.9","method":"GET",' +
        '"host":"api.example.com","path":"/catalog/7","query":"page=2","route":"catalog","consumer":"mobile-app",' +
        '"upstream":"catalog","target":"http://127.0.0.1:3001","status":200,"code":null,"reason":null,"cache":null,"attempts":1,' +
        '"bytesIn":0,"bytesOut":532,"durationMs":1.235,"upstreamMs":0.500,"protocol":"HTTP/1.1",' +
        '"userAgent":"curl/8.5.0","thread":3}\n',
    );
  });

  it('gives back what went in, whatever it was, on one line of plain ASCII: CVE-2024-45808', () => {
    fc.assert(
      fc.property(hostileEntry, (entry) => {
        const line = json(entry);
        assert.ok(isOnePlainLine(line), line);
        const parsed = JSON.parse(line) as Record<string, unknown>;
        for (const name of strings) {
          if (name === 'query') assert.equal(parsed['query'], redaction.query(entry.query) || null);
          else assert.equal(parsed[name], entry[name] === '' ? null : entry[name], name);
        }
        for (const name of numbers) assert.equal(parsed[name], entry[name]);
        assert.equal(Object.keys(parsed).length, 24);
      }),
      { numRuns: 500 },
    );
  });

  it('writes times and durations exactly to the millisecond and microsecond', () => {
    const time = fc.integer({ min: 0, max: Date.UTC(2100, 0) });
    fc.assert(
      fc.property(fc.array(fc.tuple(time, fc.double({ min: 0, max: 1e7, noNaN: true })), { minLength: 1 }), (cases) => {
        for (const [timeMs, durationMs] of cases) {
          const parsed = JSON.parse(json(accessLogEntry({ timeMs, durationMs }))) as {
            time: string;
            durationMs: number;
          };
          assert.equal(parsed.time, new Date(timeMs).toISOString());
          assert.ok(Math.abs(parsed.durationMs - durationMs) <= 0.000501);
        }
      }),
    );
    assert.match(json(accessLogEntry({ durationMs: 0.0004 })), /"durationMs":0\.000,/);
    assert.match(json(accessLogEntry({ durationMs: 59_999.9999 })), /"durationMs":60000\.000,/);
  });

  it('writes null for numbers that are none, so that a line is always valid', () => {
    const odd: Partial<AccessLogEntry> = {
      durationMs: Number.NaN,
      upstreamMs: -1,
      bytesOut: Number.POSITIVE_INFINITY,
      status: Number.NaN,
    };
    const parsed = JSON.parse(json(accessLogEntry(odd))) as Record<string, unknown>;
    assert.deepEqual(
      [parsed['durationMs'], parsed['upstreamMs'], parsed['bytesOut'], parsed['status']],
      [null, null, null, null],
    );
    assert.equal((JSON.parse(json(accessLogEntry({ durationMs: 1e300 }))) as { durationMs: null }).durationMs, null);
  });
});

describe('the text access log', () => {
  it("is the combined format with the gateway's own fields behind it", () => {
    const requestHeaders = new Map([['referer', 'https://a.example/?x=1&token=CANARY']]);
    assert.equal(
      text(accessLogEntry({ requestHeaders, query: 'page=2&token=CANARY' })),
      '203.0.113.9 - mobile-app [31/Jan/2026:23:59:58 +0000] "GET /catalog/7?page=2&token=*** HTTP/1.1" 200 532' +
        ' "https://a.example/?x=1&token=***" "curl/8.5.0" catalog http://127.0.0.1:3001 1.235 - "-" 01jk-7 3\n',
    );
    assert.equal(
      text(
        accessLogEntry({
          clientIp: '',
          consumer: '',
          query: '',
          userAgent: '',
          route: '',
          target: '',
          requestId: '',
          code: 'UPSTREAM_RESET',
          reason: 'the upstream closed the connection',
          status: 502,
        }),
      ),
      '- - - [31/Jan/2026:23:59:58 +0000] "GET /catalog/7 HTTP/1.1" 502 532 "-" "-" - - 1.235' +
        ' UPSTREAM_RESET "the upstream closed the connection" - 3\n',
    );
  });

  it('keeps every field in its place, whatever is in it', () => {
    // Words have no space, quoted fields no quote but at their ends.
    const line =
      /^\S+ - \S+ \[[^\]]+\] "(?:[^"\\]|\\.)*" \d+ \d+ "(?:[^"\\]|\\.)*" "(?:[^"\\]|\\.)*" \S+ \S+ \S+ \S+ "(?:[^"\\]|\\.)*" \S+ 3\n$/;
    fc.assert(
      fc.property(hostileEntry, hostileText, (entry, referer) => {
        const written = text({ ...entry, requestHeaders: new Map([['referer', referer]]) });
        assert.ok(isOnePlainLine(written), written);
        assert.match(written, line);
      }),
      { numRuns: 500 },
    );
  });
});

describe('redaction of lines', () => {
  const canaries = new Map([
    ['authorization', 'Bearer CANARY'],
    ['cookie', 'session=CANARY'],
    ['x-tenant', 'blue "1"'],
    ['referer', 'https://a.example/?%74oken=CANARY'],
  ]);
  const entry = accessLogEntry({ requestHeaders: canaries, query: 'token=CANARY&%74oken=CANARY' });
  const headers = ['x-tenant', 'authorization', 'cookie', 'referer', 'x-absent'];

  it('logs the headers that are asked for, but for those that are hidden', () => {
    const parsed = JSON.parse(jsonLines({ redaction, headers, thread: 0 })(entry)) as { headers: unknown };
    assert.deepEqual(parsed.headers, {
      'x-tenant': 'blue "1"',
      authorization: '***',
      cookie: '***',
      referer: 'https://a.example/?%74oken=***',
    });
    assert.match(
      textLines({ redaction, headers, thread: 0 })(entry),
      / 0 "blue \\x221\\x22" "\*\*\*" "\*\*\*" "https:\S+" "-"\n$/,
    );
  });

  it('lets no canary through, also not in fields that are headers as well', () => {
    const hiding = new Redaction([
      'authorization',
      'cookie',
      '?token',
      'User-Agent',
      'Host',
      'X-Request-Id',
      'traceparent',
      'Referer',
    ]);
    const all = { ...entry, userAgent: 'CANARY', host: 'CANARY', requestId: 'CANARY', traceId: 'CANARY' };
    for (const format of [jsonLines, textLines]) {
      const line = format({ redaction: hiding, headers, thread: 0 })(all);
      assert.ok(!line.includes('CANARY'), line);
    }
  });
});
