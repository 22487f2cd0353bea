import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { contentDigest, isContentOf } from '../../src/http/content-digest.ts';

const content = Buffer.from('{"hello": "world"}\n');
const sha256 = 'sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:';
const sha512 = 'sha-512=:YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCsyRZOtw8MjkM7iw7yZ/WkppmM44T3qg==:';

test('the examples of RFC 9530, appendices B.1 and B.2', () => {
  assert.equal(contentDigest('sha-256', content), sha256);
  assert.equal(contentDigest('sha-512', content), sha512);
  assert.equal(contentDigest('sha-256', Buffer.alloc(0)), 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:');
  assert.equal(isContentOf(`${sha256}, ${sha512}`, content), true);
});

test('a digest that was made holds for its content and for no other', () => {
  fc.assert(
    fc.property(
      fc.uint8Array(),
      fc.uint8Array(),
      fc.constantFrom('sha-256' as const, 'sha-512' as const),
      (a, b, how) => {
        const digest = contentDigest(how, a);
        assert.equal(isContentOf(digest, a), true);
        assert.equal(isContentOf(digest, b), Buffer.compare(a, b) === 0);
      },
    ),
  );
});

test('of several all must hold, and those of no worth do not count', () => {
  assert.equal(isContentOf(`${sha256}, sha-512=:AAAA:`, content), false);
  assert.equal(isContentOf(`sha-256=:AAAA:, ${sha512}`, content), false);
  assert.equal(isContentOf(`md5=:AAAA:, ${sha256}`, content), true);
  assert.equal(isContentOf('md5=:ZYkfv2jfJe8oA9YZ8nvHhw==:', content), false);
  assert.equal(isContentOf('sha=:AAAA:', content), false);
});

test('what is no digest is none', () => {
  const other = sha256.replace('=:', '=").replace');
  for (const field of [
    '',
    'sha-256',
    'sha-256=""',
    'sha-256=(:AAAA:)',
    'sha-256=RK',
    other,
    'SHA-256=:RK/0:',
    `${sha256},`,
  ]) {
    assert.equal(isContentOf(field, content), false, field);
  }
});
