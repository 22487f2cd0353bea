import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { CanonicalTarget, canonicalizeTarget } from '../../src/http/path.ts';
import { compileRedirect, compileTemplate, redirectLocation, rewritePath } from '../../src/proxy/rewrite.ts';

interface GatewayApiRule {
  readonly matches: readonly [{ readonly path: { readonly type: string; readonly value: string } }];
  readonly filters: readonly { readonly urlRewrite?: Replacement; readonly requestRedirect?: Replacement }[];
}

interface Replacement {
  readonly hostname?: string;
  readonly path: { readonly replaceFullPath?: string; readonly replacePrefixMatch?: string };
}

interface GatewayApiGroup {
  readonly id: string;
  readonly routes: readonly [{ readonly rules: readonly GatewayApiRule[] }];
  readonly cases: readonly {
    readonly request: { readonly path: string };
    readonly upstream_sees?: { readonly path: string };
    readonly expect_redirect?: { readonly host?: string; readonly path: string };
  }[];
}

describe('the cases of the Gateway API for replaced paths', () => {
  const file = readFileSync(new URL('../corpora/gateway-api-cases.json', import.meta.url), 'utf8');
  const groups = (JSON.parse(file) as { groups: GatewayApiGroup[] }).groups;

  function winner(group: GatewayApiGroup, path: string): { prefix: string; replacement: Replacement } {
    const rules = group.routes[0].rules.filter(({ matches: [{ path: prefix }] }) =>
      `${path}/`.startsWith(`${prefix.value}/`),
    );
    const [rule] = rules.toSorted((a, b) => b.matches[0].path.value.length - a.matches[0].path.value.length);
    const replacement = rule.filters
      .map((filter) => filter.urlRewrite ?? filter.requestRedirect)
      .find((found) => found !== undefined);
    assert.ok(replacement);
    return { prefix: rule.matches[0].path.value, replacement };
  }

  for (const id of ['HTTPRouteRewritePath', 'HTTPRouteRedirectPath']) {
    const group = groups.find((candidate) => candidate.id === id);
    assert.ok(group, id);
    for (const { request, upstream_sees: seen, expect_redirect: redirected } of group.cases) {
      const { prefix, replacement } = winner(group, request.path);
      const { replaceFullPath: full, replacePrefixMatch: begin = '' } = replacement.path;
      const text = full ?? `${begin === '/' ? '' : begin}/{*}`;
      const captures = { '*': request.path.slice(prefix.length + 1) };

      if (seen !== undefined) {
        it(`${id}: ${request.path} by ${text} is ${seen.path}`, () => {
          const template = compileTemplate(text, ['*']);
          assert.ok(!('error' in template));
          const target = new CanonicalTarget();
          assert.ok(canonicalizeTarget(request.path, 'GET', target));
          assert.ok(rewritePath(template, captures, target));
          assert.equal(target.path, seen.path);
        });
      } else {
        assert.ok(redirected);
        const host = replacement.hostname ?? '{host}';
        it(`${id}: ${request.path} by //${host}${text} leads to ${redirected.path}`, () => {
          const template = compileRedirect(`//${host}${text}`, ['*']);
          assert.ok(!('error' in template));
          const expected = `//${redirected.host ?? 'gateway.example'}${redirected.path}`;
          const asked = { host: 'gateway.example', path: request.path };
          assert.equal(redirectLocation(template, captures, '', asked), expected);
        });
      }
    }
  }
});
