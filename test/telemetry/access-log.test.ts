import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, describe, it } from 'node:test';
import { AccessLog, type AccessLogConfig } from '../../src/telemetry/access-log.ts';
import { accessLogEntry } from '../support/access-log-entry.ts';
import { FakeClock } from '../support/fake-clock.ts';

function open(
  t: TestContext,
  config: Partial<AccessLogConfig> = {},
  random?: () => number,
): { log: AccessLog; path: string } {
  const folder = mkdtempSync(join(tmpdir(), 'gatewright-access-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'access.log');
  const log = new AccessLog(
    { file: path, format: 'json', sample: 1, redact: ['?token'], ...config },
    { clock: new FakeClock(), thread: 1, onProblem: (message) => assert.fail(message), ...(random && { random }) },
  );
  return { log, path };
}

describe('the access log', () => {
  it('writes a line for each entry, in the format that is configured', async (t) => {
    const json = open(t);
    json.log.write(accessLogEntry({ path: '/a' }));
    json.log.write(accessLogEntry({ path: '/b' }));
    await json.log.close();
    const paths = readFileSync(json.path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { path: string }).path);
    assert.deepEqual(paths, ['/a', '/b']);

    const text = open(t, { format: 'text', headers: ['X-Tenant'] });
    text.log.write(accessLogEntry({ requestHeaders: new Map([['x-tenant', 'blue']]) }));
    await text.log.close();
    assert.match(readFileSync(text.path, 'utf8'), /^203\.0\.113\.9 - .* "blue"\n$/);
  });

  it('wants the sampled share of exchanges, and every one that failed', async (t) => {
    let next = 0;
    const { log } = open(t, { sample: 0.25 }, () => next);
    next = 0.2499;
    assert.equal(log.wants(200, ''), true);
    next = 0.25;
    assert.equal(log.wants(200, ''), false);
    assert.equal(log.wants(404, ''), false, 'the upstream may answer 404 all day');
    assert.equal(log.wants(404, 'NO_ROUTE'), true);
    assert.equal(log.wants(499, 'CLIENT_CLOSED'), true);
    assert.equal(log.wants(500, ''), true);
    assert.equal(log.wants(503, ''), true);
    await log.close();
    const { log: all } = open(t, { sample: 1 }, () => assert.fail('nothing is left to chance'));
    assert.equal(all.wants(200, ''), true);
    await all.close();
    const { log: none } = open(t, { sample: 0 }, () => 0);
    assert.equal(none.wants(200, ''), false);
    await none.close();
  });

  it('goes on in a new file after it was renamed', async (t) => {
    const { log, path } = open(t);
    log.write(accessLogEntry({ path: '/old' }));
    log.flush();
    renameSync(path, `${path}.1`);
    log.reopen();
    await log.close();
    assert.match(readFileSync(`${path}.1`, 'utf8'), /"path":"\/old"/);
    assert.equal(log.droppedLines, 0);
  });
});
