import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type Certificate, makeCertificate } from '../../support/certificates.ts';
import { planOf } from './documents.ts';

suite('the plan of what upstreams are called with', () => {
  const upstream = (auth: string): string =>
    `upstreams: {u: {targets: ["http://127.0.0.1:1"]${auth === '' ? '' : `, auth: ${auth}`}}}\nroutes: {r: {upstream: u}}`;
  const plan = (before: string, after: string): Promise<string[]> => planOf(upstream(before), upstream(after));

  test('tells that there is none any more, or another one, and shows no secret', async () => {
    const grant = '{clientCredentials: {tokenUrl: "https://a/t", clientId: c, clientSecret: canary-1, scope: a}}';
    for (const [before, after, expected] of [
      ['{bearer: canary-1}', '', ['upstream-auth-changed | upstream u: credential removed: bearer']],
      ['', '{bearer: canary-1}', ['upstream-changed | upstream u: credential added: bearer']],
      [
        '{bearer: canary-1}',
        '{basic: {user: x, password: canary-2}}',
        ['upstream-auth-changed | upstream u: credential changed: bearer → basic'],
      ],
      [
        '{bearer: canary-1}',
        '{bearer: canary-2}',
        ['upstream-auth-changed | upstream u: credential changed: bearer changed (secret, not shown)'],
      ],
      [
        '{headers: {x-key: canary-1}}',
        '{headers: {x-key: canary-2}}',
        ['upstream-auth-changed | upstream u: credential changed: headers.x-key changed (secret, not shown)'],
      ],
      [
        grant,
        grant.replace('scope: a', 'scope: b').replace('canary-1', 'canary-2'),
        [
          'upstream-auth-changed | upstream u: credential changed: clientSecret changed (secret, not shown)',
          'upstream-auth-changed | upstream u: credential changed: scope + b, - a',
        ],
      ],
    ] as const) {
      assert.deepEqual(await plan(before, after), expected);
    }
  });

  test('tells nothing of a key that stands in the place of a file', async () => {
    const tls = ({ cert, key }: Certificate): string => {
      const pem = `{cert: ${JSON.stringify(cert)}, key: ${JSON.stringify(key)}}`;
      return `upstreams: {u: {targets: ["https://127.0.0.1:1"], tls: ${pem}}}\nroutes: {r: {upstream: u}}`;
    };
    const [one, other] = [makeCertificate(), makeCertificate()];
    assert.deepEqual(await planOf(tls(one), tls(other)), [
      'certificate-changed | upstream u: certificate changed: what is in tls.cert',
      'certificate-changed | upstream u: certificate changed: what is in tls.key',
    ]);
    const none = 'upstreams: {u: {targets: ["https://127.0.0.1:1"]}}\nroutes: {r: {upstream: u}}';
    for (const lines of [await planOf(none, tls(one)), await planOf(tls(one), none)]) {
      assert.equal(lines.length, 2);
      assert.doesNotMatch(lines.join('\n'), /BEGIN/);
    }
  });
});
