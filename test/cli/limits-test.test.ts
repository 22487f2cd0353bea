/** `gatewright limits-test` as a user runs it, on a gateway and on what is none. */
import assert from 'node:assert/strict';
import { type TestContext, describe, it } from 'node:test';
import type { LimitMeasurement } from '../../src/testing/index.ts';
import { Command } from '../support/command.ts';
import { runHere } from '../support/run-here.ts';
import { freePort } from '../support/free-port.ts';
import { limitingServer } from '../support/limiting-server.ts';

const quick = ['--load', '50x', '--clients', '2', '--connections', '8', '--duration', '400ms'];

/** A gateway with one limit. */
async function limited(t: TestContext): Promise<string> {
  const policies = [{ rateLimit: { rate: '20/1s', by: 'header:x-key', name: 'mine' } }];
  const routes = { all: { policies, respond: { body: 'hello' } } };
  return (await Command.serve(t, { threads: 2, telemetry: { accessLog: false }, routes })).url();
}

describe('gatewright limits-test', () => {
  it('finds that our own limits are kept, and ends with 0', async (t) => {
    const url = await limited(t);
    const args = ['limits-test', url, '--rate', '20/1s', ...quick, '--same-clock'];
    const { exitCode, stdout, stderr } = await Command.run(t, [...args, '--waits', '1', '-H', 'x-key: one']);
    assert.deepEqual([exitCode, stderr], [0, ''], stdout);
    assert.match(stdout, /^http:\S+: 20\/1s, burst 19 \(gcra\)\n2 clients, 8 connections, \d/);
    assert.match(stdout, /^within any +allowed +admitted for certain +possibly\n100ms +21 +\d+ +\d+\n/m);
    assert.match(stdout, /^1s +39 +[23]\d +\d+$/m);
    assert.match(stdout, /RateLimit-Policy on (\d+): "mine";q=20;w=1$/m);
    assert.match(stdout, /^waiting +got in 1 of 1 times after waiting as told, for up to 1 s; of \d+ that were/m);
    assert.match(stdout, /^verdict +HOLDS: never more than 39 within 1s, /m);

    const keyed = await runHere([...args, '--waits', '0', '--by-header', 'x-key', '--keys', '20', '--json']);
    const measured = JSON.parse(keyed.stdout) as LimitMeasurement;
    assert.deepEqual([keyed.exitCode, measured.verdict, measured.keys], [0, 'holds', 20], keyed.stdout);
    assert.ok(measured.admitted > 300);
  });

  it('ends with 1 when a limit is not kept, and says why', async (t) => {
    const { url } = await limitingServer(t, { limit: 20, windowMs: 1000, capacity: 60 });
    const args = ['limits-test', url, '--rate', '20/1s', '--burst', '19', '--waits', '0', ...quick];
    const { exitCode, stdout } = await Command.run(t, args);
    assert.equal(exitCode, 1, stdout);
    assert.match(stdout, /^broken +within 1s at least \d+ were admitted, and 39 may be$/m);
    assert.match(stdout, /^verdict +BROKEN/m);
    const table = await runHere([...args, '-H', 'x-key: another', '--format', 'markdown']);
    assert.match(
      table.stdout,
      /^\| {2}\| limit \|[^\n]+\n\| --- \|[^\n]+\n\| http:\S+ \| 20\/1s, burst 19 \(gcra\) \| 1 \|/,
    );
    assert.match(table.stdout, /\| broken \|\n$/);
  });

  it('ends with 1 when it cannot tell', async (t) => {
    const { url } = await limitingServer(t, { limit: 20, windowMs: 1000, capacity: 20 });
    const low = ['limits-test', url, '--rate', '20/1s', ...quick, '--load', '0.5x', '--waits', '0'];
    const doubtful = await runHere(low);
    assert.equal(doubtful.exitCode, 1, doubtful.stdout);
    assert.match(doubtful.stdout, /^doubt +only 0\.\d times the limit could be sent\nverdict +IN DOUBT/m);
  });

  it('ends with 3 and one line when nothing is there', async () => {
    const port = await freePort();
    const args = ['limits-test', `http://127.0.0.1:${port}/`, '--rate', '20/1s'];
    const { exitCode, stdout, stderr } = await runHere(args);
    assert.deepEqual([exitCode, stdout], [3, '']);
    assert.equal(stderr, `127.0.0.1:${port}: ECONNREFUSED: start the gateway first\n`);
  });

  for (const [mistake, args, expected] of [
    ['no rate', ['http://127.0.0.1:1/'], /required option '--rate <rate>'/],
    ['no URL', ['--rate', '1/1s'], /missing required argument 'urls'/],
    ['what is no rate', ['http://127.0.0.1:1/', '--rate', '1'], /^"1" is not a rate such as 100\/1s\n$/],
    [
      'what is no number',
      ['http://127.0.0.1:1/', '--rate', '1/1s', '--load', 'x'],
      /^--load wants a number, not ""\n$/,
    ],
    ['half of the keys', ['http://127.0.0.1:1/', '--rate', '1/1s', '--keys', '5'], /--by-header and --keys together/],
    [
      'half of a header',
      ['http://127.0.0.1:1/', '--rate', '1/1s', '-H', 's3cret'],
      /^write a header as 'name: value'\n$/,
    ],
    ['a header twice', ['http://127.0.0.1:1/', '--rate', '1/1s', '-H', 'a: 1', '-H', 'A: 2'], /"a" is there twice/],
  ] as const) {
    it(`answers ${mistake} with 2`, async () => {
      const { exitCode, stdout, stderr } = await runHere(['limits-test', ...args]);
      assert.deepEqual([exitCode, stdout], [2, '']);
      assert.match(stderr, expected);
    });
  }
});
