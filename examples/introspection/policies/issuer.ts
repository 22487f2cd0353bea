/** The part of an authorisation server that says what it knows of a token (RFC 7662, section 2). It knows two. */
import { timingSafeEqual } from 'node:crypto';
import { definePolicy, z } from 'gatewright';

const tokens: ReadonlyMap<string, object> = new Map([
  ['token-of-ann', { sub: 'ann', username: 'Ann', client_id: 'shop-app', scope: 'orders' }],
  ['token-of-bob', { sub: 'bob', username: 'Bob', client_id: 'office', scope: 'orders reports' }],
]);

export default definePolicy({
  name: 'issuer',
  summary: 'Answers what it knows of a token.',
  options: z.strictObject({
    clientId: z.string().describe('Who may ask.'),
    clientSecret: z.string().describe('And its secret.'),
  }),
  create({ clientId, clientSecret }) {
    const expected = Buffer.from(`Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`);
    return {
      buffersRequest: 16 * 1024,
      onRequest({ requestHeaders, requestBody }) {
        const given = Buffer.from(requestHeaders.get('authorization') ?? '');
        if (given.length !== expected.length || !timingSafeEqual(given, expected)) return { status: 401 };
        const token = new URLSearchParams(Buffer.from(requestBody ?? []).toString()).get('token') ?? '';
        const claims = tokens.get(token);
        const body = JSON.stringify(claims === undefined ? { active: false } : { active: true, ...claims });
        return { status: 200, headers: [['content-type', 'application/json']], body };
      },
    };
  },
});
