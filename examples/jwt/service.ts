/**
 * A small issuer of tokens, so that the example needs no other. It gives everybody the token that they ask for:
 * `/token?sub=ann&scope=orders:read`. A real one would ask who you are first.
 */
import { generateKeyPairSync, sign } from 'node:crypto';
import { createServer, type Server } from 'node:http';

export const port = 3003;
const issuer = `http://127.0.0.1:${port}`;
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const kid = 'key-1';

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

function tokenWith(claims: Readonly<Record<string, string>>): string {
  const now = Math.floor(Date.now() / 1000);
  const all = { iss: issuer, aud: 'shop', iat: now, exp: now + 300, ...claims };
  const input = `${encode({ alg: 'ES256', typ: 'at+jwt', kid })}.${encode(all)}`;
  const signature = sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

function answerTo({ pathname, searchParams }: URL): string | null {
  switch (pathname) {
    case '/.well-known/openid-configuration':
      return JSON.stringify({ issuer, jwks_uri: `${issuer}/jwks` });
    case '/jwks':
      return JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'ES256' }] });
    case '/token':
      return tokenWith(Object.fromEntries(searchParams));
    default:
      return null;
  }
}

export function createService(): Server {
  return createServer((request, response) => {
    const answer = answerTo(new URL(request.url ?? '/', issuer));
    response.statusCode = answer === null ? 404 : 200;
    response.end(answer);
  });
}
