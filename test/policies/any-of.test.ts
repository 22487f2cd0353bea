/** CVE-2021-21378: what several policies that authenticate come to together is one total function, written down here. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import type { InnerPolicy, Policy } from '../../src/contract.ts';
import { anyOf } from '../../src/policies/any-of.ts';
import { FakeEnv, FakeExchange, createPolicy, runThrough } from '../support/fake-exchange.ts';
import { type Finding, type HeaderPolicyOptions, headerPolicy } from '../support/header-policy.ts';

const findings: readonly Finding[] = ['missing', 'invalid', 'unavailable', 'damped', 'answered', 'valid'];
const names = ['a', 'b', 'c'];

interface Way extends HeaderPolicyOptions {
  readonly forward?: boolean;
  readonly optional?: boolean;
}

function wayOf(name: string, { forward = false, optional = false, ...given }: Way = {}, env = new FakeEnv()): Policy {
  return createPolicy(headerPolicy(name, given), { forward, optional }, env);
}

function combined(ways: readonly (readonly [name: string, way: Way])[], env = new FakeEnv()): Policy {
  const inner = ways.map(([name, way]): InnerPolicy => ({ name, policy: wayOf(name, way, env) }));
  return createPolicy(anyOf, Array(Math.max(2, ways.length)).fill('x'), env, inner);
}

const requestWith = (found: readonly Finding[]): FakeExchange =>
  new FakeExchange({
    headers: found.flatMap((finding, index) =>
      finding === 'missing' ? [] : [[`x-${names[index]}`, finding] as const],
    ),
  });

/** The status of an answer, or who passes. */
async function outcomeOf(policies: readonly Policy[], exchange: FakeExchange): Promise<string> {
  const { reply } = await runThrough(policies, exchange);
  if (reply !== null) return reply.status === 302 ? `login ${String(reply.body)}` : String(reply.status);
  return exchange.credential === null ? 'nobody' : exchange.credential.method;
}

/** Written down once more, as the guide says it. */
function expectedOf(found: readonly Finding[]): string {
  for (const [index, finding] of found.entries()) {
    if (finding === 'valid') return names[index];
    if (finding === 'answered') return `login ${names[index]}`;
  }
  if (found.includes('damped')) return '429';
  return found.includes('unavailable') ? '503' : '401';
}

const tuples = (length: number): Finding[][] =>
  length === 0 ? [[]] : tuples(length - 1).flatMap((rest) => findings.map((finding) => [finding, ...rest]));

suite('anyOf', () => {
  for (const [length, isSlow] of [
    [2, false],
    [2, true],
    [3, false],
    [3, true],
  ] as const) {
    test(`of ${length} ${isSlow ? 'slow ' : ''}ways decides by all that they can find`, async () => {
      for (const found of tuples(length)) {
        const policy = combined(found.map((_, index) => [names[index], { isSlow }] as const));
        assert.equal(await outcomeOf([policy], requestWith(found)), expectedOf(found), found.join());
      }
    });
  }

  test('has no other table for ways of which some are slow', async () => {
    const way = fc.record({ finding: fc.constantFrom(...findings), isSlow: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(way, { minLength: 2, maxLength: 3 }), async (ways) => {
        const policy = combined(ways.map(({ isSlow }, index) => [names[index], { isSlow }] as const));
        const found = ways.map(({ finding }) => finding);
        assert.equal(await outcomeOf([policy], requestWith(found)), expectedOf(found));
      }),
    );
  });

  test('asks for all its ways, and says only of what was sent that it is wrong', async () => {
    const challengesOf = async (found: readonly Finding[]): Promise<readonly string[]> => {
      const policy = combined(names.map((name) => [name, {}] as const));
      const { reply } = await runThrough([policy], requestWith(found));
      return (reply?.headers ?? []).filter(([name]) => name === 'www-authenticate').map(([, value]) => value);
    };
    assert.deepEqual(await challengesOf(['missing', 'missing', 'missing']), [
      'Custom realm="a"',
      'Custom realm="b"',
      'Custom realm="c"',
    ]);
    assert.deepEqual(await challengesOf(['missing', 'invalid', 'missing']), [
      'Custom realm="a"',
      'Custom realm="b", error="invalid"',
      'Custom realm="c"',
    ]);
  });

  test('says in the log what each way has found', async () => {
    const { reply } = await runThrough(
      [combined(names.map((name) => [name, {}] as const))],
      requestWith(['missing', 'invalid', 'missing']),
    );
    assert.equal(reply?.reason, 'a: nothing sent; b: found invalid; c: nothing sent');
  });

  test('sends to the login of a way when nothing was sent at all', async () => {
    const login = { status: 302, body: 'b' };
    const policy = combined([
      ['a', {}],
      ['b', { login }],
    ]);
    assert.equal(await outcomeOf([policy], requestWith(['missing', 'missing'])), 'login b');
    assert.equal(await outcomeOf([policy], requestWith(['valid', 'missing'])), 'a');
    assert.equal(await outcomeOf([policy], requestWith(['invalid', 'missing'])), '401', 'what was sent is wrong');
    assert.equal(await outcomeOf([policy], requestWith(['unavailable', 'missing'])), '503');
  });

  test('GHSA-7r4p-vjf4-gxv4: takes the credentials of all ways out of what goes on, and lets only the one that counted tell', async () => {
    for (const found of tuples(3).filter((one) => one.includes('valid') && !one.includes('answered'))) {
      const exchange = requestWith(found);
      for (const name of names) exchange.requestHeaders.add(`X-Told-By-${name}`, 'spoofed');
      const winner = await outcomeOf([combined(names.map((name) => [name, {}] as const))], exchange);
      assert.deepEqual([...exchange.requestHeaders], [[`x-told-by-${winner}`, 'yes']], found.join());
    }
  });

  test('takes nothing out that the way which counted has told, where another one looks for its credential', async () => {
    const exchange = new FakeExchange({ headers: { 'x-b': 'valid', 'x-told-by-b': 'invalid' } });
    assert.equal(
      await outcomeOf(
        [
          combined([
            ['told-by-b', {}],
            ['b', {}],
          ]),
        ],
        exchange,
      ),
      'b',
    );
    assert.deepEqual(exchange.requestHeaders.getAll('x-told-by-b'), ['yes']);
  });

  test('leaves a credential in the request where its way says so', async () => {
    const exchange = requestWith(['valid', 'valid']);
    const policy = combined([
      ['a', { forward: true }],
      ['b', {}],
    ]);
    assert.equal(await outcomeOf([policy], exchange), 'a');
    assert.equal(exchange.requestHeaders.get('x-a'), 'valid');
    assert.equal(exchange.requestHeaders.get('x-b'), undefined);
  });

  test('counts a failure once, however many ways have failed', async () => {
    const failures: string[] = [];
    const env = Object.assign(new FakeEnv(), {
      damping: {
        look: () => ({ delayMs: 0, refuseMs: 0 }),
        failed: (clientIp: string) => failures.push(clientIp),
        succeeded() {},
      },
    });
    const policy = combined(
      names.map((name) => [name, {}] as const),
      env,
    );
    await outcomeOf([policy], requestWith(['invalid', 'invalid', 'invalid']));
    assert.deepEqual(failures, ['192.0.2.10']);
    await outcomeOf([policy], requestWith(['invalid', 'valid', 'missing']));
    await outcomeOf([policy], requestWith(['missing', 'missing', 'missing']));
    assert.equal(failures.length, 1);
  });

  test('counts guesses at an account, whatever else comes with them', async () => {
    const failures: string[] = [];
    const env = Object.assign(new FakeEnv(), {
      damping: {
        look: () => ({ delayMs: 0, refuseMs: 0 }),
        failed: (_clientIp: string, account: string) => failures.push(account),
        succeeded() {},
      },
    });
    const policy = combined(
      [
        ['a', { account: 'bob' }],
        ['b', {}],
      ],
      env,
    );
    for (const [found, expected] of [
      [['invalid', 'valid'], ['bob']],
      [['invalid', 'unavailable'], ['bob']],
      [['invalid', 'damped'], ['bob']],
      [['invalid', 'missing'], ['bob']],
      [['invalid', 'invalid'], ['bob']],
      [['missing', 'invalid'], ['']],
      [['missing', 'valid'], []],
    ] as const) {
      failures.length = 0;
      await outcomeOf([policy], requestWith(found));
      assert.deepEqual(failures, expected, found.join());
    }
  });

  test('is the same as one long list where it is one of several ways itself', async () => {
    for (const found of tuples(3)) {
      const env = new FakeEnv();
      const inner = combined(
        [
          ['b', {}],
          ['c', {}],
        ],
        env,
      );
      const policy = createPolicy(anyOf, ['x', 'y'], env, [
        { name: 'a', policy: wayOf('a') },
        { name: 'inner', policy: inner },
      ]);
      assert.equal(await outcomeOf([policy], requestWith(found)), expectedOf(found), found.join());
    }
  });

  test('does for all its ways what they do besides', async () => {
    const done: string[] = [];
    const way = (name: string): InnerPolicy => ({
      name,
      policy: {
        ...wayOf(name),
        buffersRequest: name === 'a' ? 10 : 1000,
        onUpstreamRequest: () => void done.push(`send ${name}`),
        onResponse: async () => void done.push(`respond ${name}`),
        onFinish: () => void done.push(`finish ${name}`),
      },
    });
    const policy = createPolicy(anyOf, ['x', 'y'], new FakeEnv(), [way('a'), way('b')]);
    assert.equal(policy.buffersRequest, 1000);
    const exchange = requestWith(['valid', 'missing']);
    await policy.onUpstreamRequest?.(exchange, {} as never);
    await runThrough([policy], exchange);
    assert.deepEqual(done, ['send a', 'send b', 'respond b', 'respond a', 'finish a', 'finish b']);
  });

  test('cannot be made of what does not authenticate, or changes bodies', () => {
    const make = (...inner: readonly InnerPolicy[]): Policy => createPolicy(anyOf, ['x', 'y'], new FakeEnv(), inner);
    const a = { name: 'a', policy: wayOf('a') };
    assert.throws(() => make(a, { name: 'silent', policy: {} }), /^Error: silent does not authenticate/);
    assert.throws(() => make(a, { name: 'b', policy: { ...wayOf('b'), transformResponse: () => null } }), /bodies/);
  });

  test('stops where a way fails, instead of taking the next', async () => {
    const broken: Policy = {
      authenticator: {
        challenge: '',
        authenticate() {
          throw new Error('broken');
        },
        conceal() {},
      },
    };
    const policy = createPolicy(anyOf, ['x', 'y'], new FakeEnv(), [
      { name: 'broken', policy: broken },
      { name: 'a', policy: wayOf('a') },
    ]);
    const exchange = requestWith(['valid']);
    await assert.rejects(runThrough([policy], exchange), /broken/);
    assert.equal(exchange.credential, null);
  });
});

suite('policies that authenticate, one after another', () => {
  /** Every one has to be satisfied; one that is optional is by nothing being sent, and by nothing else that is wrong. */
  function expectedOfAll(ways: readonly { readonly finding: Finding; readonly optional: boolean }[]): string {
    let who = 'nobody';
    for (const [index, { finding, optional }] of ways.entries()) {
      if (finding === 'valid') who = names[index];
      else if (finding === 'answered') return `login ${names[index]}`;
      else if (finding === 'damped') return '429';
      else if (finding === 'unavailable') return '503';
      else if (finding === 'invalid' || !optional) return '401';
    }
    return who;
  }

  for (const length of [2, 3]) {
    test(`let nobody through by what ${length} of them come to together`, async () => {
      for (const found of tuples(length)) {
        for (let bits = 0; bits < 2 ** length; bits++) {
          const ways = found.map((finding, index) => ({ finding, optional: (bits & (1 << index)) !== 0 }));
          const policies = ways.map(({ optional }, index) => wayOf(names[index], { optional }));
          const label = ways.map(({ finding, optional }) => `${finding}${optional ? '?' : ''}`).join();
          assert.equal(await outcomeOf(policies, requestWith(found)), expectedOfAll(ways), label);
        }
      }
    });
  }

  test('let nobody through beside an anyOf either', async () => {
    for (const found of tuples(3)) {
      const policies = [
        wayOf('a', { optional: true }),
        combined([
          ['b', {}],
          ['c', {}],
        ]),
      ];
      const [first, ...rest] = found;
      const expected =
        expectedOfAll([{ finding: first, optional: true }]) === 'nobody' || first === 'valid'
          ? expectedOf(['missing', ...rest])
          : expectedOfAll([{ finding: first, optional: true }]);
      assert.equal(await outcomeOf(policies, requestWith(found)), expected, found.join());
    }
  });

  test('take a refusal from another copy of the gateway for a defect, not for a credential', async () => {
    const foreign = { kind: 'invalid', reason: 'from elsewhere', reply: null };
    const policy = createPolicy(anyOf, ['x', 'y'], new FakeEnv(), [
      {
        name: 'foreign',
        policy: { authenticator: { challenge: '', authenticate: () => foreign as never, conceal() {} } },
      },
      { name: 'a', policy: wayOf('a') },
    ]);
    const exchange = requestWith(['valid']);
    await assert.rejects(runThrough([policy], exchange), TypeError);
    assert.equal(exchange.credential, null);
  });
});
