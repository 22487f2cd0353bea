/** Python's `http.client` through a gateway process, to nginx, `node:http` and Python. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { unlessInstalled } from '../support/needed-programs.ts';
import { SuiteScope } from '../support/scope.ts';
import { type Echo, Services, sha256 } from './services.ts';

interface Summary {
  readonly status: number;
  readonly version: number;
  readonly length: number;
  readonly sha256: string;
  readonly text: string;
  readonly chunked: boolean;
}

type Seen = Readonly<Record<string, Summary>> & { readonly sameConnection: boolean };

describe("Python's http.client", { skip: unlessInstalled('nginx', 'python3') }, () => {
  const scope = new SuiteScope();
  let services: Services;
  let seen: Seen;

  before(async () => {
    services = await Services.start(scope);
    const script = fileURLToPath(new URL('client.py', import.meta.url));
    const { stdout } = await promisify(execFile)('python3', [script, services.url]);
    seen = JSON.parse(stdout) as Seen;
  });
  after(() => scope.end());

  const echoOf = ({ text }: Summary): Echo => JSON.parse(text) as Echo;

  it('gets files, small and large, and their heads', () => {
    assert.deepEqual([seen['small'].status, seen['small'].text], [200, services.site.small]);
    const hash = sha256(services.site.large);
    assert.deepEqual([seen['large'].sha256, seen['python'].sha256], [hash, hash]);
    assert.deepEqual([seen['head'].status, seen['head'].length], [200, 0]);
    assert.equal(seen['missing'].status, 404);
  });

  it('sends bodies with a length and in chunks, and understands answers with either', () => {
    assert.deepEqual(echoOf(seen['posted']).sha256, sha256('x'.repeat(100_000)));
    const pieces = Array.from({ length: 1000 }, (_, number) => `${String(number).padStart(6, '0')}\n`.repeat(100));
    assert.deepEqual([echoOf(seen['chunked']).sha256, seen['chunked'].chunked], [sha256(pieces.join('')), true]);
    assert.deepEqual(echoOf(seen['toPython']).sha256, sha256('café'));
  });

  it('does all of that on one connection', () => {
    assert.equal(seen.sameConnection, true);
  });

  it('speaks HTTP/1.0, and gets no chunks then', () => {
    assert.deepEqual([seen['old'].status, seen['old'].text], [200, services.site.small]);
    assert.deepEqual([seen['oldStream'].chunked, echoOf(seen['oldStream']).method], [false, 'GET']);
  });
});
