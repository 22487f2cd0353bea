/** What a decision costs, counted rather than timed: it depends on the request, and not on the number of rules. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { Router, type RouteRule } from '../../src/proxy/router/router.ts';
import { outcome, request, rule } from './requests.ts';

describe('the number of steps to a decision', () => {
  /** Paths that are exact, with captures and with prefixes, on hosts that are exact, wildcards and none. */
  function rules(count: number): RouteRule<string>[] {
    return Array.from({ length: count }, (_, i) => {
      const kind = i % 6;
      const hosts = i % 5 === 0 ? [] : i % 5 === 1 ? [`*.w${i % 997}.example`] : [`h${i % 1009}.example`];
      const path =
        kind < 3
          ? `/svc-${i}/items`
          : kind === 3
            ? `/svc-${i}/{id}`
            : kind === 4
              ? `/svc-${i}/*`
              : `/{tenant}/x-${i}/*`;
      return rule(`r${i}`, {
        hosts,
        paths: [path],
        priority: i % 50 === 0 ? 1 : 0,
        methods: i % 2 === 0 ? ['GET'] : null,
      });
    });
  }
  const urls = (router: readonly RouteRule<string>[]): string[] =>
    router.map(({ match }) => {
      const host = (match.hosts[0] ?? 'elsewhere').replace('*', 'a.b');
      return host + (match.paths[0] as string).replace(/\{\w+\}|\*/g, 'value');
    });

  it('does not grow with the number of rules', () => {
    const all = rules(100_000);
    const few = Router.compile(all.slice(0, 60));
    const many = Router.compile(all);
    let most = 0;
    for (const [i, url] of urls(all.slice(0, 60)).entries()) {
      const asked = request(url);
      assert.equal(outcome(many.match(asked)), `r${i}`);
      most = Math.max(most, many.steps);
      few.match(asked);
      assert.ok(many.steps <= few.steps + 8, `${url}: ${many.steps} steps among 100,000, ${few.steps} among 60`);
    }
    assert.ok(most <= 16, `${most} steps`);
    for (const url of ['nowhere.example/none', 'h1.example/svc-1', 'elsewhere/a/b/c/d']) {
      assert.equal(outcome(many.match(request(url))), '404');
      assert.ok(many.steps <= 16, `${url}: ${many.steps} steps`);
    }
  });

  it('is bounded by the rules that could match, for paths made to go astray', () => {
    // Each segment could be the literal or the capture: two to the power of their number ways, if there were as many rules.
    const astray = ['x', '{b}'].flatMap((a) => [`/${a}/x/x/x/x/x/end`, `/${a}/{c}/x/x/x/x/end`]);
    const router = Router.compile(astray.map((path, i) => rule(`r${i}`, { paths: [path] })));
    assert.equal(outcome(router.match(request(`h/${'x/'.repeat(2000)}`))), '404');
    assert.ok(router.steps < 40, `${router.steps} steps`);
  });

  it('is the same for the same request, whatever came before', () => {
    const router = Router.compile(rules(60));
    fc.assert(
      fc.property(fc.constantFrom(...urls(rules(60))), fc.constantFrom(...urls(rules(60))), (first, second) => {
        router.match(request(first));
        const { steps } = router;
        router.match(request(second));
        router.match(request(first));
        assert.equal(router.steps, steps);
      }),
      { numRuns: 50 },
    );
  });
});
