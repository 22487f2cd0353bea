import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { AppLog, type AppLogFields, type AppLogOptions } from '../../src/telemetry/app-log.ts';
import { FakeClock } from '../support/fake-clock.ts';

interface Recorded {
  readonly log: AppLog;
  readonly clock: FakeClock;
  readonly raw: () => string;
  readonly lines: () => Record<string, unknown>[];
}

function record(options: Partial<AppLogOptions> = {}): Recorded {
  let raw = '';
  const clock = new FakeClock();
  const log = new AppLog({ level: 'debug', clock, write: (line) => (raw += line), ...options });
  const lines = (): Record<string, unknown>[] =>
    raw
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { log, clock, raw: () => raw, lines };
}

describe('the application log', () => {
  it('writes one JSON object a line: level, time, message and what it is about', () => {
    const { log, raw } = record({ thread: 2 });
    log.info('listening', { listener: 'web', port: 8080 });
    assert.equal(
      raw(),
      '{"level":"info","time":"2026-01-01T00:00:00.000Z","thread":2,"listener":"web","port":8080,"msg":"listening"}\n',
    );
  });

  it('leaves out what is below its level', () => {
    const { log, lines } = record({ level: 'warn' });
    log.debug('a');
    log.info('b');
    log.warn('c');
    log.error('d');
    assert.deepEqual(
      lines().map(({ level }) => level),
      ['warn', 'error'],
    );
    const silent = record({ level: 'silent' });
    silent.log.error('e');
    assert.equal(silent.raw(), '');
  });

  it('writes errors with code, stack and cause', () => {
    const { log, lines } = record();
    const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    log.error('a policy failed', { error: new TypeError('no', { cause }) });
    const error = lines()[0]['error'] as Record<string, unknown>;
    assert.equal(error['name'], 'TypeError');
    assert.match(String(error['stack']), /app-log\.test/);
    assert.equal((error['cause'] as Record<string, unknown>)['code'], 'ECONNREFUSED');
  });

  it('ends a line only where a line ends', () => {
    const { log, raw } = record();
    log.info('forged\n{"level":"error"}', { 'key\n': 'value\r\n' });
    assert.equal(raw().split('\n').length, 2);
  });

  it('writes anything at all, and not too much of it', () => {
    const { log, lines } = record();
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    const hostile = Object.defineProperty({}, 'boom', { enumerable: true, value: () => {} });
    log.info('odd', {
      circle,
      hostile,
      big: 10n,
      nothing: undefined,
      absent: null,
      symbol: Symbol('s'),
      bytes: Buffer.alloc(9),
      date: new Date(0),
      map: new Map([['a', 1]]),
      set: new Set([1]),
      long: 'x'.repeat(100_000),
      many: Array.from({ length: 10_000 }, (_, index) => index),
    });
    const [line] = lines();
    assert.equal(line['big'], '10');
    assert.equal(line['bytes'], '[9 bytes]');
    assert.equal(line['date'], '1970-01-01T00:00:00.000Z');
    assert.deepEqual(line['map'], { a: 1 });
    assert.deepEqual(line['set'], [1]);
    assert.ok(JSON.stringify(line).length < 10_000);
  });

  describe('keeps secrets', () => {
    const canary = 'CANARY/7+x';
    const positions: readonly (readonly [name: string, fields: AppLogFields])[] = [
      ['a field', { value: canary }],
      ['the name of a field', { [canary]: 1 }],
      ['a nested value', { a: { b: [{ c: `prefix ${canary} suffix` }] } }],
      ['an error', { error: new Error(`bad ${canary}`) }],
      ['the cause of an error', { error: new Error('bad', { cause: new Error(canary) }) }],
      ['the name of an error', { error: Object.assign(new Error('x'), { name: canary }) }],
      ['a URL', { url: new URL(`http://h/?q=${encodeURIComponent(canary)}`) }],
      ['percent-encoded text', { path: `/x?key=${encodeURIComponent(canary)}` }],
      ['a map', { map: new Map([['x', canary]]) }],
      ['something that writes itself', { self: { toJSON: () => ({ x: canary }) } }],
    ];
    for (const [position, fields] of positions) {
      it(`in ${position}`, () => {
        const { log, raw } = record({ secrets: [canary] });
        log.warn(`text with ${canary}`, fields);
        assert.ok(!/CANARY/.test(raw()), raw());
        assert.match(raw(), /\[secret\]/);
      });
    }

    it('that are known by the name of their field or by their form', () => {
      const { log, raw } = record();
      log.error('config', {
        password: 'CANARY',
        clientSecret: 'CANARY',
        'x-api-key': 'CANARY',
        headers: { Authorization: 'Bearer CANARY', cookie: 'CANARY', 'set-cookie': ['CANARY'] },
        token: { nested: 'CANARY' },
        store: 'redis://user:CANARY@127.0.0.1:6379/0',
        key: '-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----\n',
        cut: '-----BEGIN EC PRIVATE KEY-----\nCANARY',
      });
      assert.ok(!/CANARY/.test(raw()), raw());
      assert.match(raw(), /redis:\/\/\[secret\]@127\.0\.0\.1:6379\/0/);
    });

    it('in time that grows with the text, whatever is in it', () => {
      const { log, raw } = record();
      const begun = performance.now();
      for (const text of ['a.', '://', 'a://b', '-----BEGIN ']) {
        log.warn('odd', { text: `${text.repeat(40_000)} redis://user:CANARY@host` });
      }
      assert.ok(performance.now() - begun < 2_000);
      assert.doesNotMatch(raw(), /CANARY/);
    });

    it('that become known later, the longer of two first, and no scraps of everyday words', () => {
      const { log, lines } = record({ secrets: ['abc', ''] });
      log.hide(['CANARY', 'CANARY-LONGER']);
      log.info('x', { a: 'CANARY-LONGER', b: 'abc' });
      assert.deepEqual([lines()[0]['a'], lines()[0]['b']], ['[secret]', 'abc']);
    });
  });

  it('does not fill the disk with one message, and says how often it was left out', () => {
    const { log, lines, clock } = record();
    for (let i = 0; i < 1000; i++) log.error('a policy failed', { i });
    log.error('another');
    assert.equal(lines().length, 101);
    clock.advance(10_000);
    log.error('a policy failed');
    assert.equal(lines().at(-1)?.['suppressed'], 900);
    log.error('a policy failed');
    assert.equal(lines().at(-1)?.['suppressed'], undefined);
  });

  it('writes to standard error', () => {
    const module = new URL('../../src/telemetry/app-log.ts', import.meta.url).href;
    const script = `import { createAppLog } from ${JSON.stringify(module)}; createAppLog().info('hello');`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    assert.equal(stdout, '');
    assert.match(stderr, /^\{"level":"info","time":"[^"]+","msg":"hello"\}\n$/);
  });
});
