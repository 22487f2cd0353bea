import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { freePorts, root, untilReady } from '../examples/running-example.ts';

const run = promisify(execFile);

const policy = `
import { definePolicy, z } from 'gatewright';
export default definePolicy({
  name: 'stamp',
  summary: 'Stamps responses.',
  options: z.strictObject({ text: z.string() }),
  create: ({ text }) => ({ onResponse: (exchange) => exchange.responseHeaders.set('x-stamp', text) }),
});
`;

const consumer = `
import { createGateway, defineGateway, type Exchange } from 'gatewright';
import { testGateway, type TestResponse } from 'gatewright/testing';
import stamp from './stamp.ts';
export const name: string = stamp.name;
export const path = (exchange: Exchange): string => exchange.path;
export const start: typeof createGateway = createGateway;
export const tested = async (): Promise<TestResponse> => {
  const gateway = await testGateway({}, { upstreams: { app: ({ path }) => ({ body: path }) } });
  // @ts-expect-error: an upstream cannot fail like this
  gateway.answerWith('app', 'explode');
  return gateway.request('GET', 'http://x/');
};
export default defineGateway({
  upstreams: { app: { targets: ['http://127.0.0.1:3000'] } },
  // @ts-expect-error: there is no such upstream
  routes: { app: { match: { path: '/*' }, upstream: 'ap' } },
});
`;

const configurationTest = `
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { testGateway } from 'gatewright/testing';
it('stamps', async () => {
  const gateway = await testGateway('stamped.json');
  const { headers, body } = await gateway.request('GET', 'http://x/');
  assert.deepEqual([headers['x-stamp'], body], ['tested', 'hello']);
});
`;

const compilerOptions = {
  target: 'esnext',
  module: 'nodenext',
  strict: true,
  noEmit: true,
  allowImportingTsExtensions: true,
  types: ['node'],
  typeRoots: [join(root, 'node_modules/@types')],
};

/** What npm would install: the built package in \`node_modules\` of somebody's project, with its dependencies. */
describe('the built package', () => {
  let folder = '';
  let built = '';

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gatewright-built-'));
    built = join(folder, 'node_modules/gatewright');
    await mkdir(join(folder, 'node_modules'));
    await run(process.execPath, [join(root, 'scripts/build.ts'), built]);
    await symlink(join(root, 'node_modules'), join(built, 'node_modules'));
    await writeFile(join(folder, 'stamp.ts'), policy);
  });
  after(async () => {
    await rm(folder, { recursive: true });
  });

  it('has no TypeScript sources, only declarations', async () => {
    const names = (await readdir(built)).filter((name) => name !== 'node_modules');
    assert.deepEqual(
      names.filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts')),
      [],
    );
    for (const name of ['index.js', 'index.d.ts', 'package.json', 'README.md', 'LICENSE']) {
      assert.ok(names.includes(name), name);
    }
  });

  it('serves from a command line of plain JavaScript, with a policy in TypeScript', async () => {
    const [port, adminPort] = await freePorts(2);
    const config = {
      listeners: { web: { host: '127.0.0.1', port } },
      admin: { port: adminPort },
      routes: { hello: { policies: [{ use: './stamp.ts', options: { text: 'built' } }], respond: { body: 'hello' } } },
    };
    await writeFile(join(folder, 'gateway.json'), JSON.stringify(config));
    const gateway = spawn(process.execPath, [join(built, 'cli/main.js'), 'run', 'gateway.json'], { cwd: folder });
    let log = '';
    gateway.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()));
    gateway.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
    try {
      await untilReady(`http://127.0.0.1:${adminPort}/readyz`, gateway, () => log);
      const response = await fetch(`http://127.0.0.1:${port}/`);
      assert.equal(await response.text(), 'hello');
      assert.equal(response.headers.get('x-stamp'), 'built');
      const ended = once(gateway, 'exit');
      gateway.kill('SIGTERM');
      assert.deepEqual(await ended, [0, null], log);
    } finally {
      gateway.kill('SIGKILL');
    }
  });

  it('tries a configuration, in YAML and in TypeScript', async () => {
    const policies = [{ use: './stamp.ts', options: { text: 'tested' } }];
    await writeFile(
      join(folder, 'stamped.json'),
      JSON.stringify({ routes: { a: { policies, respond: { body: 'hello' } } } }),
    );
    await writeFile(join(folder, 'stamped.test.ts'), configurationTest);
    const test = { name: 'stamps', request: 'GET http://x/', expect: { headers: { 'x-stamp': 'tested' } } };
    await writeFile(join(folder, 'stamped.test.json'), JSON.stringify({ config: 'stamped.json', tests: [test] }));
    const command = [join(built, 'cli/main.js'), 'test', 'stamped.test.json', 'stamped.test.ts'];
    const { stdout } = await run(process.execPath, command, { cwd: folder });
    assert.match(stdout, /^2 passed, 0 failed$/m);
  });

  it('has types that a project can compile against, and that know the names of a configuration', async () => {
    await writeFile(join(folder, 'consumer.ts'), consumer);
    await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['consumer.ts'] }));
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    // Rejects with what the compiler printed when there is a type error.
    await run(process.execPath, [tsc, '-p', folder, '--checkers', '1']);
  });
});
