import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { root } from './running-example.ts';

/** The YAML of a document that is a whole configuration, not a part of one. */
function configurationsIn(markdown: string): string[] {
  const blocks = Array.from(markdown.matchAll(/^```yaml\n(.*?)^```$/gms), ([, yaml]) => yaml);
  return blocks.filter((yaml) => /^upstreams:/m.test(yaml) && /^routes:/m.test(yaml));
}

/** The blocks of a language in a document that have this in them. */
function blocksOf(language: string, mark: RegExp, markdown: string): string[] {
  const blocks = Array.from(markdown.matchAll(/^```(\w+)\n(.*?)^```$/gms), ([, name, text]) => ({ name, text }));
  return blocks.filter(({ name, text }) => name === language && mark.test(text)).map(({ text }) => text);
}

describe('the configurations in the documents', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gatewright-documents-'));
  });
  after(async () => {
    await rm(folder, { recursive: true });
  });

  it('pass `gatewright check` without as much as a warning', async () => {
    const guide = await readdir(join(root, 'docs/guide'));
    const documents = ['README.md', ...guide.map((name) => `docs/guide/${name}`)];
    let checked = 0;
    for (const document of documents) {
      for (const yaml of configurationsIn(await readFile(join(root, document), 'utf8'))) {
        await writeFile(join(folder, 'gateway.yaml'), yaml);
        // What the reader has to put into the environment before.
        const names = Array.from(yaml.matchAll(/\$\{env:(\w+)\}/g), ([, name = '']) => name);
        const env = {
          ...process.env,
          ...Object.fromEntries(names.map((name) => [name, 'something-that-is-long-enough-for-it'])),
        };
        const command = [join(root, 'src/cli/main.js'), 'check', 'gateway.yaml', '--format', 'json'];
        // Rejects with what was printed when the exit code is not 0.
        const { stdout } = await promisify(execFile)(process.execPath, command, { cwd: folder, env });
        assert.deepEqual((JSON.parse(stdout) as { problems: unknown }).problems, [], document);
        checked++;
      }
    }
    assert.ok(checked >= 2);
  });

  it('pass the tests that the guide has for them', async () => {
    const markdown = await readFile(join(root, 'docs/guide/testing.md'), 'utf8');
    const [config = ''] = configurationsIn(markdown);
    const [data = ''] = blocksOf('yaml', /^tests:/m, markdown);
    const [code = ''] = blocksOf('ts', /'gatewright\/testing'/, markdown);
    const project = join(folder, 'project');
    await mkdir(join(project, 'node_modules'), { recursive: true });
    await symlink(root, join(project, 'node_modules/gatewright'));
    for (const [name, text] of [
      ['gateway.yaml', config],
      ['gateway.test.yaml', data],
      ['gateway.test.ts', code],
    ] as const) {
      await writeFile(join(project, name), text);
    }
    const { stdout } = await promisify(execFile)(process.execPath, [join(root, 'src/cli/main.js'), 'test'], {
      cwd: project,
    });
    assert.match(stdout, /^6 passed, 0 failed$/m);
  });
});
