/** The access log of a gateway, in both formats, with the headers that were asked for. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, describe, it } from 'node:test';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';

/** The lines of a good request and of one that the upstream breaks off. */
async function linesOf(t: TestContext, format: 'json' | 'text'): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'gatewright-access-log-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'access.log');
  const upstream = await RawUpstream.start(t, {
    onRequest: ({ startLine }, connection) =>
      startLine.includes('/broken') ? connection.reset() : 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
  });
  const gateway = await TestGateway.open({
    ...proxyTo(upstream.url),
    telemetry: { accessLog: { file, format, headers: ['X-Tenant', 'authorization'] } },
  });
  const client = await RawClient.connect(t, gateway.address());
  for (const path of ['/good?token=CANARY', '/broken']) {
    const fields = 'host: localhost\r\nx-tenant: acme\r\nauthorization: CANARY\r\n';
    await client.write(`POST ${path} HTTP/1.1\r\n${fields}content-length: 0\r\n\r\n`).response();
  }
  await gateway.gateway.stop(0);
  return (await readFile(file, 'utf8')).trimEnd().split('\n');
}

describe('the access log', () => {
  it('is one object a line, with the headers that were asked for', async (t) => {
    const lines = (await linesOf(t, 'json')).map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(
      lines.map(({ path, query, status, code, reason }) => ({ path, query, status, code, reason })),
      [
        { path: '/good', query: 'token=***', status: 200, code: null, reason: null },
        { path: '/broken', query: null, status: 502, code: 'UPSTREAM_RESET', reason: 'ECONNRESET' },
      ],
    );
    for (const { headers } of lines) assert.deepEqual(headers, { 'x-tenant': 'acme', authorization: '***' });
  });

  it('is the combined format with more behind it, when text is asked for', async (t) => {
    const [good, broken] = await linesOf(t, 'text');
    assert.match(
      good,
      /^127\.0\.0\.1 - - \[[^\]]+\] "POST \/good\?token=\*\*\* HTTP\/1\.1" 200 2 "-" "-" all http:\S+ \d+\.\d{3} - "-" - 0 "acme" "\*\*\*"$/,
    );
    assert.match(broken, /HTTP\/1\.1" 502 \d+ .* UPSTREAM_RESET "ECONNRESET" - 0 "acme" "\*\*\*"$/);
  });
});
