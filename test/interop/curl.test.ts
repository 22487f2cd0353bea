/** curl through a gateway process, to nginx, `node:http` and Python. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { unlessInstalled } from '../support/needed-programs.ts';
import { SuiteScope } from '../support/scope.ts';
import { type Echo, Services, sha256 } from './services.ts';

const scope = new SuiteScope();
let services: Services;

interface Answer {
  readonly body: Buffer;
  /** What curl says with `-v`. */
  readonly talk: string;
  readonly status: number;
}

/** Calls with a path of the gateway behind the options. */
async function curl(path: string, ...options: string[]): Promise<Answer> {
  const output = join(services.site.folder, 'curl-output');
  const args = ['-sSv', '--max-time', '20', '-o', output, '-w', '%{http_code}', ...options, services.url + path];
  const { stdout, stderr } = await promisify(execFile)('curl', args);
  return { body: await readFile(output).catch(() => Buffer.alloc(0)), talk: stderr, status: Number(stdout) };
}

const echoOf = ({ body }: Answer): Echo => JSON.parse(body.toString()) as Echo;

describe('curl', { skip: unlessInstalled('curl', 'nginx', 'python3') }, () => {
  before(async () => {
    services = await Services.start(scope);
  });
  after(() => scope.end());

  for (const upstream of ['nginx', 'python'] as const) {
    it(`gets files from ${upstream}, small and large`, async () => {
      const small = await curl(`/${upstream}/small.txt`);
      assert.deepEqual([small.status, small.body.toString()], [200, services.site.small]);
      const large = await curl(`/${upstream}/large.bin`);
      assert.deepEqual([large.status, sha256(large.body)], [200, sha256(services.site.large)]);
      assert.match(large.talk, new RegExp(`^< content-length: ${services.site.large.length}\\r?$`, 'im'));
    });

    it(`gets the head of a file from ${upstream}, and what is not there`, async () => {
      const { status, talk } = await curl(`/${upstream}/large.bin`, '-I');
      assert.equal(status, 200);
      assert.match(talk, new RegExp(`^< content-length: ${services.site.large.length}\\r?$`, 'im'));
      assert.equal((await curl(`/${upstream}/nothing`)).status, 404);
    });
  }

  it('gets parts of files, and asks whether they have changed', async () => {
    const part = await curl('/nginx/large.bin', '-r', '1000-1999');
    assert.deepEqual([part.status, sha256(part.body)], [206, sha256(services.site.large.subarray(1000, 2000))]);
    const [, etag] = /^< etag: (.*?)\r?$/im.exec(part.talk) ?? [];
    const same = await curl('/nginx/large.bin', '-H', `if-none-match: ${etag}`);
    assert.deepEqual([same.status, /^< content-type/im.test(same.talk)], [304, false]);
  });

  it('gets what nginx compresses, in chunks', async () => {
    const { status, body, talk } = await curl('/nginx/small.txt', '--compressed');
    assert.deepEqual([status, body.toString()], [200, services.site.small]);
    assert.match(talk, /^< transfer-encoding: chunked/im);
    assert.match(talk, /^< content-encoding: gzip/im);
  });

  it('gets redirects and unusual statuses as they are', async () => {
    const moved = await curl('/nginx/moved');
    assert.equal(moved.status, 301);
    assert.match(moved.talk, /^< location: .*\/small\.txt/im);
    const teapot = await curl('/nginx/teapot');
    assert.deepEqual([teapot.status, teapot.body.toString()], [418, 'short and stout']);
  });

  it('posts to node and Python, and the answer comes whole, whatever its framing', async () => {
    for (const path of ['/node/echo', '/node/stream', '/python/echo']) {
      const answer = await curl(path, '-d', 'a=1&b=2');
      assert.equal(answer.status, 200);
      const { method, length, headers } = echoOf(answer);
      assert.deepEqual([method, length], ['POST', 7]);
      assert.equal(headers['content-type'], 'application/x-www-form-urlencoded');
      assert.equal(headers['x-forwarded-for'], '127.0.0.1');
    }
  });

  it('uploads in chunks, of a length that nobody knows before', async () => {
    const file = join(services.site.folder, 'upload.bin');
    const content = randomBytes(2 * 1024 * 1024 + 3);
    await writeFile(file, content);
    const chunked = ['-H', 'transfer-encoding: chunked', '-H', 'expect:'];
    const echo = echoOf(await curl('/node/echo', '--data-binary', `@${file}`, ...chunked));
    assert.deepEqual([echo.length, echo.sha256], [content.length, sha256(content)]);
    assert.equal(echo.headers['transfer-encoding'], 'chunked');
    assert.equal((await curl('/nginx/upload/stored.bin', '-T', file, ...chunked)).status, 201);
    assert.equal(sha256(await readFile(join(services.site.folder, 'upload/stored.bin'))), sha256(content));
  });

  it('is told to continue before it sends a large body, and sends it', async () => {
    const file = join(services.site.folder, 'expect.bin');
    const content = randomBytes(3 * 1024 * 1024);
    await writeFile(file, content);
    for (const path of ['/node/echo', '/nginx/upload/expected.bin']) {
      const expect = ['-H', 'expect: 100-continue', '--expect100-timeout', '15', '-T', file];
      const answer = await curl(path, ...expect);
      assert.match(answer.talk, /^< HTTP\/1\.1 100 Continue/m);
      assert.ok(answer.status === 200 || answer.status === 201);
      if (path.startsWith('/node')) assert.equal(echoOf(answer).sha256, sha256(content));
    }
    assert.equal(sha256(await readFile(join(services.site.folder, 'upload/expected.bin'))), sha256(content));
  });

  it('speaks HTTP/1.0', async () => {
    for (const path of ['/nginx/small.txt', '/python/small.txt']) {
      const answer = await curl(path, '--http1.0');
      assert.deepEqual([answer.status, answer.body.toString()], [200, services.site.small]);
    }
    // What comes in chunks must reach such a client without them.
    for (const path of ['/node/echo', '/node/stream', '/python/echo']) {
      const answer = await curl(path, '--http1.0', '-d', 'abc');
      assert.deepEqual([answer.status, echoOf(answer).length], [200, 3]);
      assert.doesNotMatch(answer.talk, /^< transfer-encoding/im);
    }
  });

  it('makes one connection for many requests', async () => {
    const paths = ['/nginx/small.txt', '/python/small.txt', '/node/stream', '/nginx/nothing', '/node/echo'];
    const output = paths.flatMap(() => ['-o', '/dev/null']);
    const urls = paths.map((path) => services.url + path);
    const args = ['-sS', '--max-time', '20', ...output, '-w', '%{http_code} %{num_connects}\\n', ...urls];
    const { stdout } = await promisify(execFile)('curl', args);
    assert.deepEqual(stdout.trim().split('\n'), ['200 1', '200 0', '200 0', '404 0', '200 0']);
  });
});
