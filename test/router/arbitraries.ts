/** Random rules and requests, from so few words that they meet. */
import * as fc from 'fast-check';
import { HeaderFields } from '../../src/http/header-fields.ts';
import type { RoutableRequest, RouteRule, ValueCondition } from '../../src/proxy/router/router.ts';

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

const conditions = (names: readonly string[]): fc.Arbitrary<ValueCondition[]> =>
  fc.uniqueArray(condition(names), { maxLength: 2, selector: ({ name }) => name });

const method = fc.constantFrom('GET', 'PUT', 'OPTIONS', 'DELETE');
const rare = <T>(value: fc.Arbitrary<T>, usual: T): fc.Arbitrary<T> =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: value });

function ruleOf(emptySegments: 'merge' | 'keep'): fc.Arbitrary<Omit<RouteRule<string>, 'name' | 'value' | 'shared'>> {
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
      headers: rare(conditions(['v', 'W']), []),
      query: rare(conditions(['q', 'Q', 'p']), []),
      listeners: rare(fc.option(fc.subarray(['web', 'secure'])), null),
      encodedSlash: fc.constant('refuse'),
      emptySegments: fc.constant(emptySegments),
    }),
  });
}

/** Sets of rules that overlap in every way; each condition of a rule is on a name of its own. */
export const rules = (maxLength: number): fc.Arbitrary<RouteRule<string>[]> =>
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
        .map((names) => bodies.map((body, i) => ({ ...body, name: names[i], value: names[i], shared: null }))),
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

export const requests: fc.Arbitrary<RoutableRequest> = fc
  .record({ listener: fc.constantFrom('web', 'secure'), method, host: requestHost, segments, query, headers: fields })
  .map(({ segments: parts, ...others }) => Object.assign(others, withPaths(parts)));
