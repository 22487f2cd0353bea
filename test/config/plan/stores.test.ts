import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { diffConfigs } from '../../../src/config/plan/diff-configs.ts';
import { makeCertificate } from '../../support/certificates.ts';
import { loadText } from '../load-text.ts';
import { linesOf } from './documents.ts';

const env = { PW: 'canary-one', OTHER: 'canary-two' };
const limited = 'routes: {r: {policies: [{rateLimit: {rate: 1/1s, by: ip, store: s}}], respond: {}}}';

async function storePlan(before: string, after: string, more: Record<string, string> = {}): Promise<string[]> {
  const load = async (store: string) => {
    const { config, problems } = await loadText(`stores: {s: {type: redis, ${store}}}\n${limited}`, {
      env: { ...env, ...more },
    });
    assert.ok(config !== null, problems.map(({ message }) => message).join('\n'));
    return config;
  };
  return linesOf(diffConfigs(await load(before), await load(after)));
}

suite('the plan of stores', () => {
  test('tells where they are, and what it means when they are elsewhere', async () => {
    assert.deepEqual(await storePlan('url: "redis://a"', 'url: "redis://b", timeout: 1s'), [
      'setting-changed | store s: changed: timeout 50ms → 1s',
      'setting-changed | store s: changed: url redis://a → redis://b, what is counted and kept begins anew',
    ]);
  });

  test('tells when they are less well protected', async () => {
    assert.deepEqual(await storePlan('url: "rediss://a"', 'url: "redis://a"'), [
      'tls-weakened | store s: TLS weakened: url rediss://a → redis://a, not encrypted',
    ]);
    assert.deepEqual(await storePlan('url: "rediss://a"', 'url: "rediss://a", tls: {insecure: true}'), [
      'tls-weakened | store s: TLS weakened: insecure false → true',
    ]);
    const ca = makeCertificate({ isAuthority: true }).cert;
    assert.deepEqual(await storePlan('url: "rediss://a", tls: {ca: "${env:CA}"}', 'url: "rediss://a"', { CA: ca }), [
      'tls-weakened | store s: TLS weakened: tls.ca PEM text removed',
    ]);
    assert.deepEqual(await storePlan('url: "rediss://a"', 'url: "rediss://a", tls: {serverName: b}'), [
      'setting-changed | store s: changed: tls.serverName now b',
    ]);
  });

  test('tells of secrets that they are others, and nothing else', async () => {
    const [one, other] = [makeCertificate(), makeCertificate()];
    const more = { CERT: one.cert, KEY: one.key, CERT2: other.cert, KEY2: other.key };
    const sentinels = 'url: "rediss://m", sentinels: ["a:1"]';
    const lines = await storePlan(
      `${sentinels}, password: "\${env:PW}", sentinelPassword: "\${env:PW}", tls: {cert: "\${env:CERT}", key: "\${env:KEY}"}`,
      `${sentinels}, password: "\${env:OTHER}", sentinelPassword: "\${env:OTHER}", tls: {cert: "\${env:CERT2}", key: "\${env:KEY2}"}`,
      more,
    );
    assert.deepEqual(lines, [
      'certificate-changed | store s: certificate changed: what is in tls.cert',
      'certificate-changed | store s: certificate changed: what is in tls.key',
      'setting-changed | store s: changed: password changed (secret, not shown)',
      'setting-changed | store s: changed: sentinelPassword changed (secret, not shown)',
    ]);
  });

  test('knows those that come and go', async () => {
    const load = async (text: string) => {
      const { config } = await loadText(text, { env });
      assert.ok(config !== null);
      return config;
    };
    const with_ = await load(`stores: {s: {type: redis, url: "redis://a", password: "\${env:PW}"}}\n${limited}`);
    const without = await load(limited.replace(', store: s', ''));
    const limit = (verb: string) => new RegExp(`^limit-${verb} `);
    const added = linesOf(diffConfigs(without, with_));
    assert.equal(added.at(-1), 'setting-changed | store s: added: redis://a');
    assert.match(added[0], limit('lowered'));
    const removed = linesOf(diffConfigs(with_, without));
    assert.equal(removed.at(-1), 'setting-changed | store s: removed: redis://a');
    assert.match(removed[0], limit('raised'));
  });
});
