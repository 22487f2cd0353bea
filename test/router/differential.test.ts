/** The router and the loop that says what it means must agree on every request and every set of rules. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { HeaderFields } from '../../src/http/header-fields.ts';
import { QueryValues } from '../../src/proxy/router/query-values.ts';
import { Router, type RoutableRequest, type RouteRule, type ValueCondition } from '../../src/proxy/router/router.ts';
import { linearMatch } from './linear-reference.ts';
import { rule } from './requests.ts';

/** Few words, so that rules overlap and requests meet them. */
const word = fc.constantFrom('a', 'b', 'c');
const host = fc.oneof(
  fc.constantFrom('x.y', 'a.x.y', 'b.a.x.y', 'y', '*.x.y', '*.y', '*.a.x.y', 'A.X.Y', '*.X.y'),
  fc.nat({ max: 300 }).map((i) => `Host${i}.x.y`),
);
const requestHost = fc.oneof(
  fc.constantFrom('x.y', 'a.x.y', 'b.a.x.y', 'c.b.a.x.y', 'y', 'z', '', '.x.y', 'ax.y'),
  fc.nat({ max: 300 }).map((i) => `host${i}.x.y`),
);

function patternOf(segment: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(fc.array(segment, { maxLength: 4 }), fc.constantFrom('', '', '/', '/*', '/{rest...}'))
    .map(
      ([segments, end]) => segments.map((text, i) => (text === '{}' ? `/{p${i}}` : `/${text}`)).join('') + end || '/',
    );
}
const mergedPattern = patternOf(fc.oneof(word, fc.constant('{}')));
const keptPattern = patternOf(fc.oneof(word, fc.constant('{}'), fc.constant('')));
const regex = fc.constantFrom('^/a', 'b$', '^/(a|b)/c', '/', 'a/?b', '^/[^/]+$').map((source) => ({ regex: source }));

const condition = (names: readonly string[]): fc.Arbitrary<ValueCondition> =>
  fc.oneof(
    fc.record({ name: fc.constantFrom(...names), equals: fc.constantFrom('1', '2', '') }),
    fc.record({ name: fc.constantFrom(...names), present: fc.boolean() }),
    fc.record({ name: fc.constantFrom(...names), regex: fc.constantFrom('^[12]$', '1', '^$') }),
  );

const method = fc.constantFrom('GET', 'PUT', 'OPTIONS', 'DELETE');
const rare = <T>(value: fc.Arbitrary<T>, usual: T): fc.Arbitrary<T> =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: value });

function ruleOf(emptySegments: 'merge' | 'keep'): fc.Arbitrary<Omit<RouteRule<string>, 'name' | 'value'>> {
  const path = fc.oneof(
    { weight: 5, arbitrary: emptySegments === 'keep' ? keptPattern : mergedPattern },
    { weight: 1, arbitrary: regex },
  );
  return fc.record({
    priority: rare(fc.integer({ min: -1, max: 2 }), 0),
    answersPreflight: fc.boolean(),
    match: fc.record({
      hosts: rare(fc.array(host, { maxLength: 3 }), []),
      paths: fc.array(path, { maxLength: 2 }),
      methods: fc.option(fc.uniqueArray(method, { minLength: 1, maxLength: 2 })),
      headers: rare(fc.array(condition(['v', 'W']), { maxLength: 2 }), []),
      query: rare(fc.array(condition(['q', 'Q', 'p']), { maxLength: 2 }), []),
      listeners: rare(fc.option(fc.subarray(['web', 'secure'])), null),
      encodedSlash: fc.constant('refuse'),
      emptySegments: fc.constant(emptySegments),
    }),
  });
}

const rules = (maxLength: number): fc.Arbitrary<RouteRule<string>[]> =>
  fc
    .array(fc.oneof({ weight: 4, arbitrary: ruleOf('merge') }, { weight: 1, arbitrary: ruleOf('keep') }), {
      minLength: 1,
      maxLength,
    })
    .chain((bodies) =>
      fc
        .shuffledSubarray(
          bodies.map((_, i) => `r${i}`),
          { minLength: bodies.length },
        )
        .map((names) => bodies.map((body, i) => ({ ...body, name: names[i], value: names[i] }))),
    );

/** Segments with the parameters that are sent on and set aside for matching. */
const segments = fc.array(fc.tuple(fc.oneof(word, word, fc.constant('')), rare(fc.constant(';v=1'), '')), {
  minLength: 1,
  maxLength: 5,
});

function withPaths(parts: readonly (readonly [name: string, parameters: string])[]) {
  const join = (all: readonly string[]): string => `/${all.join('/')}`;
  const merged = parts.filter(([name], i) => name !== '' || i === parts.length - 1);
  return {
    unmergedMatchPath: join(parts.map(([name]) => name)),
    unmergedPath: join(parts.map(([name, parameters]) => name + parameters)),
    matchPath: join(merged.map(([name]) => name)),
    path: join(merged.map(([name, parameters]) => name + parameters)),
  };
}

const fields = fc
  .array(
    fc.tuple(
      fc.constantFrom('v', 'V', 'w', 'Origin', 'Access-Control-Request-Method'),
      fc.constantFrom('1', '2', '', 'GET', 'PUT'),
    ),
    { maxLength: 6 },
  )
  .map((list) => HeaderFields.from(list));
const query = fc
  .array(fc.constantFrom('q=1', 'q=2', 'q', 'Q=1', 'p=%31', '%70=2', '%71=1', '', 'x=1'), { maxLength: 3 })
  .map((parts) => parts.join('&'));

const requests: fc.Arbitrary<RoutableRequest> = fc
  .record({ listener: fc.constantFrom('web', 'secure'), method, host: requestHost, segments, query, headers: fields })
  .map(({ segments: parts, ...others }) => Object.assign(others, withPaths(parts)));

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
