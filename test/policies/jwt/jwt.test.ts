/** Whose tokens pass, against a real gateway. What attackers try is in `hostile-tokens.test.ts`. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { suite, test } from 'node:test';
import { fieldValue } from '../../support/message-parser.ts';
import { RawUpstream } from '../../support/raw-upstream.ts';
import { TokenGateway } from '../../support/token-gateway.ts';
import { encodePart, headerOf, signingPair, tokenOf } from '../../support/tokens.ts';

const now = 1_800_000_000;
const iss = 'https://issuer.test';
const claims = { iss, aud: 'api', sub: 'alice', exp: now + 300 };
const pair = signingPair('ES256', 'key-1');
const accepted = { issuer: iss, audience: 'api', keys: [{ jwk: pair.jwk }] };
const token = tokenOf(pair, claims);

suite('a token', () => {
  for (const algorithm of [
    'RS256',
    'RS384',
    'RS512',
    'PS256',
    'PS384',
    'PS512',
    'ES256',
    'ES384',
    'ES512',
    'EdDSA',
    'Ed25519',
  ]) {
    test(`may be signed with ${algorithm}`, async (t) => {
      const signer = signingPair(algorithm, 'k');
      const pem = signer.publicKey.export({ type: 'spki', format: 'pem' });
      const gateway = await TokenGateway.start(t, { keys: [{ pem, algorithm }] });
      assert.equal((await gateway.bearer(tokenOf(signer, claims))).status, 200);
      assert.equal((await gateway.bearer(tokenOf(signingPair(algorithm, 'k'), claims))).status, 401);
    });
  }

  for (const [algorithm, bytes] of [
    ['HS256', 32],
    ['HS384', 48],
    ['HS512', 64],
  ] as const) {
    test(`may be signed with ${algorithm}`, async (t) => {
      const secret = 's'.repeat(bytes);
      const gateway = await TokenGateway.start(
        t,
        { keys: [{ secret: '${env:SECRET}', algorithm }] },
        { env: { SECRET: secret } },
      );
      const input = `${encodePart({ alg: algorithm })}.${encodePart(claims)}`;
      const signed = (key: string): string =>
        `${input}.${createHmac(`sha${algorithm.slice(2)}`, key)
          .update(input)
          .digest('base64url')}`;
      assert.equal((await gateway.bearer(signed(secret))).status, 200);
      assert.equal((await gateway.bearer(signed(`${secret}x`))).status, 401);
    });
  }

  test('may come in another header, a cookie, or the query, and in one of them only', async (t) => {
    const gateway = await TokenGateway.start(t, { ...accepted, header: 'x-token', cookie: 'token', query: 'token' });
    assert.equal((await gateway.ask(`x-token: ${token}\r\n`)).status, 200);
    assert.equal((await gateway.ask(`X-Token: Bearer ${token}\r\n`)).status, 200);
    assert.equal((await gateway.ask(`cookie: a=b; token=${token}\r\n`)).status, 200);
    assert.equal((await gateway.ask('', `/?token=${token}`)).status, 200);
    assert.equal((await gateway.bearer(token)).status, 401);
    assert.equal((await gateway.ask(`x-token: ${token}\r\ncookie: token=${token}\r\n`)).status, 401);
    assert.equal((await gateway.ask(`x-token: ${token}\r\n`, `/?token=${token}`)).status, 401);
    assert.equal((await gateway.ask(`x-token: ${token}\r\nx-token: ${token}\r\n`)).status, 401);
    assert.equal((await gateway.ask(`x-token: ${token}, ${token}\r\n`)).status, 401);
    assert.equal((await gateway.ask('', `/?token=${token}&%74oken=${token}`)).status, 401);
  });

  test('goes by the name Bearer in any case, and others are none', async (t) => {
    const gateway = await TokenGateway.start(t, accepted);
    for (const scheme of ['Bearer ', 'bearer ', 'BEARER   ']) {
      assert.equal((await gateway.ask(`authorization: ${scheme}${token}\r\n`)).status, 200, scheme);
    }
    const none = await gateway.ask('');
    assert.match(none.text, /www-authenticate: Bearer realm="api"\r\n/i);
    for (const scheme of ['', 'Basic ', 'Token ', 'Bearer\t', 'Bearer,', 'Bearer:', 'Bearer%20', 'Bêarer ', 'DPoP ']) {
      assert.deepEqual(await gateway.ask(`authorization: ${scheme}${token}\r\n`), none, scheme);
    }
    const wrong = await gateway.bearer('x');
    for (const value of ['Bearer', `Bearer ${token} x`, `Bearer ${token},${token}`, `Bearer "${token}"`]) {
      assert.deepEqual(await gateway.ask(`authorization: ${value}\r\n`), wrong, value);
    }
    assert.deepEqual(await gateway.ask(`authorization: Bearer ${token}\r\nAuthorization: Bearer ${token}\r\n`), wrong);
    assert.deepEqual(await gateway.ask(`authorization: Basic eDp5\r\nauthorization: Bearer ${token}\r\n`), wrong);
  });

  test('is not sent on, unless that is asked for; what is no token is', async (t) => {
    for (const forward of [false, true]) {
      const upstream = await RawUpstream.start(t);
      const changes = {
        upstreams: { service: { targets: [upstream.url] } },
        routes: {
          all: { policies: [{ jwt: { ...accepted, forward, optional: true } } as never], upstream: 'service' },
        },
      };
      const gateway = await TokenGateway.start(t, {}, { changes });
      await gateway.bearer(token);
      await gateway.ask('authorization: Basic eDp5\r\n');
      const sent = upstream.requests.map(({ fields }) => fieldValue(fields, 'authorization'));
      assert.deepEqual(sent, [forward ? `Bearer ${token}` : undefined, 'Basic eDp5']);
    }
  });
});

suite('the claims of a token', () => {
  const cases: readonly (readonly [what: string, claims: Record<string, unknown>, accepted: boolean])[] = [
    ['no expiry', { exp: undefined }, false],
    ['expired now', { exp: now }, false],
    ['expired a second ago', { exp: now - 1 }, false],
    ['about to expire', { exp: now + 1 }, true],
    ['a fraction of a second', { exp: now + 0.5 }, true],
    ['an expiry as text', { exp: String(now + 300) }, false],
    ['an expiry in a list', { exp: [now + 300] }, false],
    ['an expiry in milliseconds', { exp: (now + 300) * 1000 }, false],
    ['a negative expiry', { exp: -1 }, false],
    ['true as an expiry', { exp: true }, false],
    ['not yet', { nbf: now + 1 }, false],
    ['from now on', { nbf: now }, true],
    ['not before some text', { nbf: '0' }, false],
    ['not before null', { nbf: null }, false],
    ['issued long ahead', { iat: now + 61 }, false],
    ['issued just now by a clock ahead', { iat: now + 30 }, true],
    ['issued as text', { iat: 'now' }, false],
    ['another issuer', { iss: 'https://issuer.test.evil' }, false],
    ['an issuer with a slash', { iss: `${iss}/` }, false],
    ['an issuer in capitals', { iss: iss.toUpperCase() }, false],
    ['no issuer', { iss: undefined }, false],
    ['a list of issuers', { iss: [iss] }, false],
    ['a number of an issuer', { iss: 1 }, false],
    ['a null issuer', { iss: null }, false],
    ['another audience', { aud: 'apis' }, false],
    ['no audience', { aud: undefined }, false],
    ['several audiences', { aud: ['web', 'api'] }, true],
    ['no audiences', { aud: [] }, false],
    ['an audience within a list', { aud: [['api']] }, false],
    ['an audience in an object', { aud: { api: true } }, false],
    ['a null audience', { aud: null }, false],
    ['an audience among what is none', { aud: ['api', null] }, false],
    ['a number as subject', { sub: 7 }, false],
    ['no subject', { sub: undefined }, true],
    ['an object as id', { jti: {} }, false],
  ];
  test('are believed if they are what RFC 7519 says, and all others are answered alike', async (t) => {
    const gateway = await TokenGateway.start(t, accepted);
    const refused = await gateway.bearer('x');
    for (const [what, changed, isAccepted] of cases) {
      const answer = await gateway.bearer(tokenOf(pair, { ...claims, ...changed }));
      if (isAccepted) assert.equal(answer.status, 200, what);
      else assert.deepEqual(answer, refused, what);
    }
  });

  test('are looked at again each time, as long as the token is remembered', async (t) => {
    const gateway = await TokenGateway.start(t, accepted);
    assert.equal((await gateway.bearer(token)).status, 200);
    gateway.clock.advance(299_000);
    assert.equal((await gateway.bearer(token)).status, 200);
    gateway.clock.advance(1_000);
    assert.deepEqual(await gateway.bearer(token), await gateway.bearer('x'));
  });

  test('may be wrong by as much as clocks differ', async (t) => {
    const gateway = await TokenGateway.start(t, { ...accepted, clockSkew: '30s' });
    const late = tokenOf(pair, { ...claims, exp: now - 29 });
    const early = tokenOf(pair, { ...claims, nbf: now + 30 });
    assert.equal((await gateway.bearer(late)).status, 200);
    assert.equal((await gateway.bearer(early)).status, 200);
    assert.equal((await gateway.bearer(tokenOf(pair, { ...claims, exp: now - 30 }))).status, 401);
    assert.equal((await gateway.bearer(tokenOf(pair, { ...claims, nbf: now + 31 }))).status, 401);
    gateway.clock.advance(1_000);
    assert.equal((await gateway.bearer(late)).status, 401);
  });

  test('must say what is asked for', async (t) => {
    const asked = {
      tenant: 'acme',
      plan: ['gold', 'silver'],
      amr: { contains: ['mfa', 'pwd'] },
      'realm_access.roles': { contains: 'admin' },
      email: { present: true },
      verified: true,
      level: 3,
    };
    const good = {
      ...claims,
      tenant: 'acme',
      plan: 'silver',
      amr: ['pwd', 'otp', 'mfa'],
      realm_access: { roles: ['admin'] },
      email: '',
      verified: true,
      level: 3,
    };
    const gateway = await TokenGateway.start(t, { ...accepted, claims: asked });
    const refused = await gateway.bearer('x');
    assert.equal((await gateway.bearer(tokenOf(pair, good))).status, 200);
    for (const changed of [
      { tenant: 'ACME' },
      { tenant: ['acme'] },
      { tenant: undefined },
      { plan: 'gold,silver' },
      { plan: ['gold'] },
      { amr: ['mfa'] },
      { amr: 'mfa pwd' },
      { realm_access: ['roles'] },
      { realm_access: { roles: 'admin' } },
      { email: null },
      { email: undefined },
      { verified: 'true' },
      { verified: 1 },
      { level: '3' },
      { level: 4 },
    ]) {
      assert.deepEqual(await gateway.bearer(tokenOf(pair, { ...good, ...changed })), refused, JSON.stringify(changed));
    }
    // What objects have by birth is no claim.
    const native = await TokenGateway.start(t, { ...accepted, claims: { constructor: { present: true } } });
    assert.equal((await native.bearer(token)).status, 401);
  });

  test('must come in a token of the right type', async (t) => {
    const typed = (typ: unknown): string => tokenOf(pair, claims, { ...headerOf(pair), typ });
    const usual = await TokenGateway.start(t, accepted);
    for (const typ of ['JWT', 'jwt', 'application/jwt', 'at+jwt', 'application/AT+JWT', undefined]) {
      assert.equal((await usual.bearer(typed(typ))).status, 200, String(typ));
    }
    for (const typ of ['dpop+jwt', 'logout+jwt', 'secevent+jwt', 'JOSE', '', 'text/jwt', 1, null, ['JWT']]) {
      assert.equal((await usual.bearer(typed(typ))).status, 401, JSON.stringify(typ));
    }
    const strict = await TokenGateway.start(t, { ...accepted, typ: 'at+jwt' });
    assert.equal((await strict.bearer(typed('at+jwt'))).status, 200);
    for (const typ of ['JWT', undefined]) assert.equal((await strict.bearer(typed(typ))).status, 401, String(typ));
  });
});

suite('several issuers', () => {
  const other = signingPair('RS256', 'key-1');
  const theirs = 'https://other.test';
  const providers = [
    accepted,
    { issuer: theirs, audience: ['other-api'], keys: [{ jwk: other.jwk }], claims: { tenant: 'x' } },
  ];

  test('each have keys, audiences and claims of their own', async (t) => {
    const gateway = await TokenGateway.start(t, { providers });
    const good = { ...claims, iss: theirs, aud: 'other-api', tenant: 'x' };
    assert.equal((await gateway.bearer(token)).status, 200);
    assert.equal((await gateway.bearer(tokenOf(other, good))).status, 200);
    const refused = await gateway.bearer('x');
    for (const wrong of [
      // The keys of one issuer are not those of another, whatever they are called.
      tokenOf(pair, good),
      tokenOf(other, { ...good, iss }),
      tokenOf(other, { ...claims, tenant: 'x' }),
      tokenOf(pair, { ...claims, aud: 'other-api' }),
      tokenOf(other, { ...good, aud: 'api' }),
      tokenOf(other, { ...good, tenant: 'y' }),
      tokenOf(other, { ...good, iss: undefined }),
      tokenOf(other, { ...good, iss: [theirs] }),
      tokenOf(other, { ...good, iss: 'https://third.test' }),
    ]) {
      assert.deepEqual(await gateway.bearer(wrong), refused);
    }
  });
});

suite('scopes', () => {
  test('that were not granted are refused with 403, whatever is missing', async (t) => {
    const gateway = await TokenGateway.start(t, { ...accepted, realm: 'shop', scopes: ['read', 'write'] });
    const granted = (more: Record<string, unknown>) => gateway.bearer(tokenOf(pair, { ...claims, ...more }));
    for (const more of [{ scope: 'write read other' }, { scope: ['read', 'write'] }, { scp: ['write', 'read'] }]) {
      assert.equal((await granted(more)).status, 200, JSON.stringify(more));
    }
    const refused = await granted({});
    assert.equal(refused.status, 403);
    assert.match(refused.text, /"code":"FORBIDDEN"/);
    assert.match(
      refused.text,
      /\r\nwww-authenticate: Bearer realm="shop", error="insufficient_scope", scope="read write"\r\n/i,
    );
    for (const more of [
      { scope: 'read' },
      { scope: 'read,write' },
      { scope: 'READ WRITE' },
      { scope: '', scp: 'read write' },
      { scope: { read: true, write: true } },
      { scope: ['read write'] },
      { permissions: ['read', 'write'] },
    ]) {
      assert.deepEqual(await granted(more), refused, JSON.stringify(more));
      assert.deepEqual(await granted(more), refused, 'and from memory');
    }
    assert.equal((await gateway.bearer(tokenOf(signingPair('ES256', 'key-1'), claims))).status, 401);
  });
});

suite('what the upstream is told', () => {
  test('are the claims that were chosen, and nothing that the client says in their place', async (t) => {
    const upstream = await RawUpstream.start(t);
    const changes = {
      upstreams: { service: { targets: [upstream.url] } },
      routes: {
        all: {
          policies: [
            { jwt: { ...accepted, optional: true, forwardClaims: { 'x-user': 'sub', 'x-mail': 'mail' } } },
          ] as never,
          upstream: 'service',
        },
      },
    };
    const gateway = await TokenGateway.start(t, {}, { changes });
    const spoofed = 'x-user: root\r\nX-Mail: root@x\r\nx_user: root\r\nx-consumer: root\r\n';
    const told = async (more: Record<string, unknown> | null) => {
      const bearer = more === null ? '' : `authorization: Bearer ${tokenOf(pair, { ...claims, ...more })}\r\n`;
      assert.equal((await gateway.ask(`${spoofed}${bearer}`)).status, 200);
      const { fields } = upstream.requests.at(-1)!;
      assert.ok(!JSON.stringify(fields).includes('root'));
      return fields.filter(([name]) => name === 'x-user' || name === 'x-mail');
    };
    assert.deepEqual(await told({}), [['x-user', 'alice']]);
    assert.deepEqual(await told({ mail: 'a@b' }), [
      ['x-user', 'alice'],
      ['x-mail', 'a@b'],
    ]);
    assert.deepEqual(await told(null), []);
    for (const sub of ['a\r\nx-admin: 1', 'a\nb', 'a\0', ' a', 'a ', '']) {
      assert.deepEqual(await told({ sub }), [], sub);
    }
    assert.deepEqual(await told({ sub: '__proto__' }), [['x-user', '__proto__']]);
  });
});
