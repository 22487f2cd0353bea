import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { forwardAuth } from '../../../src/policies/forward-auth.ts';

const url = 'http://login.internal/check';

suite('the options of forwardAuth', () => {
  const refused: readonly (readonly [options: object, message: RegExp])[] = [
    [{ url: '/check' }, /http/],
    [{ method: 'DELETE' }, /./],
    [{ sendHeaders: ['host'] }, /host/],
    [{ sendHeaders: ['content-length'] }, /./],
    [{ sendHeaders: ['X-Forwarded-Uri'] }, /says this itself/],
    [{ sendHeaders: ['x-original-url'] }, /says this itself/],
    [{ sendHeaders: ['accept-encoding'] }, /mislead/],
    [{ sendHeaders: ['if-none-match'] }, /mislead/],
    [{ sendHeaders: ['a b'] }, /not a header name/],
    [{ copyHeaders: ['x-consumer'] }, /consumerHeader/],
    [{ copyHeaders: ['X-Forwarded-For'] }, /gateway itself/],
    [{ copyHeaders: ['transfer-encoding'] }, /./],
    [{ consumerHeader: 'a b' }, /not a header name/],
    [{ cookies: ['a b'] }, /cookie/],
    [{ optional: true }, /optional/],
    [{ tls: { ca: './ca.pem' } }, /without TLS/],
    [{ cookies: ['a'], forward: true }, /none is taken out/],
    [{ cookies: ['a'], sendHeaders: ['authorization'] }, /name `cookie` in `sendHeaders`/],
  ];
  for (const [options, message] of refused) {
    test(`refuse ${JSON.stringify(options)}`, () => {
      const result = forwardAuth.options.safeParse({ url, ...options });
      assert.equal(result.success, false);
      assert.match(result.error.message, message);
    });
  }
});
