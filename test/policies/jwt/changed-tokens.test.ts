/** Tokens that are almost those of somebody, against a real gateway that has seen his. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, suite, test } from 'node:test';
import * as fc from 'fast-check';
import { SuiteScope } from '../../support/scope.ts';
import { type Answer, TokenGateway } from '../../support/token-gateway.ts';
import { encodePart, hmacToken, signingPair, tokenOf } from '../../support/tokens.ts';

const now = 1_800_000_000;
const iss = 'https://issuer.test';
const claims = { iss, sub: 'alice', exp: now + 300 };
const rsa = signingPair('RS256', 'rsa');
const ec = signingPair('ES256', 'ec');
const ed = signingPair('EdDSA', 'ed');
const secret = randomBytes(32);
const good = tokenOf(ec, claims);

suite('a token that was changed', () => {
  const scope = new SuiteScope();
  let gateway: TokenGateway;
  let refused: Answer;

  before(async () => {
    const shared = { secret: secret.toString('hex'), encoding: 'hex', kid: 'shared' };
    const keys = [{ jwk: rsa.jwk }, { jwk: ec.jwk }, { jwk: ed.jwk }, shared];
    gateway = await TokenGateway.start(scope, { issuer: iss, keys }, { now });
    refused = await gateway.bearer('x');
    assert.equal((await gateway.bearer(good)).status, 200);
  });
  after(() => scope.end());

  const refuse = async (tokens: Iterable<string>): Promise<void> => {
    for (const token of tokens) assert.deepEqual(await gateway.bearer(token), refused, token);
  };

  test('is not accepted, wherever the change is', async () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/~ ';
    const tokens = [
      good,
      tokenOf(rsa, claims),
      tokenOf(ed, claims),
      hmacToken(secret, claims, { alg: 'HS256', kid: 'shared' }),
    ];
    for (const token of tokens) assert.equal((await gateway.bearer(token)).status, 200);
    const change = fc.tuple(
      fc.constantFrom('replace', 'insert', 'delete', 'duplicate', 'swap'),
      fc.nat(2_000),
      fc.constantFrom(...alphabet),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...tokens),
        fc.array(change, { minLength: 1, maxLength: 3 }),
        async (token, list) => {
          const changed = list.reduce(
            (text, [kind, at, character]) => mutate(text, kind, at % text.length, character),
            token,
          );
          if (tokens.includes(changed.trim())) return;
          assert.deepEqual(await gateway.bearer(changed.trim()), refused);
        },
      ),
      { numRuns: 400 },
    );
    // The last character of a signature has bits that mean nothing: all its other forms.
    for (const token of tokens) {
      await refuse(
        [...alphabet]
          .map((last) => `${token.slice(0, -1)}${last}`.trim())
          .filter((text) => text !== token && text !== token.slice(0, -1)),
      );
    }
  });

  test('is not accepted with the claims of somebody else', async () => {
    await fc.assert(
      fc.asyncProperty(fc.object({ maxDepth: 2 }), async (more) => {
        const [header, , signature] = good.split('.');
        const payload = encodePart({ ...claims, ...more, sub: 'admin' });
        assert.deepEqual(await gateway.bearer(`${header}.${payload}.${signature}`), refused);
      }),
      { numRuns: 100 },
    );
  });
});

function mutate(text: string, kind: string, at: number, character: string): string {
  switch (kind) {
    case 'replace':
      return text.slice(0, at) + character + text.slice(at + 1);
    case 'insert':
      return text.slice(0, at) + character + text.slice(at);
    case 'delete':
      return text.slice(0, at) + text.slice(at + 1);
    case 'duplicate':
      return text.slice(0, at) + text.slice(at, at + 5) + text.slice(at);
    default:
      return text.slice(0, at) + (text[at + 1] ?? '') + text[at] + text.slice(at + 2);
  }
}
