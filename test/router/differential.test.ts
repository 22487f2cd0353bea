/** The router and the loop that says what it means must agree on every request and every set of rules. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { QueryValues } from '../../src/proxy/router/query-values.ts';
import { Router, type RoutableRequest, type RouteRule } from '../../src/proxy/router/router.ts';
import { requests, rules } from './arbitraries.ts';
import { linearMatch } from './linear-reference.ts';
import { rule } from './requests.ts';

function agree(all: readonly RouteRule<string>[], router: Router<string>, asked: RoutableRequest): void {
  const expected = linearMatch(all, asked);
  const actual = router.match(asked);
  assert.deepEqual(
    actual?.kind === 'route' ? [actual.rule.name, actual.params] : actual,
    expected?.kind === 'route' ? [expected.rule.name, expected.params] : expected,
  );
}

describe('the router and the linear reference', () => {
  it('agree on few rules, which tells a disagreement best', () => {
    fc.assert(
      fc.property(rules(4), fc.array(requests, { minLength: 4, maxLength: 8 }), (all, asked) => {
        const router = Router.compile(all);
        for (const each of asked) agree(all, router, each);
      }),
      { numRuns: 1500 },
    );
  });

  it('agree on many rules', () => {
    fc.assert(
      fc.property(rules(60), fc.array(requests, { minLength: 20, maxLength: 40 }), (all, asked) => {
        const router = Router.compile(all);
        for (const each of asked) agree(all, router, each);
      }),
      { numRuns: 100 },
    );
  });

  it('agree on hundreds of hosts, with any case (CVE-2026-27587, CVE-2026-27588)', () => {
    const many = Array.from({ length: 301 }, (_, i) =>
      rule(`host ${i}`, { hosts: [`HOST${i}.X.y`], paths: i % 2 === 0 ? [] : ['/a/*'] }),
    );
    fc.assert(
      fc.property(rules(20), fc.array(requests, { minLength: 10, maxLength: 20 }), (some, asked) => {
        const all = [...many, ...some];
        const router = Router.compile(all);
        for (const each of asked) agree(all, router, each);
      }),
      { numRuns: 30 },
    );
  });

  it('give the same answer whatever the order of declaration', () => {
    const shuffled = rules(12).chain((all) =>
      fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
    );
    fc.assert(
      fc.property(shuffled, requests, ([all, others], asked) => {
        const [one, other] = [all, others].map((each) => Router.compile(each).match(asked));
        assert.deepEqual(one, other);
      }),
      { numRuns: 300 },
    );
  });
});

describe('QueryValues', () => {
  it('finds the first value of a name as URLSearchParams does, in whatever a client may send', () => {
    const piece = fc.constantFrom(
      'a',
      'b',
      '=',
      '&',
      '+',
      '%',
      '%2',
      '%61',
      '%3D',
      '%26',
      '%C3%A9',
      '%FF',
      '%E2%82',
      '%zz',
      'a=1',
      '%00',
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 12 }),
        fc.constantFrom('a', 'b', '', '%', '\u00e9', ' '),
        (pieces, name) => {
          const text = pieces.join('');
          const values = new QueryValues();
          values.reset(text);
          assert.equal(values.get(name) ?? null, new URLSearchParams(text).get(name), text);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
