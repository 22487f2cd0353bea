import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { unlessInstalled } from '../support/needed-programs.ts';
import { curlLines, freePorts, root, runCurl } from './running-example.ts';

/** What the quickstart prints, until it has said how to stop it. What follows is read, too: it is the access log. */
function invitationOf(quickstart: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    quickstart.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('Ctrl-C stops everything')) resolve(text);
    });
    quickstart.once('exit', () => reject(new Error(`the quickstart ended early:\n${text}`)));
  });
}

describe('the quickstart', { skip: unlessInstalled('curl') }, () => {
  let quickstart: ChildProcess;
  let invitation = '';
  let folder = '';

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gatewright-quickstart-'));
    const [port] = await freePorts(1);
    const script = join(root, 'examples/quickstart/start.ts');
    const env = { ...process.env, PORT: String(port) };
    quickstart = spawn(process.execPath, [script], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    invitation = await invitationOf(quickstart);
  });
  after(async () => {
    if (quickstart.exitCode === null) quickstart.kill('SIGKILL');
    await rm(folder, { recursive: true });
  });

  it('prints lines to try, and each answers what its comment promises', async () => {
    const lines = curlLines(invitation);
    assert.ok(lines.length >= 9, invitation);
    for (const { command, status } of lines) {
      const answer = await runCurl(command, folder);
      assert.equal(answer.status, status, `${command}\n${answer.text}`);
    }
  });

  it('says how many are left, and when to come again', async () => {
    const lines = curlLines(invitation).filter(({ command }) => command.includes('/joke'));
    assert.deepEqual(
      lines.map(({ status }) => status),
      [200, 200, 200, 429],
    );
    // The lines before have used it up, but for what has come back since then.
    let { status, text } = await runCurl(lines[3].command, folder);
    for (let i = 0; i < 4 && status === 200; i++) ({ status, text } = await runCurl(lines[3].command, folder));
    assert.equal(status, 429);
    assert.match(text, /^retry-after: \d+\r\n/im);
    assert.match(text, /^ratelimit: "default";r=0;t=\d+\r\n/im);
    assert.match(invitation, /npm run gatewright -- limits-test http:\S+\/joke --rate 3\/30s /);
  });

  it('passes events on as they happen', async () => {
    const line = curlLines(invitation).find(({ command }) => command.includes('events'));
    assert.ok(line);
    const { text } = await runCurl(line.command, folder);
    assert.match(text, /^event: order$/m);
  });

  it('shows a service what the gateway adds to a request', async () => {
    const line = curlLines(invitation).find(({ command }) => command.includes('/echo'));
    assert.ok(line);
    const { text } = await runCurl(line.command, folder);
    const echo = JSON.parse(text) as { url: string; body: string; headers: Record<string, string> };
    assert.equal(echo.url, '/v1/echo');
    assert.equal(echo.body, 'hello');
    assert.equal(echo.headers['x-greeting'], 'hello');
    assert.equal(echo.headers['x-forwarded-for'], '127.0.0.1');
    assert.ok(echo.headers['via']);
    assert.ok(echo.headers['x-request-id']);
  });

  it('ends cleanly and takes everything with it', async () => {
    const ended = once(quickstart, 'exit');
    quickstart.kill('SIGTERM');
    assert.deepEqual(await ended, [0, null]);
    const line = curlLines(invitation)[0];
    assert.ok(line);
    assert.equal((await runCurl(line.command, folder)).status, 0);
  });
});
