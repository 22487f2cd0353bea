/** Java's `java.net.http` through a gateway process, to nginx, `node:http` and Python. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { unlessInstalled } from '../support/needed-programs.ts';
import { SuiteScope } from '../support/scope.ts';
import { Services, sha256 } from './services.ts';

interface Line {
  readonly name: string;
  readonly status: string;
  readonly version: string;
  readonly length: number;
  readonly hash: string;
}

describe('the HTTP client of Java', { skip: unlessInstalled('java', 'nginx', 'python3') }, () => {
  const scope = new SuiteScope();
  let services: Services;
  let lines: readonly Line[];

  before(async () => {
    services = await Services.start(scope);
    const source = fileURLToPath(new URL('Client.java', import.meta.url));
    // It runs once and briefly: optimising would take longer than it saves.
    const { stdout } = await promisify(execFile)('java', ['-XX:TieredStopAtLevel=1', source, services.url]);
    lines = stdout
      .trim()
      .split('\n')
      .map((line) => {
        const [name, status, version, length, hash] = line.split(' ');
        return { name, status, version, length: Number(length), hash };
      });
  });
  after(() => scope.end());

  const seen = (name: string): Line => {
    const found = lines.find((line) => line.name === name);
    assert.ok(found, name);
    assert.equal(found.version, 'HTTP_1_1');
    return found;
  };

  it('gets files, small and large, and their heads', () => {
    assert.deepEqual([seen('small').status, seen('small').hash], ['200', sha256(services.site.small)]);
    const hash = sha256(services.site.large);
    assert.deepEqual([seen('large').hash, seen('python').hash], [hash, hash]);
    assert.deepEqual([seen('head').status, seen('head').length], ['200', 0]);
    assert.equal(seen('missing').status, '404');
  });

  it('sends bodies with a length, in chunks, and after it was told to continue', () => {
    const sum = sha256(sha256('j'.repeat(1_000_000)));
    for (const name of ['posted', 'chunked', 'expected', 'streamed']) {
      assert.deepEqual([name, seen(name).status, seen(name).hash], [name, '200', sum]);
    }
  });

  it('sends many requests at a time', () => {
    const together = lines.filter(({ name }) => name === 'together');
    assert.equal(together.length, 50);
    for (const { status, hash } of together) assert.deepEqual([status, hash], ['200', sha256(services.site.small)]);
  });
});
