import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { securityHeaders } from '../../src/policies/security-headers.ts';
import { FakeExchange, createPolicy, runThrough } from '../support/fake-exchange.ts';
import type { FakeHeaders } from '../support/fake-headers.ts';

async function headersFor(options: unknown, scheme: 'http' | 'https' = 'https', headers: FakeHeaders = {}) {
  const exchange = new FakeExchange({ scheme });
  const result = await runThrough([createPolicy(securityHeaders, options)], exchange, { headers });
  return Object.fromEntries(result.headers);
}

const everythingOff = {
  hsts: false,
  contentTypeOptions: false,
  framing: false,
  referrerPolicy: false,
  permissionsPolicy: false,
  crossOriginOpenerPolicy: false,
};

suite('securityHeaders', () => {
  test('sets sensible headers by default', async () => {
    assert.deepEqual(await headersFor({}), {
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'content-security-policy': "frame-ancestors 'none'",
      'referrer-policy': 'strict-origin-when-cross-origin',
      'permissions-policy': 'camera=(), geolocation=(), microphone=()',
      'cross-origin-opener-policy': 'same-origin',
      'strict-transport-security': 'max-age=31536000',
    });
  });

  test('never sends Strict-Transport-Security over http (RFC 6797, section 7.2)', async () => {
    const options = { override: true, hsts: { maxAge: '730d', includeSubDomains: true, preload: true } };
    assert.equal((await headersFor(options, 'http'))['strict-transport-security'], undefined);
    assert.equal(
      (await headersFor(options, 'https'))['strict-transport-security'],
      'max-age=63072000; includeSubDomains; preload',
    );
  });

  test('can withdraw Strict-Transport-Security', async () => {
    assert.equal((await headersFor({ hsts: { maxAge: '0s' } }))['strict-transport-security'], 'max-age=0');
  });

  test('has a switch for every header', async () => {
    assert.deepEqual(await headersFor(everythingOff), {});
  });

  test('sets what it is told', async () => {
    const options = {
      hsts: false,
      contentTypeOptions: false,
      framing: 'self',
      referrerPolicy: 'no-referrer',
      permissionsPolicy: 'usb=()',
      crossOriginOpenerPolicy: 'same-origin-allow-popups',
      crossOriginResourcePolicy: 'same-site',
    };
    assert.deepEqual(await headersFor(options), {
      'x-frame-options': 'SAMEORIGIN',
      'content-security-policy': "frame-ancestors 'self'",
      'referrer-policy': 'no-referrer',
      'permissions-policy': 'usb=()',
      'cross-origin-opener-policy': 'same-origin-allow-popups',
      'cross-origin-resource-policy': 'same-site',
    });
  });

  test('sends a Content-Security-Policy of your own instead of the one about frames', async () => {
    const got = await headersFor({ ...everythingOff, contentSecurityPolicy: "default-src 'self'" });
    assert.deepEqual(got, { 'content-security-policy': "default-src 'self'" });
  });

  test('leaves alone what the upstream says, unless asked to override it', async () => {
    const upstream = { 'X-Frame-Options': 'SAMEORIGIN', 'Content-Security-Policy': "default-src 'none'" };
    const got = await headersFor({ hsts: false }, 'https', upstream);
    assert.equal(got['X-Frame-Options'], 'SAMEORIGIN');
    assert.equal(got['x-frame-options'], undefined);
    assert.equal(got['Content-Security-Policy'], "default-src 'none'");
    assert.equal(got['content-security-policy'], undefined);

    const overridden = await headersFor({ override: true }, 'https', upstream);
    assert.equal(overridden['X-Frame-Options'], 'DENY');
    assert.equal(overridden['Content-Security-Policy'], "frame-ancestors 'none'");
  });

  test('overrides repeated headers of the upstream by one', async () => {
    const exchange = new FakeExchange();
    const policy = createPolicy(securityHeaders, { override: true });
    const { headers } = await runThrough([policy], exchange, { headers: { 'X-Frame-Options': ['ALLOWALL', 'DENY'] } });
    assert.deepEqual(headers.getAll('x-frame-options'), ['DENY']);
  });

  test('does not switch off what it does not know to be switched on', async () => {
    assert.deepEqual(await headersFor({ ...everythingOff, override: true }, 'https', { 'X-Frame-Options': 'DENY' }), {
      'X-Frame-Options': 'DENY',
    });
  });

  const mistakes: readonly unknown[] = [
    { hsts: true },
    { hsts: { maxAge: 31_536_000 } },
    { hsts: { preload: true } },
    { hsts: { maxage: '1d' } },
    { framing: 'deny' },
    { framing: true },
    { referrerPolicy: 'none' },
    { permissionsPolicy: '' },
    { contentSecurityPolicy: "default-src 'self'\r\nset-cookie: a=b" },
    { crossOriginResourcePolicy: 'same-host' },
  ];
  for (const options of mistakes) {
    test(`refuses ${JSON.stringify(options)}`, () => {
      assert.equal(securityHeaders.options.safeParse(options).success, false);
    });
  }
});
