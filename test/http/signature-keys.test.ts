import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { suite, test } from 'node:test';
import {
  type SignatureAlgorithm,
  isSignatureOf,
  signatureAlgorithms,
  signatureOf,
  signingKey,
  verificationKey,
} from '../../src/http/signature-algorithms.ts';

suite('keys', () => {
  const keys = {
    rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    p256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    p384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
    ed25519: generateKeyPairSync('ed25519'),
  };
  const fitting: Readonly<Record<SignatureAlgorithm, keyof typeof keys | null>> = {
    'hmac-sha256': null,
    'rsa-pss-sha512': 'rsa',
    'rsa-v1_5-sha256': 'rsa',
    'ecdsa-p256-sha256': 'p256',
    'ecdsa-p384-sha384': 'p384',
    ed25519: 'ed25519',
  };
  const publicPem = (name: keyof typeof keys): string => keys[name].publicKey.export({ type: 'spki', format: 'pem' });
  const privatePem = (name: keyof typeof keys): string =>
    keys[name].privateKey.export({ type: 'pkcs8', format: 'pem' });
  const base = Buffer.from('what is signed');
  const zero = (bytes: number): Buffer => Buffer.alloc(bytes);

  for (const algorithm of signatureAlgorithms) {
    const name = fitting[algorithm];
    const secret = 'a shared secret of enough bytes';

    test(`${algorithm}: what is signed is verified, and by no other algorithm`, () => {
      const signature = signatureOf(signingKey(algorithm, name === null ? secret : privatePem(name)), base);
      const known = verificationKey(algorithm, name === null ? secret : publicPem(name));
      assert.equal(isSignatureOf(known, base, signature), true);
      assert.equal(isSignatureOf(known, Buffer.from('what is not'), signature), false);
      for (const bytes of [0, 1, 32, 64, 96, 256, 512]) assert.equal(isSignatureOf(known, base, zero(bytes)), false);
    });

    test(`${algorithm}: takes no key of another kind`, () => {
      for (const other of Object.keys(keys) as (keyof typeof keys)[]) {
        if (other === name) continue;
        assert.throws(() => verificationKey(algorithm, publicPem(other)), /not a key for|needs a shared secret/);
        assert.throws(() => signingKey(algorithm, privatePem(other)));
      }
      if (name !== null) {
        assert.throws(() => verificationKey(algorithm, secret), /not a public key in PEM form/);
        assert.throws(() => verificationKey(algorithm, privatePem(name)), /a private key/);
      }
    });
  }

  test('a public key is never the secret of an HMAC, however it is spelt (CVE-2023-48223)', () => {
    for (const text of [publicPem('rsa'), ` \n${publicPem('rsa')}`, '-----BEGIN RSA PUBLIC KEY-----']) {
      assert.throws(() => verificationKey('hmac-sha256', text), /shared secret/);
    }
  });

  test('weak keys are refused', () => {
    const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ type: 'spki', format: 'pem' });
    assert.throws(() => verificationKey('rsa-pss-sha512', small), /2048 bits/);
    const three = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 }).publicKey;
    assert.throws(() => verificationKey('rsa-v1_5-sha256', three.export({ type: 'spki', format: 'pem' })), /exponent/);
    assert.throws(() => signingKey('hmac-sha256', 'short'), /16 bytes/);
    assert.throws(() => verificationKey('hmac-sha256', ''), /1 bytes/);
    assert.throws(() => verificationKey('hmac-sha256', 'base64:not base64'), /base64/);
  });

  test('no message shows the key that it is about', () => {
    for (const text of ['base64:canary', `-----BEGIN PUBLIC KEY-----\ncanary\n-----END PUBLIC KEY-----`]) {
      for (const algorithm of signatureAlgorithms) {
        assert.throws(
          () => verificationKey(algorithm, text),
          (error: Error) => !error.message.includes('canary'),
        );
        assert.throws(
          () => signingKey(algorithm, text),
          (error: Error) => !error.message.includes('canary'),
        );
      }
    }
  });

  test('psychic signatures and DER are none (CVE-2022-21449)', () => {
    const known = verificationKey('ecdsa-p256-sha256', publicPem('p256'));
    const n = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex');
    for (const signature of [zero(64), Buffer.concat([n, n]), Buffer.from('3006020100020100', 'hex')]) {
      assert.equal(isSignatureOf(known, base, signature), false);
    }
  });
});
