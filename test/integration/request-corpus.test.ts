/** Every case of `test/corpora/http1-requests.jsonl` at a real socket; its README says what the verdicts mean. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, describe, it } from 'node:test';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { type Transcript, RawClient } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';
import { fieldValue } from '../support/message-parser.ts';

interface RequestCase {
  readonly name: string;
  readonly expected: 'accept' | 'reject' | 'either' | 'incomplete';
  /** How many requests it is, where it is served. */
  readonly requests: number;
  /** How many complete requests may reach the upstream before what is wrong. */
  readonly good_before: number;
  readonly must_close?: boolean;
  /** A target that must never reach the upstream. */
  readonly never?: string;
  /** Base64. */
  readonly raw: string;
}

/** Where a strict gateway may refuse and this one serves, because it is harmless and some service lives on it. */
const served: Readonly<Record<string, string>> = {
  'cl-underscore-name': 'a header with an underscore is dropped, so nobody can take it for Content-Length',
  'chunk-trailer-xff': 'the field is dropped from the trailers (RFC 9110, section 6.5.1)',
  'line-method-unknown': 'methods are open-ended (RFC 9110, section 9.1); routes say which they accept',
  'llhttp-invalid-http-protocol-and-announce-method': 'likewise',
  'line-target-double-slash': 'empty segments are merged, and the merged path is what the upstream gets',
  'get-cl-body-is-request': 'a GET may have content (RFC 9110, section 9.3.1); its length is kept',
  'head-cl-body-is-request': 'likewise (RFC 9110, section 9.3.2)',
  'options-cl-body-is-request': 'likewise (RFC 9110, section 9.3.7)',
  'aws-ambiguous-get-with-a-body-and-content-length': 'likewise',
  'aws-ambiguous-get-with-a-body-and-transfer-encoding': 'likewise',
  'aws-ambiguous-head-with-a-body-and-transfer-encoding': 'likewise',
  'hyper-caret-query': 'browsers send a raw ^ in queries; it is passed on byte for byte and nothing is matched by it',
  'upgrade-websocket-lie': 'nothing is tunnelled unless the upstream answers 101',
  'upgrade-tls': 'Upgrade is dropped unless it names websocket',
  'upgrade-no-connection': 'Upgrade is dropped unless Connection names it',
  'upgrade-with-body': 'Upgrade is dropped from a request with content',
  'llhttp-connection-no-restart-when-keep-alive-is-off-1-0': 'the connection is closed behind the first request',
  'aws-ambiguous-transfer-encoding-with-multiple-hyphens': 'Transfer---Encoding is another header',
};

/** Where nothing that could still come would make it valid, so that it is refused at once. */
const refusedAtOnce: Readonly<Record<string, string>> = {
  'hdr-fold-te': 'RFC 9112, section 5.2: a server must refuse obs-fold, or replace it; here it would hide a coding',
  'lines-all-cr': 'RFC 9112, section 2.2: a bare CR is invalid wherever it is',
  'chunk-overflow-signed': 'RFC 9112, section 7.1: a size beyond any limit; waiting for so many octets is pointless',
};

const cases = readFileSync(new URL('../corpora/http1-requests.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as RequestCase);

/** The methods of everything that looks like a request line, so that the answers to HEAD are read as such. */
function methodsOf(raw: string): string[] {
  return Array.from(raw.matchAll(/(?:^|\r\n)([A-Z]+) \S+ HTTP\/1\.[01]\r\n/g), ([, method]) => method);
}

interface Result extends Transcript {
  readonly upstream: RawUpstream;
}

/** Sends the bytes and waits until the gateway has closed the connection. */
async function play(t: TestContext, { raw, expected }: RequestCase): Promise<Result> {
  // What is served ends by keep-alive time-out; what is refused must not need any time-out.
  const timeouts = expected === 'incomplete' ? { head: '200ms', bodyIdle: '200ms' } : {};
  const upstream = await RawUpstream.start(t, { onRequest: () => ok('hello') });
  const gateway = await TestGateway.start(
    t,
    proxyTo(upstream.url, { listener: { timeouts: { keepAlive: '200ms', ...timeouts } } }),
  );
  const client = await RawClient.connect(t, gateway.address());
  const bytes = Buffer.from(raw, 'base64');
  client.write(bytes);
  const transcript = await client.transcript(methodsOf(bytes.toString('latin1')));
  return { ...transcript, upstream };
}

function assertRefused({ responses, upstream }: Result, goodBefore: number): void {
  const last = responses.at(-1);
  assert.ok(last !== undefined, 'an answer');
  assert.ok(last.status >= 400 && last.status !== 408, `refused, not answered ${last.status}`);
  assert.equal(fieldValue(last.fields, 'connection'), 'close');
  assert.ok(responses.length <= goodBefore + 1, 'nothing is served behind what is refused');
  assert.ok(upstream.requests.length <= goodBefore, `the upstream got ${upstream.requests.length} complete requests`);
}

function assertServed({ responses, upstream }: Result, requests: number): void {
  assert.deepEqual(
    responses.map(({ status }) => status),
    Array.from({ length: requests }, () => 200),
  );
  assert.equal(upstream.requests.length, requests);
}

/** What holds whether it is refused or served. */
function assertSafe({ rest, upstream, wasReset }: Result, { never }: RequestCase): void {
  assert.equal(rest, '', 'nothing but whole responses');
  assert.equal(wasReset, false, 'the client can read the answer');
  assert.equal(upstream.malformed, null, 'the upstream gets nothing malformed');
  if (never !== undefined) {
    assert.ok(
      upstream.requests.every(({ target }) => target !== never),
      `${never} reached the upstream`,
    );
  }
}

describe('requests from outside', { concurrency: 16 }, () => {
  it('are all of those that are listed as exceptions', () => {
    const names = new Set(cases.map(({ name }) => name));
    for (const name of [...Object.keys(served), ...Object.keys(refusedAtOnce)]) assert.ok(names.has(name), name);
  });

  for (const entry of cases) {
    const { name, expected, requests, good_before: goodBefore } = entry;
    it(`${name}: ${expected}`, async (t) => {
      const result = await play(t, entry);
      assertSafe(result, entry);
      if (expected === 'reject') {
        assertRefused(result, goodBefore);
      } else if (expected === 'accept') {
        assertServed(result, requests);
      } else if (expected === 'either') {
        if (name in served) assertServed(result, requests);
        else assertRefused(result, goodBefore);
        if (entry.must_close === true) assert.equal(fieldValue(result.responses.at(-1)!.fields, 'connection'), 'close');
      } else {
        assert.ok(name in refusedAtOnce, 'a reason why it is refused at once');
        assertRefused(result, goodBefore);
      }
    });
  }
});
