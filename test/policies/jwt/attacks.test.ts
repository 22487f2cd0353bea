/** The tokens of `test/corpora/jwt-attacks.json` against a gateway whose clock stands where theirs does. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { folderWith } from '../../support/command.ts';
import { SuiteScope } from '../../support/scope.ts';
import { type Answer, TokenGateway } from '../../support/token-gateway.ts';

interface Corpus {
  readonly now: number;
  readonly issuer: string;
  readonly audience: string;
  readonly jwks: unknown;
  readonly cases: readonly {
    readonly name: string;
    readonly token: string;
    readonly expect: 'accept' | 'reject' | 'either' | 'reject-unless-leeway';
    readonly why?: string;
  }[];
}

const corpus = JSON.parse(readFileSync(new URL('../../corpora/jwt-attacks.json', import.meta.url), 'utf8')) as Corpus;
const { now, issuer, audience, jwks } = corpus;

/** Where the verdict is ours: refuse what can be read in two ways, and what is no point in time. */
const ours: Readonly<Record<string, 'accept' | 'reject'>> = {
  'kid-missing-many-keys': 'accept',
  'zip-def': 'reject',
  'claim-exp-equal-now': 'reject',
  'claim-exp-huge': 'reject',
  'claim-exp-ms': 'reject',
  'claim-aud-mixed': 'reject',
  'claim-payload-dup-exp': 'reject',
};

/** So that the policy itself sees the longest of them. */
const changes = { listeners: { web: { host: '127.0.0.1', port: 0, limits: { headBytes: '1MiB' } } } };

suite('tokens from outside', () => {
  const scope = new SuiteScope();
  let gateway: TokenGateway;
  let refused: Answer;

  before(async () => {
    const folder = await folderWith(scope, { 'jwks.json': JSON.stringify(jwks) });
    gateway = await TokenGateway.start(scope, { issuer, audience, jwks: join(folder, 'jwks.json') }, { now, changes });
    refused = await gateway.bearer('x');
  });
  after(() => scope.end());

  for (const { name, token, expect, why = '' } of corpus.cases) {
    const verdict = ours[name] ?? expect;
    test(`${verdict} ${name}${why && `: ${why}`}`, async () => {
      const answer = await gateway.bearer(token);
      if (verdict === 'accept') {
        assert.equal(answer.status, 200, answer.text);
        // From memory as well.
        assert.equal((await gateway.bearer(token)).status, 200);
        return;
      }
      assert.equal(verdict, 'reject');
      assert.deepEqual(answer, refused, 'all that is wrong is answered alike');
    });
  }

  test('the answer to what is wrong says no more than that', () => {
    assert.equal(refused.status, 401);
    assert.match(refused.text, /\r\nwww-authenticate: Bearer realm="api", error="invalid_token"\r\n/i);
  });
});
