/** What policies that read claims have in common: whose they are, what they grant and what the upstream is told of them. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { ConsumerIndex } from '../../../src/consumers/consumer-index.ts';
import { type Authenticator, type Claims, Refusal } from '../../../src/contract.ts';
import { authenticating } from '../../../src/policies/authentication/authenticating.ts';
import { ConsumerOfClaims } from '../../../src/policies/authentication/consumer-of-claims.ts';
import { credentialOfClaims } from '../../../src/policies/authentication/credential-of-claims.ts';
import { ForwardedClaims, forwardClaimsOption } from '../../../src/policies/authentication/forward-claims.ts';
import { scopesOfClaims } from '../../../src/policies/authentication/scopes-of-claims.ts';
import { FakeEnv, FakeExchange } from '../../support/fake-exchange.ts';

const nothing = { groups: [], apiKeys: [], basic: null, hmac: [], signing: [], jwt: [], certificates: [] };

function told(record: Record<string, string>, claims: Claims, headers: Record<string, string> = {}): FakeExchange {
  const forwarded = new ForwardedClaims(forwardClaimsOption.parse(record));
  const authenticator: Authenticator = {
    challenge: 'Bearer',
    ownHeaders: forwarded.headers,
    authenticate: () => credentialOfClaims('jwt', claims, null),
    conceal() {},
    tell: (exchange, credential) => forwarded.tell(exchange, credential),
  };
  const exchange = new FakeExchange({ headers });
  const reply = authenticating(authenticator, { forward: false, optional: false }, new FakeEnv()).onRequest?.(exchange);
  assert.equal(reply, undefined);
  return exchange;
}

function valueOf(claim: unknown): string | undefined {
  return told({ 'x-user': 'claim' }, { claim }, { 'x-user': 'forged' }).requestHeaders.get('x-user');
}

suite('consumerBy', () => {
  const consumers = new ConsumerIndex();
  consumers.replace([
    { ...nothing, name: 'shop' },
    { ...nothing, name: '7' },
    { ...nothing, name: 'app', jwt: [{ sub: 'app-sub' }] },
  ]);
  const nameOf = (claims: Claims, by?: string): string | null => {
    return new ConsumerOfClaims(by, consumers).of(claims)?.name ?? null;
  };

  test('names the claim that names the consumer', () => {
    assert.equal(nameOf({ client: 'shop' }, 'client'), 'shop');
    assert.equal(nameOf({ tenant: { id: 'shop' } }, 'tenant.id'), 'shop');
    assert.equal(nameOf({ 'https://a.example/id': 'shop' }, 'https://a.example/id'), 'shop');
    assert.equal(nameOf({ client: 7 }, 'client'), '7');
  });

  test('finds nobody for another name, another type, or what is not in the claims themselves', () => {
    for (const client of ['nobody', '', ['shop'], { name: 'shop' }, null, true, 2 ** 53]) {
      assert.equal(nameOf({ client }, 'client'), null, JSON.stringify(client));
    }
    for (const path of ['constructor', '__proto__', 'toString.name', 'client.length', 'list.0']) {
      assert.equal(nameOf({ client: 'shop', list: ['shop'] }, path), null, path);
    }
  });

  test('left out leaves it to the conditions of the consumers', () => {
    assert.equal(nameOf({ sub: 'app-sub' }), 'app');
    assert.equal(nameOf({ sub: 'other' }), null);
    assert.equal(nameOf({ sub: 'app-sub' }, 'client'), null);
  });
});

suite('the scopes of claims', () => {
  const cases: readonly (readonly [claims: Claims, scopes: readonly string[]])[] = [
    [{ scope: 'read write' }, ['read', 'write']],
    [{ scope: ' read  ' }, ['read']],
    [{ scope: ['read', 'write'] }, ['read', 'write']],
    [{ scp: 'read' }, ['read']],
    [{ scp: ['read'] }, ['read']],
    [{ scope: 'read', scp: ['write'] }, ['read']],
    [{ scope: '' }, []],
    [{ scope: 7 }, []],
    [{ scope: { read: true } }, []],
    [{ scope: ['read', 7, null, ['write']] }, ['read']],
    [Object.create({ scope: 'read' }) as Claims, []],
    [{}, []],
  ];
  for (const [claims, scopes] of cases) {
    test(JSON.stringify(claims), () => assert.deepEqual(scopesOfClaims(claims), scopes));
  }
});

suite('forwardClaims', () => {
  test('tells the upstream chosen claims', () => {
    const claims = { sub: 'alice', realm: { roles: ['a', 'b'] }, admin: false, age: 7, 'https://a.example/x': 'y' };
    const record = {
      'X-User': 'sub',
      'x-roles': 'realm.roles',
      'x-admin': 'admin',
      'x-age': 'age',
      'x-y': 'https://a.example/x',
    };
    const { requestHeaders } = told(record, claims);
    assert.deepEqual(
      [...requestHeaders],
      [
        ['X-User', 'alice'],
        ['x-roles', 'a,b'],
        ['x-admin', 'false'],
        ['x-age', '7'],
        ['x-y', 'y'],
      ],
    );
  });

  test('GHSA-7r4p-vjf4-gxv4: what the client sends in these headers is gone, whether or not there is a claim', () => {
    const record = { 'x-user': 'sub', 'x-mail': 'email' };
    const { requestHeaders } = told(record, { sub: 'alice' }, { 'X-USER': 'forged', 'x-mail': 'forged', 'x-a': '1' });
    assert.deepEqual(
      [...requestHeaders],
      [
        ['x-a', '1'],
        ['x-user', 'alice'],
      ],
    );
  });

  test('GHSA-7r4p-vjf4-gxv4: and also where nobody has to authenticate and nobody did', () => {
    const authenticator: Authenticator = {
      challenge: '',
      ownHeaders: ['x-user'],
      authenticate: () => new Refusal('missing', 'no token'),
      conceal() {},
    };
    for (const forward of [true, false]) {
      const exchange = new FakeExchange({ headers: { 'x-user': 'forged' } });
      const policy = authenticating(authenticator, { forward, optional: true }, new FakeEnv());
      assert.equal(policy.onRequest?.(exchange), undefined);
      assert.equal(exchange.requestHeaders.has('x-user'), false);
    }
  });

  test('header injection through claims: what would end the header, or be read as somebody else, is not told', () => {
    for (const claim of ['a\r\nx-admin: 1', 'a\n', '\0', 'a\u007f', '\ud800', '', ' alice', 'alice ', 'alice\u00a0']) {
      assert.equal(valueOf(claim), undefined, JSON.stringify(claim));
    }
    for (const claim of [
      2 ** 53,
      -(2 ** 53),
      null,
      {},
      { a: 1 },
      [],
      ['a,b'],
      ['a', ''],
      ['a', ['b']],
      'x'.repeat(4097),
    ]) {
      assert.equal(valueOf(claim), undefined, JSON.stringify(claim));
    }
  });

  test('what is not ASCII goes as UTF-8', () => {
    const octets = Buffer.from(valueOf('Zoë 例')!, 'latin1');
    assert.equal(octets.toString('utf8'), 'Zoë 例');
  });

  test('never makes a header that is none, whatever is in the claim', () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.string({ unit: 'binary' })), (claim) => {
        // The fields of the fake exchange are those of the gateway: they throw for what is no value.
        assert.notEqual(valueOf(claim), 'forged');
      }),
    );
  });

  test('refuses headers that are not for it to set', () => {
    for (const record of [
      { 'content-length': 'a' },
      { 'X-Consumer': 'a' },
      { 'x-a': 'a', 'X-A': 'b' },
      { 'x-a': '' },
    ]) {
      assert.equal(forwardClaimsOption.safeParse(record).success, false, JSON.stringify(record));
    }
  });
});
