import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { findRouteProblems } from '../../src/compile/route-findings.ts';
import { parseConfig } from '../../src/config/load.ts';
import { problemCodes } from '../../src/config/problem.ts';
import type { ConfigInput } from '../../src/config/schema.ts';
import { ConfigError, createGateway } from '../../src/gateway/create-gateway.ts';
import { builtinPolicies } from '../../src/policies/index.ts';

/** What a closer look at these routes finds, in the order of the text, with the places in it. */
async function analyse(routes: string): Promise<string[]> {
  const text = `upstreams: {u: {targets: ["http://127.0.0.1:1"]}}\nroutes:\n${routes}`;
  const { problems, analyse: lookCloser } = await parseConfig(text, {
    registry: builtinPolicies,
    fileName: 'gateway.yaml',
    analyseRoutes: async (sound) => findRouteProblems(sound),
  });
  assert.deepEqual(problems, []);
  return (await lookCloser()).map(({ line, column, severity, code, message }) => {
    assert.ok(code in problemCodes, code);
    return `${line}:${column} ${severity} ${code} ${message}`;
  });
}

/** The same beside a route that uses the upstream. */
const redirects = async (routes: string): Promise<string[]> =>
  analyse(`${routes}  other: {match: {path: /other}, upstream: u}\n`);

describe('a closer look at routes', () => {
  it('finds nothing where there is nothing', async () => {
    assert.deepEqual(
      await analyse('  a: {match: {path: /a}, upstream: u}\n  b: {match: {path: /a/*}, upstream: u}\n'),
      [],
    );
  });

  it('shows by a request which of two routes gets it only because of its name', async () => {
    const routes = '  b: {match: {path: "/x/{id}"}, upstream: u}\n  a: {match: {path: "/x/{name}"}, upstream: u}\n';
    const [tie, ...others] = await analyse(routes);
    assert.match(
      tie,
      /^3:3 warning ROUTE_TIED routes a and b are equally specific and both match GET http:\/\/\S+\/x\/\S+; a gets it/,
    );
    assert.deepEqual(others, []);
  });

  it('shows by a request which route never gets one', async () => {
    const routes =
      '  wide: {match: {path: /*}, priority: 1, upstream: u}\n  narrow: {match: {path: /x}, upstream: u}\n';
    const [shadow, ...others] = await analyse(routes);
    assert.match(shadow, /^4:3 warning ROUTE_SHADOWED route narrow never gets a request: wide .* GET http:\/\/\S+\/x$/);
    assert.deepEqual(others, []);
  });

  it('shows by a request where regular expressions overlap', async () => {
    const regex = (source: string): string => `{match: {path: {regex: "${source}"}}, upstream: u}`;
    const [overlap, ...others] = await analyse(`  a: ${regex('^/a')}\n  b: ${regex('b$')}\n`);
    assert.match(overlap, /^4:3 warning REGEX_OVERLAP .* both match GET http:\/\/[^/]+\/a.*b; /);
    assert.deepEqual(others, []);
  });

  it('follows redirects that never come to an end', async () => {
    const redirect = (path: string, to: string, rest = ''): string =>
      `{match: {path: "${path}"${rest}}, redirect: {to: "${to}"}}`;
    assert.deepEqual(await redirects(`  a: ${redirect('/old/*', '/old/new')}\n`), [
      '3:47 warning REDIRECT_LOOP routes.a.redirect.to never comes to an end: GET http://any.example/old/any is redirected to /old/new, then /old/new and so on',
    ]);
    assert.match(
      (await redirects(`  a: ${redirect('/a/*', '/a/b/{*}')}\n`)).join(),
      /redirected to \/a\/b\/any, then \/a\/b\/b\/any/,
    );
    const two = await redirects(`  a: ${redirect('/a', '/b')}\n  b: ${redirect('/b', '/a?x=1#y')}\n`);
    assert.deepEqual(
      two.map((line) => line.replace(/ never.*/, '')),
      ['3:43 warning REDIRECT_LOOP routes.a.redirect.to', '4:43 warning REDIRECT_LOOP routes.b.redirect.to'],
    );
    assert.match(
      (await redirects(`  a: ${redirect('/a/*', '/a/b', ', host: "*.example.com", methods: [POST]')}\n`)).join(),
      /REDIRECT_LOOP .*: POST http:\/\/any\.example\.com\/a\/any is/,
    );
    assert.match(
      (await redirects(`  a: {match: {path: /a/*, methods: [POST]}, redirect: {to: /a/b, status: 303}}\n`)).join(),
      /^$/,
    );
  });

  it('finds an end where there is one', async () => {
    const redirect = (path: string, to: string, rest = ''): string =>
      `{match: {path: "${path}"${rest}}, redirect: {to: "${to}"}}`;
    for (const routes of [
      `  a: ${redirect('/old/*', '/new/{*}')}\n`,
      `  a: ${redirect('/old/*', '/old/new')}\n  b: {match: {path: /old/new}, upstream: u}\n`,
      `  a: ${redirect('/old/*', '/old/new')}\n  b: {match: {path: /old/new, host: a.example}, upstream: u}\n`,
      `  a: ${redirect('/old/*', '/old/new')}\n  b: {match: {path: /old/new, listener: web}, upstream: u}\n`,
      `  a: ${redirect('/old/*', 'https://other.example/old/{*}')}\n`,
      `  a: ${redirect('/old/*', '//other.example/old/{*}')}\n`,
      `  a: ${redirect('/old', '/old', ', query: {x: "1"}')}\n`,
      `  a: ${redirect('/a/{x}', '/a/{x}/b')}\n`,
    ]) {
      assert.deepEqual(await redirects(routes), [], routes);
    }
  });

  it('says where what the router refuses stands, and still looks at the other routes', async () => {
    const routes = `  backtracking: {match: {path: [/ok, {regex: "^/(?=a)"}], headers: {x-a: {regex: "(?<=a)"}}}, upstream: u}
  star: {match: {path: "/b/y*"}, upstream: u}
  bad: {match: {path: "/c"}, rewrite: {path: "/é"}, upstream: u}
  there: {match: {path: /d}, redirect: {to: "d"}}
  tied: {match: {path: /same}, upstream: u}
  also: {match: {path: /same}, upstream: u}
`;
    const found = await analyse(routes);
    assert.deepEqual(
      found.map((line) => line.replace(/: .*| are .*/, '')),
      [
        '3:46 error BAD_PATTERN routes.backtracking.match.path[1].regex',
        '3:82 error BAD_PATTERN routes.backtracking.match.headers.x-a.regex',
        '4:24 error BAD_PATTERN routes.star.match.path[0]',
        '5:46 error BAD_PATTERN routes.bad.rewrite.path',
        '6:45 error BAD_PATTERN routes.there.redirect.to',
        '7:3 warning ROUTE_TIED routes also and tied',
      ],
    );
  });
});

describe('createGateway', () => {
  it('refuses routes that the router does not accept, naming all of them', async () => {
    const config: ConfigInput = {
      routes: {
        a: { match: { path: { regex: '^/(?=a)' } }, respond: {} },
        b: { match: { path: '/b*' }, respond: {} },
        tied: { match: { path: '/x' }, respond: {} },
        too: { match: { path: '/x' }, respond: {} },
      },
    };
    await assert.rejects(createGateway(config), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.deepEqual(
        error.problems.map(({ code, path }) => `${code} ${path.slice(0, 2).join('.')}`),
        ['BAD_PATTERN routes.a', 'BAD_PATTERN routes.b'],
      );
      return true;
    });
  });
});
