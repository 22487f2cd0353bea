/** `example.yaml` has every key that there is, those included that are not available yet. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { definePolicy } from '../../src/contract.ts';
import { z } from '../../src/util/schema.ts';
import { makeCertificate } from '../support/certificates.ts';
import { type TestOptions, loadText } from './load-text.ts';

const example = readFileSync(new URL('example.yaml', import.meta.url), 'utf8');

const { cert, key } = makeCertificate({ validFrom: new Date(0), validTo: new Date(Date.UTC(2040, 0)) });
const tenant = definePolicy({
  name: 'tenant',
  summary: 'For tests.',
  options: z.strictObject({ header: z.string() }),
  create: () => ({}),
});

const options: TestOptions = {
  env: { GATEWRIGHT_ADMIN_TOKEN: 'sesame', MOBILE_HMAC: 'open, and long enough' },
  files: {
    '/gw/site.pem': cert,
    '/gw/site.key': key,
    '/gw/clients-ca.pem': cert,
    '/gw/internal-ca.pem': cert,
    '/gw/gw.pem': cert,
    '/gw/gw.key': key,
  },
  importModule: async () => ({ default: tenant }),
};

suite('the example with everything', () => {
  test('is right but for what is not available yet, each told by name', async () => {
    const { problems } = await loadText(example, options);
    const errors = problems.filter(({ severity }) => severity === 'error');
    assert.deepEqual([...new Set(errors.map(({ code }) => code))], ['NOT_AVAILABLE']);
    assert.deepEqual(
      errors.map(({ message }) => message.replace(' is not available yet', '')),
      [
        'listeners.web.http2',
        'upstreams.catalog.targets[1].zone',
        'upstreams.catalog.balance',
        'upstreams.catalog.sticky',
        'upstreams.catalog.health',
        'upstreams.catalog.slowStart',
        'upstreams.catalog.queue',
        'upstreams.catalog.circuitBreaker',
        'routes.catalog.cache',
        'routes.catalog.mirror',
        'routes.catalog.retries',
        'routes.catalog.hedge',
        'telemetry.tracing',
      ],
    );
  });

  test('has placeholders, of which it is said that nobody can use them', async () => {
    const { problems } = await loadText(example, options);
    const warnings = problems.filter(({ severity }) => severity === 'warning');
    assert.deepEqual(
      warnings.map(({ code, path, message }) => [code, path.join('.'), /nobody can ever use/.test(message)]),
      [
        ['UNUSED', 'stores.shared', false],
        ['PLACEHOLDER', 'consumers.mobile-app.apiKeys.0.hash', true],
        ['PLACEHOLDER', 'consumers.mobile-app.basic.password', true],
      ],
    );
  });

  test('is served once that is left out', async () => {
    const { problems } = await loadText(example, options);
    const told = new Set(problems.filter(({ severity }) => severity === 'error').map(({ line }) => line));
    const available = example
      .split('\n')
      .filter((line, index) => !told.has(index + 1) && !/^stores:|^ {2}shared:/.test(line))
      .join('\n')
      // What was inside of what is gone.
      .replace(/^ {6}\{\n[\s\S]*?^ {6}\}\n/m, '')
      .replaceAll(/^ {6}(?:active|passive):.*\n/gm, '');
    const loaded = await loadText(available, options);
    assert.deepEqual(
      loaded.problems.map(({ code }) => code),
      ['PLACEHOLDER', 'PLACEHOLDER'],
    );
    const [consumer] = loaded.config?.consumers ?? [];
    assert.deepEqual([consumer.name, consumer.apiKeys, consumer.basic], ['mobile-app', [], null]);
    assert.deepEqual(consumer.jwt, [{ sub: 'mobile-sub' }]);
    assert.equal(loaded.config?.routes['catalog']?.timeouts.total, 5000);
    assert.equal(loaded.config?.upstreams['catalog']?.targets.length, 1);
  });

  test('refuses what is not available also in its other forms', async () => {
    const later: Record<string, string> = {
      'listeners: {w: {http2: cleartext}}': 'listeners.w.http2',
      'upstreams: {u: {targets: [h2c://h:1]}}': 'upstreams.u.targets[0]',
      'upstreams: {u: {targets: [{url: "h2://h:1"}]}}': 'upstreams.u.targets[0].url',
      'upstreams: {u: {targets: [dns: h:1]}}': 'upstreams.u.targets[0]',
      'upstreams: {u: {targets: [srv: _http._tcp.h]}}': 'upstreams.u.targets[0]',
      'upstreams: {u: {targets: ["http://h:1"], balance: {hash: ip}}}': 'upstreams.u.balance',
      'upstreams: {u: {targets: ["http://h:1"], balance: first}}': 'upstreams.u.balance',
      'cache: {memory: 256MiB}': 'cache',
      'routes: {r: {respond: {}, cache: true}}': 'routes.r.cache',
    };
    for (const [text, place] of Object.entries(later)) {
      const { config, problems } = await loadText(text, options);
      assert.equal(config, null, text);
      const errors = problems.filter(({ severity }) => severity === 'error');
      assert.deepEqual(
        errors.map(({ code, message }) => `${code} ${message}`),
        [`NOT_AVAILABLE ${place} is not available yet`],
        text,
      );
    }
  });

  test('accepts the forms that are available', async () => {
    for (const text of [
      'threads: 1',
      'threads: 64',
      'threads: auto',
      'listeners: {w: {http2: false}}',
      'upstreams: {u: {targets: ["http://h:1"], balance: weighted-round-robin}}',
    ]) {
      assert.ok((await loadText(text, options)).config !== null, text);
    }
  });
});
