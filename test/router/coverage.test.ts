import { atOnce } from '../../src/util/pace.ts';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { rankedCandidates } from '../../src/proxy/router/candidate.ts';
import { covers } from '../../src/proxy/router/coverage.ts';
import { Router } from '../../src/proxy/router/router.ts';
import { requests, rules as randomRules } from './arbitraries.ts';
import { rule } from './requests.ts';

type Match = Parameters<typeof rule>[1];

function covered(wide: Match, narrow: Match): boolean {
  const [first, second] = atOnce(rankedCandidates([rule('wide', wide), rule('narrow', narrow)]));
  return covers(first, second);
}

describe('covers', () => {
  const cases: readonly (readonly [wide: Match, narrow: Match, expected: boolean])[] = [
    [{}, {}, true],
    [{}, { hosts: ['a.x'] }, true],
    [{ hosts: ['*.x'] }, { hosts: ['a.x'] }, true],
    [{ hosts: ['*.x'] }, { hosts: ['*.a.x'] }, true],
    [{ hosts: ['*.x'] }, { hosts: ['x'] }, false],
    [{ hosts: ['*.x'] }, { hosts: ['a.y'] }, false],
    [{ hosts: ['*.x'] }, { hosts: ['*.y'] }, false],
    [{ hosts: ['*.a.x'] }, { hosts: ['*.x'] }, false],
    [{ hosts: ['a.x'] }, {}, false],
    [{ hosts: ['a.x'] }, { hosts: ['*.x'] }, false],

    [{ methods: ['GET', 'PUT'] }, { methods: ['PUT'] }, true],
    [{ methods: ['GET'] }, { methods: ['GET', 'PUT'] }, false],
    [{ methods: ['GET'] }, {}, false],
    [{ methods: ['GET'] }, { methods: ['GET'], answersPreflight: true }, false],
    [{ methods: ['GET'], answersPreflight: true }, { methods: ['GET'], answersPreflight: true }, true],
    [{ methods: ['GET', 'OPTIONS'] }, { methods: ['GET'], answersPreflight: true }, true],
    [{ listeners: ['a', 'b'] }, { listeners: ['b'] }, true],
    [{ listeners: ['a'] }, { listeners: ['a', 'b'] }, false],
    [{ listeners: ['a'] }, {}, false],

    [{ headers: [{ name: 'X', present: true }] }, { headers: [{ name: 'x', equals: '1' }] }, true],
    [{ headers: [{ name: 'X', present: true }] }, { headers: [{ name: 'x', regex: '1' }] }, true],
    [{ headers: [{ name: 'X', present: true }] }, { headers: [{ name: 'x', present: true }] }, true],
    [{ headers: [{ name: 'X', present: true }] }, { headers: [{ name: 'x', present: false }] }, false],
    [{ headers: [{ name: 'X', present: false }] }, { headers: [{ name: 'x', present: false }] }, true],
    [{ headers: [{ name: 'X', present: false }] }, { headers: [{ name: 'x', equals: '1' }] }, false],
    [{ headers: [{ name: 'X', equals: '1' }] }, { headers: [{ name: 'x', equals: '1' }] }, true],
    [{ headers: [{ name: 'X', equals: '1' }] }, { headers: [{ name: 'x', regex: '^1$' }] }, false],
    [{ headers: [{ name: 'X', regex: '[0-9]' }] }, { headers: [{ name: 'x', equals: 'a1' }] }, true],
    [{ headers: [{ name: 'X', regex: '[0-9]' }] }, { headers: [{ name: 'x', equals: 'a' }] }, false],
    [{ headers: [{ name: 'X', regex: '[0-9]' }] }, { headers: [{ name: 'x', regex: '[0-9]' }] }, true],
    [{ headers: [{ name: 'X', regex: '[0-9]' }] }, { headers: [{ name: 'x', present: true }] }, false],
    [{ headers: [{ name: 'X', present: true }] }, { headers: [{ name: 'y', equals: '1' }] }, false],
    [{ query: [{ name: 'X', present: true }] }, { query: [{ name: 'x', equals: '1' }] }, false],
    [{ query: [{ name: 'x', present: true }] }, { query: [{ name: 'x', equals: '1' }] }, true],

    [{ paths: ['/*'] }, {}, true],
    [{ paths: ['/a/*'] }, {}, false],
    [{ paths: ['/a/*'] }, { paths: ['/a'] }, true],
    [{ paths: ['/a/*'] }, { paths: ['/a/{x}/b/*'] }, true],
    [{ paths: ['/a/{x}'] }, { paths: ['/a/b'] }, true],
    [{ paths: ['/a/{x}'] }, { paths: ['/a/'] }, false],
    [{ paths: ['/a/{x}'] }, { paths: ['/a/b/c'] }, false],
    [{ paths: ['/a/{x}'] }, { paths: ['/a/{x}/*'] }, false],
    [{ paths: ['/a/b'] }, { paths: ['/a/{x}'] }, false],
    [{ paths: ['/a/{x}/*'] }, { paths: ['/a/*'] }, false],
    [{ paths: [{ regex: '^/a' }] }, { paths: ['/a/{x}'] }, true],
    [{ paths: [{ regex: '^/a/' }] }, { paths: ['/a/*'] }, false],
    [{ paths: [{ regex: '^/a(/|$)' }] }, { paths: ['/a/*'] }, true],
    [{ paths: [{ regex: '^/a' }] }, { paths: [{ regex: '^/a' }] }, true],
    [{ paths: [{ regex: '^/[ab]' }] }, { paths: [{ regex: '^/a' }] }, true],
    [{ paths: [{ regex: '^/a' }] }, { paths: [{ regex: '^/[ab]' }] }, false],
    [{ paths: ['/a-b.c/{x}'] }, { paths: [{ regex: '^/a-b\\.c/[0-9]+$' }] }, true],
    [{ paths: ['/a-b.c/{x}'] }, { paths: [{ regex: '^/a-b.c/[0-9]+$' }] }, false],
    [{ paths: [{ regex: '^/a' }] }, {}, false],

    [{ paths: ['/*'], emptySegments: 'keep' }, { paths: ['/a/*'] }, true],
    [{ paths: ['/a/b'], emptySegments: 'keep' }, { paths: ['/a/b'] }, false],
    [{ paths: ['/a/b'] }, { paths: ['/a/b'], emptySegments: 'keep' }, true],
    [{ paths: ['/a/*'] }, { paths: ['/a//b'], emptySegments: 'keep' }, false],
    [{ paths: ['/a/{x}'], emptySegments: 'keep' }, { paths: ['/a//b'], emptySegments: 'keep' }, false],
    [{ paths: ['/a/{x}/*'], emptySegments: 'keep' }, { paths: ['/a//b'], emptySegments: 'keep' }, false],
  ];
  for (const [wide, narrow, expected] of cases) {
    it(`${JSON.stringify(wide)} ${expected ? 'covers' : 'does not cover'} ${JSON.stringify(narrow)}`, () => {
      assert.equal(covered(wide, narrow), expected);
    });
  }

  it('is never said of a rule that a request tells from the other', () => {
    fc.assert(
      fc.property(randomRules(2), fc.array(requests, { minLength: 10, maxLength: 30 }), (rules, asked) => {
        for (const wide of atOnce(rankedCandidates(rules))) {
          for (const narrow of atOnce(rankedCandidates(rules))) {
            if (!covers(wide, narrow)) continue;
            const [wider, narrower] = [Router.of([wide]), Router.of([narrow])];
            for (const each of asked) {
              const isMatch = narrower.match(each)?.kind === 'route';
              assert.ok(!isMatch || wider.match(each)?.kind === 'route', `${each.method} ${each.host} ${each.path}`);
            }
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
