import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import * as fc from 'fast-check';
import { type RouteIssue, analyseRoutes } from '../../src/proxy/router/analysis.ts';
import { type RoutableRequest, Router, type RouteRule } from '../../src/proxy/router/router.ts';
import { requests, rules as randomRules } from './arbitraries.ts';
import { linearMatch } from './linear-reference.ts';
import { outcome, request, rule } from './requests.ts';

/** `kind: loser < winner`. */
const summary = (rules: readonly RouteRule<string>[]): string[] =>
  analyseRoutes(rules).map(({ kind, route, other }) => `${kind}: ${route} < ${other}`);

/** The same, whatever the order in which they are declared. */
function finds(rules: readonly RouteRule<string>[], expected: readonly string[]): void {
  assert.deepEqual(summary(rules), expected);
  assert.deepEqual(summary(rules.toReversed()), expected);
}

/** What the reference says of the witness. */
function decide(rules: readonly RouteRule<string>[], { witness }: RouteIssue): string {
  assert.ok(witness);
  const { method, headers, listener, url } = witness;
  const target = url.replace('http://', '').replace(/^\[(.*)\]/, '$1');
  return outcome(linearMatch(rules, request(target, { method, headers, listener: listener ?? 'any' })));
}

describe('analyseRoutes', () => {
  const a = { paths: ['/a/{x}'] };
  const cases: readonly (readonly [what: string, rules: readonly RouteRule<string>[], expected: readonly string[]])[] =
    [
      ['nothing where paths differ', [rule('a', { paths: ['/a'] }), rule('b', { paths: ['/b'] })], []],
      [
        'nothing where the more specific path wins',
        [rule('a', { paths: ['/a/*'] }), rule('b', { paths: ['/a/b'] })],
        [],
      ],
      [
        'nothing where methods differ',
        [rule('a', { ...a, methods: ['GET'] }), rule('b', { ...a, methods: ['PUT'] })],
        [],
      ],
      ['two rules that say the same', [rule('a', a), rule('b', { paths: ['/a/{y}'] })], ['tied: b < a']],
      ['three of them', [rule('a', a), rule('b', a), rule('c', a)], ['tied: b < a', 'tied: c < a']],
      [
        'methods in common',
        [rule('a', { ...a, methods: ['GET', 'PUT'] }), rule('b', { ...a, methods: ['PUT', 'POST'] })],
        ['tied: b < a'],
      ],
      [
        'as many conditions on different headers',
        [
          rule('a', { ...a, headers: [{ name: 'X', equals: '1' }] }),
          rule('b', { ...a, headers: [{ name: 'Y', regex: '^v[0-9]$' }] }),
        ],
        ['tied: b < a'],
      ],
      [
        'nothing where a header or parameter cannot have both values',
        [
          rule('a', { headers: [{ name: 'X', equals: '1' }] }),
          rule('b', { headers: [{ name: 'x', equals: '2' }] }),
          rule('c', { query: [{ name: 'x', equals: '1' }] }),
          rule('d', { query: [{ name: 'x', regex: '^[2-9]$' }] }),
          rule('e', { hosts: ['e'], query: [{ name: 'x', present: true }] }),
          rule('f', { hosts: ['e'], query: [{ name: 'x', present: false }] }),
          rule('g', { hosts: ['g'], query: [{ name: 'x', regex: '^[a-m]+$' }] }),
          rule('h', { hosts: ['g'], query: [{ name: 'x', regex: '^[n-z]+$' }] }),
        ],
        [],
      ],
      [
        'expressions for a value that have one in common',
        [
          rule('a', { headers: [{ name: 'x', regex: '^[a-m]+q?$' }] }),
          rule('b', { headers: [{ name: 'x', regex: '^m[n-z]$' }] }),
        ],
        ['tied: b < a'],
      ],
      ['nothing on different listeners', [rule('a', { listeners: ['x'] }), rule('b', { listeners: ['y'] })], []],
      [
        'a listener in common',
        [rule('a', { listeners: ['x', 'y'] }), rule('b', { listeners: ['y'] })],
        ['tied: b < a'],
      ],
      [
        'one of several hosts in common',
        [rule('a', { hosts: ['x', 'y', '*.z'] }), rule('b', { hosts: ['*.Z', 'w'] })],
        ['tied: b < a'],
      ],
      ['nothing on different wildcards', [rule('a', { hosts: ['*.x.z'] }), rule('b', { hosts: ['*.y.z'] })], []],
      [
        'a tie where the word that is tried first belongs to another route',
        [rule('a', a), rule('b', a), rule('any', { paths: ['/a/any'] })],
        ['tied: b < a'],
      ],
      [
        'a tie that only a fourth method, header and parameter show',
        [
          rule('a', { paths: ['/*'] }),
          rule('b', { paths: ['/*'] }),
          rule('get', { paths: ['/*'], methods: ['GET', 'POST', 'PUT'] }),
          rule('without x', { paths: ['/*'], headers: [{ name: 'X', present: false }] }),
          rule('without q', { paths: ['/*'], query: [{ name: 'q', present: false }] }),
        ],
        ['tied: b < a'],
      ],
      [
        'an address of IPv6 in brackets',
        [rule('a', { hosts: ['2001:db8::1'] }), rule('b', { hosts: ['2001:db8::1'] })],
        ['tied: b < a'],
      ],

      ['a higher priority for everything', [rule('z', { priority: 1 }), rule('a', a)], ['shadowed: a < z']],
      ['a prefix of higher priority', [rule('z', { paths: ['/a/*'], priority: 1 }), rule('b', a)], ['shadowed: b < z']],
      ['nothing where the prefix is another', [rule('z', { paths: ['/a/b/*'], priority: 1 }), rule('b', a)], []],
      [
        'a wildcard of higher priority over its names',
        [rule('z', { hosts: ['*.x'], priority: 1 }), rule('a', { hosts: ['h.x'] }), rule('b', { hosts: ['x'] })],
        ['shadowed: a < z'],
      ],
      [
        'an expression behind a pattern for everything',
        [rule('z', { paths: ['/*'] }), rule('a', { paths: [{ regex: '^/a' }] })],
        ['shadowed: a < z'],
      ],
      [
        'an expression behind a pattern for all that it can match',
        [rule('z', { paths: ['/a/*'] }), rule('a', { paths: [{ regex: '^/a/[0-9]+$' }] })],
        ['shadowed: a < z'],
      ],
      [
        'nothing where the expression matches more than the pattern',
        [rule('z', { paths: ['/a/*'] }), rule('a', { paths: [{ regex: '^/a' }] })],
        [],
      ],
      [
        'an exact path behind an expression of higher priority',
        [rule('z', { paths: [{ regex: '^/a/[0-9]+$' }], priority: 1 }), rule('a', { paths: ['/a/12'] })],
        ['shadowed: a < z'],
      ],
      [
        'a rule for any path behind one for all paths',
        [rule('z', { paths: ['/*'] }), rule('a', { methods: ['GET'] })],
        ['shadowed: a < z'],
      ],
      [
        'nothing while one of its paths is reached',
        [rule('z', { paths: ['/a/*'], priority: 1 }), rule('a', { paths: ['/a/b', '/c'] })],
        [],
      ],
      [
        'a rule with several paths, each behind another',
        [
          rule('y', { paths: ['/c'], priority: 1 }),
          rule('z', { paths: ['/a/*'], priority: 1 }),
          rule('a', { paths: ['/a/b', '/c'] }),
        ],
        ['shadowed: a < z'],
      ],
      [
        'conditions that follow from others',
        [
          rule('z', { priority: 1, headers: [{ name: 'X', present: true }], query: [{ name: 'q', regex: '^[0-9]$' }] }),
          rule('a', { headers: [{ name: 'x', equals: '1' }], query: [{ name: 'q', equals: '7' }] }),
          rule('b', { headers: [{ name: 'x', equals: '1' }], query: [{ name: 'q', equals: 'seven' }] }),
        ],
        ['shadowed: a < z'],
      ],
      [
        'nothing where preflights still belong to it',
        [
          rule('z', { ...a, priority: 1, methods: ['GET'] }),
          rule('a', { ...a, methods: ['GET'], answersPreflight: true }),
        ],
        [],
      ],
      [
        'a rule without methods or listeners is not behind one with',
        [
          rule('z', { ...a, priority: 1, methods: ['GET'] }),
          rule('y', { ...a, priority: 1, listeners: ['web'] }),
          rule('a', a),
        ],
        [],
      ],
      [
        'a rule that keeps empty segments, of which its path has none',
        [rule('z', { paths: ['/a/*'], priority: 1 }), rule('a', { paths: ['/a/b'], emptySegments: 'keep' })],
        ['shadowed: a < z'],
      ],
      [
        'nothing where it alone keeps empty segments',
        [rule('z', { paths: ['/a/b/*'], priority: 1, emptySegments: 'keep' }), rule('a', { paths: ['/a/b/*'] })],
        [],
      ],

      [
        'expressions that overlap',
        [
          rule('a', { paths: [{ regex: '^/v[0-9]+/' }] }),
          rule('b', { paths: [{ regex: '^/v1.*z$' }], methods: ['GET'] }),
        ],
        ['overlapping-regex: a < b'],
      ],
      [
        'nothing where expressions cannot meet',
        [rule('a', { paths: [{ regex: '^/v[0-9]+/' }] }), rule('b', { paths: [{ regex: '^/w' }] })],
        [],
      ],
      [
        'nothing where no canonical path makes them meet',
        [rule('a', { paths: [{ regex: '^/a/?/b' }] }), rule('b', { paths: [{ regex: '^/a//b' }] })],
        [],
      ],
      [
        'nothing where expressions meet on another host or with another method only',
        [
          rule('a', { paths: [{ regex: '^/v' }], methods: ['GET'] }),
          rule('b', { paths: [{ regex: '^/v1' }], methods: ['PUT'] }),
          rule('c', { paths: [{ regex: '^/v2' }], hosts: ['c'] }),
        ],
        [],
      ],
      [
        'an overlap beyond what belongs to a third route',
        [
          rule('a', { paths: [{ regex: '^/v[0-9]+$' }] }),
          rule('b', { paths: [{ regex: '^/v1' }] }),
          rule('c', { paths: ['/v1'] }),
        ],
        ['overlapping-regex: b < a'],
      ],
      [
        'nothing where the whole overlap belongs to a third route',
        [
          rule('a', { paths: [{ regex: '^/v[0-9]$' }] }),
          rule('b', { paths: [{ regex: '^/v1' }] }),
          rule('c', { paths: ['/v1'] }),
        ],
        [],
      ],
      [
        'the same expression twice',
        [rule('a', { paths: [{ regex: '^/v' }] }), rule('b', { paths: [{ regex: '^/v' }] })],
        ['tied: b < a'],
      ],
    ];
  for (const [what, rules, expected] of cases) {
    it(`finds ${what}`, () => {
      finds(rules, expected);
      for (const issue of analyseRoutes(rules)) {
        assert.equal(decide(rules, issue), issue.other);
        assert.equal(
          decide(
            rules.filter(({ name }) => name === issue.route),
            issue,
          ),
          issue.route,
        );
      }
    });
  }

  it('says what it found in one sentence, with the request to try', () => {
    const [tied] = analyseRoutes([
      rule('a', { paths: ['/x'], headers: [{ name: 'X-Version', equals: '2' }] }),
      rule('b', { paths: ['/x'], headers: [{ name: 'x-version', equals: '2' }] }),
    ]);
    assert.deepEqual(tied.witness, {
      method: 'GET',
      url: 'http://any.example/x',
      headers: [['x-version', '2']],
      listener: null,
    });
    assert.match(tied.message, /^routes a and b .* GET http:\/\/any\.example\/x with x-version: 2; a gets it/);
    const [shadowed] = analyseRoutes([
      rule('a', { priority: 1 }),
      rule('b', { query: [{ name: 'q r', equals: '&' }] }),
    ]);
    assert.match(
      shadowed.message,
      /^route b never gets a request: a goes before it .* GET http:\/\/any\.example\/any\?q%20r=%26$/,
    );
  });

  it('says so when it can neither find a common path of two expressions nor exclude one', () => {
    // Some letter stands thirty places before an `x`, and some before a `y`: the automata have too many states to walk all.
    const [issue] = analyseRoutes([
      rule('a', { paths: [{ regex: 'a[ab]{30}x$' }] }),
      rule('b', { paths: [{ regex: 'b[ab]{25}y$' }] }),
    ]);
    assert.equal(issue.kind, 'overlapping-regex');
    assert.equal(issue.witness, null);
    assert.match(issue.message, /may overlap/);
  });

  it('never says what is not so', () => {
    fc.assert(
      fc.property(randomRules(6), fc.array(requests, { minLength: 10, maxLength: 20 }), (rules, asked) => {
        const issues = analyseRoutes(rules);
        for (const issue of issues) {
          if (issue.witness === null) continue;
          const winner = decide(rules, issue);
          if (issue.kind === 'shadowed') assert.notEqual(winner, issue.route);
          else assert.equal(winner, issue.other);
          const alone = rules.filter(({ name }) => name === issue.route);
          assert.equal(decide(alone, issue), issue.route);
        }
        for (const each of asked) {
          const winner = outcome(linearMatch(rules, each));
          assert.ok(
            !issues.some(({ kind, route }) => kind === 'shadowed' && route === winner),
            `${winner} is not shadowed`,
          );
        }
      }),
      { numRuns: 700 },
    );
  });

  it('misses no tie that a request shows by going elsewhere when the names are swapped', () => {
    fc.assert(
      fc.property(randomRules(6), fc.array(requests, { minLength: 10, maxLength: 20 }), (rules, asked) => {
        const issues = analyseRoutes(rules);
        const renamed = rules.map((each) => ({ ...each, name: `r${9 - Number(each.name.slice(1))}` }));
        for (const each of asked) {
          // What analyses leave out: headers with several values, and rules that see one path in two ways.
          if (each.matchPath !== each.unmergedMatchPath) continue;
          const names = Array.from(each.headers, ([name]) => name.toLowerCase());
          if (new Set(names).size < names.length) continue;
          const first = linearMatch(rules, each);
          const last = linearMatch(renamed, each);
          if (first?.kind !== 'route' || last?.kind !== 'route' || first.rule.value === last.rule.value) continue;
          const loser = last.rule.value;
          assert.ok(
            issues.some(({ kind, route }) => kind !== 'shadowed' && route === loser),
            `${loser} loses by name`,
          );
        }
      }),
      // The seed is fixed since analyses try hard but not for ever to find the request that shows a tie.
      { numRuns: 700, seed: 7 },
    );
  });

  it('compares only what can meet, so that its steps grow with the number of rules and no faster', () => {
    const many = Array.from({ length: 20_000 }, (_, i) => {
      const path = [`/svc-${i}/items`, `/svc-${i}/{id}`, `/svc-${i}/*`, `/{tenant}/x-${i}/*`][i % 4];
      return rule(`r${i}`, { hosts: i % 3 === 0 ? [] : [`h${i % 997}.example`], paths: [path] });
    });
    const steps = countingSteps(() => finds([...many, rule('twin', { paths: ['/svc-0/items'] })], ['tied: twin < r0']));
    assert.ok(steps < many.length * 2 * 20, `${steps} steps`);
  });

  it('bounds its work where very many rules say the same of host and path', () => {
    const tenants = Array.from({ length: 20_000 }, (_, i) =>
      rule(`r${i}`, { headers: [{ name: 'x-tenant', equals: `t${i}` }] }),
    );
    const steps = countingSteps(() =>
      assert.deepEqual(summary([...tenants, { ...tenants[7], name: 'twin' }]), ['tied: twin < r7']),
    );
    assert.ok(steps < 20_000_000, `${steps} steps`);
  });
});

/** The steps of all routers in the meantime. */
function countingSteps(run: () => void): number {
  let steps = 0;
  const methods = (['match', 'matchAll'] as const).map((name) => {
    const original = Router.prototype[name] as (this: Router<unknown>, request: RoutableRequest) => never;
    return mock.method(Router.prototype, name, function count(this: Router<unknown>, asked: RoutableRequest) {
      const result = original.call(this, asked);
      steps += this.steps;
      return result;
    });
  });
  try {
    run();
  } finally {
    for (const method of methods) method.mock.restore();
  }
  return steps;
}
