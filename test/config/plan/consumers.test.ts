import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { diffConfigs } from '../../../src/config/plan/diff-configs.ts';
import { markHidden } from '../../../src/config/plan/unknown-value.ts';
import type { GatewayConfig } from '../../../src/config/schema.ts';
import { configOf, planOf } from './documents.ts';

suite('the plan of consumers', () => {
  const key = (digit: string, more = ''): string => `{hash: "sha256:${digit.repeat(64)}"${more}}`;
  const consumers = (written: string): string => `routes: {r: {respond: {}}}\nconsumers:\n${written}`;

  test('tells who comes and goes, and what each can show', async () => {
    assert.deepEqual(
      await planOf(
        consumers(`  a: {groups: [gold, eu], apiKeys: [${key('1', ', label: old')}, ${key('2', ', expires: 2031-01-31')}]}
  b: {certificates: [{san: "DNS:b"}], jwt: {subject: b}}
  c: {apiKeys: [${key('3')}]}
  e: {basic: {password: "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="}}
`),
        consumers(`  a: {groups: [eu, silver], apiKeys: [${key('2', ', expires: 2031-06-30')}, ${key('4', ', label: new')}]}
  b: {certificates: [{san: "DNS:b2"}], jwt: {subject: b}}
  d: {groups: [gold], apiKeys: [${key('5')}]}
  e: {basic: {password: "{SHA}AAAA5Mm5Pz8GgiULbPgzG37mj9g="}}
`),
      ),
      [
        'consumer-added | consumer d: added: groups [gold], 1 credential',
        'consumer-groups-changed | consumer a: groups changed: + silver, - gold',
        'credential-added | consumer a: credential added: API key new (444444444444)',
        'credential-added | consumer b: credential added: certificate {san: DNS:b2}',
        'credential-extended | consumer a: credential extended: API key 222222222222 expires 2031-01-31 → 2031-06-30',
        'credential-changed | consumer e: credential changed: password of e',
        'consumer-removed | consumer c: removed: 1 credential',
        'credential-removed | consumer a: credential removed: API key old (111111111111)',
        'credential-removed | consumer b: credential removed: certificate {san: DNS:b}',
      ],
    );
  });

  test('tells a key that ends earlier, and one that does not end any more', async () => {
    const until = (day: string): string => consumers(`  a: {apiKeys: [${key('1', day)}]}\n`);
    const [ends, never] = [until(', expires: 2031-01-31'), until('')];
    assert.match((await planOf(ends, never))[0], /^credential-extended .* 2031-01-31 → never$/);
    assert.match((await planOf(never, ends))[0], /^credential-shortened .* never → 2031-01-31$/);
  });

  test('compares with what a gateway shows of them', async () => {
    const text = consumers(`  a: {apiKeys: [${key('1')}], basic: {password: "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="}}\n`);
    const config = await configOf(text);
    const [consumer] = config.consumers;
    const shown = {
      ...config,
      consumers: [
        {
          ...consumer,
          apiKeys: [{ ...consumer.apiKeys[0], digest: `${'1'.repeat(12)}…` }],
          basic: { ...consumer.basic, password: '[secret]' },
        },
      ],
    };
    assert.deepEqual(diffConfigs(markHidden(shown as GatewayConfig).document, config), []);
  });
});
