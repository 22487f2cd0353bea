import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { readPlainRoute } from '../../src/config/plain-route.ts';
import { routeSchema } from '../../src/config/schema/route.ts';

const texts = fc.oneof(
  fc.constantFrom(
    '',
    '/',
    '/a',
    '/*',
    'x',
    'u',
    'api.example.com',
    '*.example.com',
    'API.example.com',
    '[::1]',
    'a b',
    'a..b',
    '*',
    '.',
    'GET',
    'get',
  ),
  fc.string({ maxLength: 4 }),
);
const anything = fc.oneof(
  texts,
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.constant(undefined),
  fc.array(texts, { maxLength: 2 }),
  fc.constant({}),
);

/** Keys that a plain route does not have. */
const seldom = fc.oneof({ weight: 12, arbitrary: fc.constant('left out') }, { weight: 1, arbitrary: anything });

function withoutLeftOut(record: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== 'left out'));
}

/** Routes that are plain, and routes that are nearly so. */
const matches = fc
  .record({
    path: fc.oneof({ weight: 5, arbitrary: fc.constantFrom('/', '/a', '/x/*') }, { weight: 1, arbitrary: anything }),
    host: fc.option(fc.oneof({ weight: 5, arbitrary: texts }, { weight: 1, arbitrary: anything }), { nil: 'left out' }),
    methods: fc.option(fc.array(fc.constantFrom('GET', 'POST', 'PUT', 'get', 'X Y', 5), { maxLength: 3 }), {
      nil: 'left out',
    }),
    headers: seldom,
    pth: seldom,
  })
  .map(withoutLeftOut);
const routes = fc
  .record({
    match: fc.oneof({ weight: 12, arbitrary: matches }, { weight: 1, arbitrary: anything }),
    upstream: fc.oneof({ weight: 8, arbitrary: texts }, { weight: 1, arbitrary: anything }),
    policies: fc.option(
      fc.oneof({ weight: 6, arbitrary: fc.array(anything, { maxLength: 2 }) }, { weight: 1, arbitrary: anything }),
      { nil: 'left out' },
    ),
    priority: seldom,
    respond: seldom,
    constructor: seldom,
  })
  .map(withoutLeftOut);

suite('the short way to read a route', () => {
  test('leads to what the schema makes of it, or nowhere', () => {
    let plain = 0;
    fc.assert(
      fc.property(routes, (route) => {
        const short = readPlainRoute(route);
        if (short === null) return;
        plain++;
        const long = routeSchema.safeParse(route);
        assert.ok(long.success, JSON.stringify(long.error?.issues));
        assert.deepEqual(short, long.data);
      }),
      { numRuns: 5000 },
    );
    assert.ok(plain > 50, `only ${plain} of the routes were plain`);
  });

  test('is open to the routes that large configurations consist of', () => {
    assert.ok(readPlainRoute({ match: { path: '/x/1' }, upstream: 'u' }) !== null);
    assert.ok(
      readPlainRoute({
        match: { host: 'a.example', path: '/x/*', methods: ['GET'] },
        policies: ['p'],
        upstream: 'u',
      }) !== null,
    );
  });
});
