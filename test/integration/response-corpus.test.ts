/** Every case of `test/corpora/http1-responses.json` at a real socket; the README there says what the verdicts mean. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, describe, it } from 'node:test';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { fieldValues } from '../support/message-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';

interface ResponseCase {
  readonly name: string;
  /** A status, `200-or-502`, or `truncated`: the client can see that the body is not whole. */
  readonly expect: string;
  readonly close_after: boolean;
  /** Base64. */
  readonly raw: string;
}

/** What the strict parser makes of the cases where there is a choice. */
const chosen: Readonly<Record<string, number>> = {
  // RFC 9112, section 2.2: a recipient MAY take a bare LF for a line end; two that disagree are response splitting.
  'bad-lf-only': 502,
  // RFC 9112, section 5.2: a gateway must answer 502, or replace obs-fold.
  'bad-fold': 502,
};

const { cases } = JSON.parse(readFileSync(new URL('../corpora/http1-responses.json', import.meta.url), 'utf8')) as {
  readonly cases: readonly ResponseCase[];
};

/** A client that has asked for `/case`, which the upstream answers with the bytes of the case, and whatever else with 200. */
async function ask(t: TestContext, { raw, close_after: closes }: ResponseCase, version = 'HTTP/1.1') {
  const bytes = Buffer.from(raw, 'base64');
  const upstream = await RawUpstream.start(t, {
    onRequest({ target }, connection) {
      if (target !== '/case') return ok('after');
      connection.write(bytes);
      if (closes) connection.end();
      return undefined;
    },
  });
  const gateway = await TestGateway.start(t, proxyTo(upstream.url));
  const client = await RawClient.connect(t, gateway.address());
  client.write(`GET /case ${version}\r\nhost: localhost\r\n\r\n`);
  return { client, upstream, gateway };
}

describe('responses from outside', { concurrency: 8 }, () => {
  for (const entry of cases.filter(({ expect }) => expect !== 'truncated')) {
    it(`${entry.name}: ${entry.expect}`, async (t) => {
      const { client, upstream } = await ask(t, entry);
      const response = await client.response();
      assert.equal(response.status, chosen[entry.name] ?? Number(entry.expect));
      if (entry.name.startsWith('ok-') && response.status === 200) assert.equal(response.body, 'hello');
      if (entry.name === 'ok-dup-set-cookie') {
        assert.deepEqual(fieldValues(response.fields, 'set-cookie'), ['a=1', 'b=2']);
      }

      // Whatever the upstream sent, the next response on this connection belongs to the next request.
      client.write('GET /next HTTP/1.1\r\nhost: localhost\r\n\r\n');
      assert.equal((await client.response()).body, 'after');
      assert.deepEqual(
        upstream.requests.map(({ target }) => target),
        ['/case', '/next'],
      );
      assert.equal(upstream.connections.length, 2, 'the connection was not used again');
    });
  }

  for (const entry of cases.filter(({ expect }) => expect === 'truncated')) {
    it(`${entry.name}: an HTTP/1.1 client misses the last chunk`, async (t) => {
      const { client, gateway } = await ask(t, entry);
      const { responses, rest } = await client.transcript();
      assert.equal(responses.length, 0);
      assert.match(rest, /^HTTP\/1\.1 200 OK\r\n/);
      assert.doesNotMatch(rest, /\r\n0\r\n/);
      assert.equal((await gateway.observation()).code, 'UPSTREAM_RESET');
    });

    it(`${entry.name}: an HTTP/1.0 client, for whom a close ends the body, sees a reset`, async (t) => {
      const { client } = await ask(t, entry, 'HTTP/1.0');
      await client.untilEnded();
      assert.equal(client.wasReset, true);
    });
  }
});
