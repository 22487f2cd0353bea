import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { type LoadResult, loadConfig } from '../../src/config/load.ts';
import { builtinPolicies } from '../../src/policies/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'gatewright-config-'));
after(() => rmSync(folder, { recursive: true }));

const contract = new URL('../../src/contract.ts', import.meta.url).href;
const schema = new URL('../../src/util/schema.ts', import.meta.url).href;
const define = new URL('../../src/config/define-gateway.ts', import.meta.url).href;

let files = 0;

/** Loads a configuration from a file of its own, so that no module is remembered from another test. */
async function loadFile(text: string): Promise<LoadResult> {
  const file = join(folder, `gateway-${++files}.config.ts`);
  writeFileSync(file, text);
  return loadConfig(file, builtinPolicies);
}

function told({ problems }: LoadResult): string[] {
  return problems.map(({ line, column, code, message }) => `${line}:${column} ${code} ${message}`);
}

suite('gateway.config.ts', () => {
  test('is run, and means what it exports', async () => {
    const loaded = await loadFile(`import { defineGateway } from '${define}';
const ports: number[] = [3001, 3002];
export default defineGateway({
  upstreams: { u: { targets: ports.map((port) => \`http://127.0.0.1:\${port}\`) } },
  routes: { r: { match: { path: '/x', methods: undefined }, upstream: 'u' } },
});
`);
    assert.deepEqual(told(loaded), []);
    assert.equal(loaded.config?.upstreams['u']?.targets.length, 2);
  });

  test('has its problems shown in its text', async () => {
    const loaded = await loadFile(`// Comment
const shared = { total: '5x' };
export default {
  upstreams: { u: { targets: ['http://h:1'] } },
  routes: {
    a: { upstream: 'v', match: { pth: '/a' } },
    b: { upstream: 'u', timeouts: shared },
  },
} as const;
`);
    assert.deepEqual(told(loaded), [
      '6:20 UNKNOWN_UPSTREAM there is no upstream "v" (did you mean "u"?)'.replace(/ \(did.*/, ''),
      '6:34 UNKNOWN_KEY unknown key "pth" in routes.a.match',
      '7:35 BAD_VALUE routes.b.timeouts.total: "5x" is not a duration such as 250ms, 5s, 1m, 1h or 1d',
    ]);
  });

  test('that cannot be loaded says why, and where', async () => {
    const broken = await loadFile('export default {\n  a: 1\n  b: 2\n};\n');
    assert.equal(broken.problems.length, 1);
    assert.match(told(broken)[0], /^[0-9]+:[0-9]+ MODULE it cannot be loaded: /);
    const throwing = await loadFile('const a = 1;\nthrow new Error("out of luck");\nexport default {};\n');
    assert.deepEqual(told(throwing), ['2:7 MODULE it cannot be loaded: out of luck']);
    const missing = await loadFile('import "./nowhere.ts";\nexport default {};\n');
    assert.match(told(missing)[0], /MODULE it cannot be loaded: Cannot find module/);
  });

  test('must export a configuration', async () => {
    for (const text of [
      'export const a = 1;',
      'export default 5;',
      'export default [];',
      'export default () => ({});',
    ]) {
      assert.deepEqual(told(await loadFile(text)), [
        '1:1 MODULE it must export a configuration: write `export default defineGateway({…})`',
      ]);
    }
  });

  test('is read anew when it has changed', async () => {
    const file = join(folder, 'changing.config.ts');
    const write = (body: string, seconds: number): void => {
      writeFileSync(file, `export default { routes: { r: { respond: { body: '${body}' } } } };`);
      utimesSync(file, seconds, seconds);
    };
    write('one', 1000);
    assert.equal((await loadConfig(file, builtinPolicies)).config?.routes['r']?.respond?.body, 'one');
    write('two', 2000);
    assert.equal((await loadConfig(file, builtinPolicies)).config?.routes['r']?.respond?.body, 'two');
  });
});

suite('files', () => {
  test('of policies are imported, and their options validated', async () => {
    writeFileSync(
      join(folder, 'tenant.ts'),
      `import { definePolicy } from '${contract}';
import { z } from '${schema}';
export default definePolicy({
  name: 'tenant',
  summary: 'For tests.',
  options: z.strictObject({ header: z.string() }),
  create: () => ({}),
});
`,
    );
    const file = join(folder, 'gateway.yaml');
    writeFileSync(
      file,
      'routes:\n  r:\n    respond: {}\n    policies:\n      - {use: ./tenant.ts, options: {heder: x}}\n',
    );
    assert.deepEqual(told(await loadConfig(file, builtinPolicies)), [
      '5:38 UNKNOWN_KEY unknown key "heder" in routes.r.policies[0].options',
    ]);
    writeFileSync(
      file,
      'routes:\n  r:\n    respond: {}\n    policies:\n      - {use: ./tenant.ts, options: {header: x}}\n',
    );
    const loaded = await loadConfig(file, builtinPolicies);
    assert.deepEqual(told(loaded), []);
    assert.equal(loaded.config?.routes['r']?.policies[0]?.module, join(folder, 'tenant.ts'));
    assert.equal(loaded.modules.get(join(folder, 'tenant.ts'))?.name, 'tenant');
  });

  test('in another encoding than UTF-8 are a problem at the first character that is not', async () => {
    const latin1 = join(folder, 'latin1.yaml');
    writeFileSync(latin1, 'routes:\n  r: {respond: {body: "caf\xe9"}}\n', 'latin1');
    assert.deepEqual(told(await loadConfig(latin1, builtinPolicies)), [
      '2:27 SYNTAX this is not UTF-8: save the file in that encoding',
    ]);
    const utf16 = join(folder, 'utf16.json');
    writeFileSync(utf16, '\ufeff{"routes": {}}', 'utf16le');
    assert.deepEqual(told(await loadConfig(utf16, builtinPolicies)), [
      '1:1 SYNTAX this is not UTF-8: save the file in that encoding',
    ]);
  });

  test('that are not there are a problem, not an exception', async () => {
    const missing = await loadConfig('/nowhere/gateway.yaml', builtinPolicies);
    assert.deepEqual(told(missing), ['1:1 FILE the configuration cannot be read (there is no such file or folder)']);
    assert.equal(missing.config, null);
    const directory = await loadConfig(folder, builtinPolicies);
    assert.deepEqual(told(directory), ['1:1 FILE the configuration cannot be read (it is a directory)']);
  });
});
