import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { type ErrorCode, type ErrorEntry, errors } from '../../src/errors.ts';
import { PROBLEM_MEDIA_TYPE, problemDetails, proxyStatus } from '../../src/http/problem.ts';

const table = Object.entries(errors) as [ErrorCode, ErrorEntry][];

/** The error types of RFC 9209, section 2.3, and the status that each recommends, or when it is left open, why. */
const vectors = JSON.parse(readFileSync(new URL('../corpora/rfc-field-vectors.json', import.meta.url), 'utf8'));
const recommendedStatus: Readonly<Record<string, number | string>> = vectors['Proxy-Status (RFC 9209)'].error_to_status;

suite('problem details (RFC 9457)', () => {
  test('have the media type of the RFC', () => assert.equal(PROBLEM_MEDIA_TYPE, 'application/problem+json'));

  for (const [code, entry] of table) {
    test(`of ${code} say what the error table says`, () => {
      assert.deepEqual(JSON.parse(problemDetails(code, 'id-1')), {
        type: `urn:gatewright:error:${code}`,
        title: entry.title,
        code,
        status: entry.status,
        requestId: 'id-1',
      });
      assert.ok(URL.canParse(`urn:gatewright:error:${code}`));
    });
  }

  test('have a detail where there is one', () => {
    assert.equal(JSON.parse(problemDetails('NO_ROUTE', '', 'Nothing lives here.')).detail, 'Nothing lives here.');
  });
  test('leave out a request id that there is none of', () => {
    assert.deepEqual(Object.keys(JSON.parse(problemDetails('NO_ROUTE', ''))), ['type', 'title', 'code', 'status']);
  });
  test('have the status of the response, which may differ from the table', () => {
    assert.equal(JSON.parse(problemDetails('IP_DENIED', '', undefined, 404)).status, 404);
  });

  test('stay one JSON object with the same members, whatever the request id and the detail are', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', minLength: 1 }),
      fc.constantFrom('"}', '\\', '\u0000', '\ud800', '","code":"X'),
    );
    fc.assert(
      fc.property(fc.constantFrom(...table), text, text, ([code, { status }], requestId, detail) => {
        const problem = JSON.parse(problemDetails(code, requestId, detail));
        assert.deepEqual(Object.keys(problem), ['type', 'title', 'code', 'status', 'detail', 'requestId']);
        assert.deepEqual(
          [problem.code, problem.status, problem.requestId, problem.detail],
          [code, status, requestId, detail],
        );
      }),
    );
  });
});

suite('Proxy-Status (RFC 9209)', () => {
  // One Item of a List (RFC 9651, section 3.1): a Token, and the parameter `error` that is a Token.
  const ITEM = /^gatewright; error=([a-z][a-z0-9_]*)$/;

  for (const [code, entry] of table) {
    if (entry.proxyStatus === undefined) {
      test(`says nothing of ${code}`, () => assert.equal(proxyStatus(code), undefined));
      continue;
    }
    test(`of ${code} is a structured field with an error type of the RFC`, () => {
      const type = ITEM.exec(proxyStatus(code) ?? '')?.[1];
      assert.ok(type !== undefined && Object.hasOwn(recommendedStatus, type), `${type}`);
      assert.equal(type, entry.proxyStatus);
    });
    test(`of ${code} comes with the status that the RFC recommends, if the fault is behind the gateway`, () => {
      const recommended = recommendedStatus[entry.proxyStatus ?? ''];
      if (entry.source === 'upstream') assert.equal(entry.status, recommended);
      else assert.ok(recommended !== undefined);
    });
  }
});
