/** Certificates of a store, and of the gateway for it, that are renewed while both run. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { suite, test } from 'node:test';
import type { LimitRule } from '../../src/contract.ts';
import { systemClock } from '../../src/util/clock.ts';
import { UpstreamTls } from '../../src/wire/tls/upstream-tls.ts';
import { eventually } from '../support/changes.ts';
import { unlessInstalled } from '../support/needed-programs.ts';
import { RedisThread } from '../support/redis-limits.ts';
import { makeAuthority, startTlsRedis, writeCertificates } from '../support/redis-tls.ts';

const rule: LimitRule = { algorithm: 'fixed-window', limit: 1_000, windowMs: 86_400_000 };

suite('the certificates of a store', { skip: unlessInstalled('redis-server') }, () => {
  test('may be renewed, authority and all, without the gateway being started again', { timeout: 60_000 }, async (t) => {
    const redis = await startTlsRedis(t);
    let onChange = (): void => {};
    const verified = new UpstreamTls(
      { ca: redis.ca },
      {
        baseDir: '/',
        clock: systemClock,
        report: ({ message }) => assert.fail(message),
        watch: (files, listener) => {
          assert.deepEqual(files, [redis.ca]);
          onChange = listener;
          return () => {};
        },
      },
    );
    const more = { tls: { verified, serverName: undefined } };
    const thread = await RedisThread.open(t, { url: `rediss://localhost:${redis.port}` }, { more });
    const limiter = thread.limits('local').limiter('a', rule);
    const isDecidedThere = async (): Promise<boolean> => (await limiter.charge('key', 1)).source === 'store';
    assert.ok(await isDecidedThere());

    await writeCertificates({ ...redis, authority: makeAuthority('a later one') }, ['DNS:localhost']);
    await redis.server.kill();
    await redis.server.restart();
    await eventually(() => thread.problems.some((problem) => /ECONN|closed/i.test(problem)), 'the outage to be told');
    // Of the new authority it knows nothing yet.
    assert.equal(await isDecidedThere(), false);
    onChange();
    await eventually(isDecidedThere, 'the new certificate to be trusted', 20_000);
  });

  test('of which a file cannot be used stay what they were', async (t) => {
    const redis = await startTlsRedis(t);
    const reported: string[] = [];
    let onChange = (): void => {};
    const verified = new UpstreamTls(
      { ca: redis.ca },
      {
        baseDir: '/',
        clock: systemClock,
        report: ({ message }) => reported.push(message),
        watch: (_, listener) => {
          onChange = listener;
          return () => {};
        },
      },
    );
    const more = { tls: { verified, serverName: undefined } };
    const thread = await RedisThread.open(t, { url: `rediss://localhost:${redis.port}` }, { more });
    const limiter = thread.limits('local').limiter('a', rule);
    await writeFile(redis.ca, 'nothing');
    onChange();
    assert.match(reported.join(), /ca\.pem .*what was read before stays in use/);
    // The server has the authority that was read before, too.
    await writeFile(redis.ca, redis.authority.cert);
    await redis.server.kill();
    await redis.server.restart();
    await eventually(async () => (await limiter.charge('key', 1)).source === 'store', 'the store to be asked again');
  });
});
