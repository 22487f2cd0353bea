import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Router, type RouteRule } from '../../src/proxy/router/router.ts';
import { outcome, request, rule } from './requests.ts';

/** Whatever the order in which the rules are declared. */
function decides(
  rules: readonly RouteRule<string>[],
  url: string,
  expected: string,
  parts?: Parameters<typeof request>[1],
): void {
  for (const order of [rules, rules.toReversed()]) {
    assert.equal(outcome(Router.compile(order).match(request(url, parts))), expected, url);
  }
}

function paramsOf(rules: readonly RouteRule<string>[], url: string): Readonly<Record<string, string>> | null {
  const result = Router.compile(rules).match(request(url));
  return result?.kind === 'route' ? result.params : null;
}

describe('a path', () => {
  const cases: readonly (readonly [pattern: string, matching: readonly string[], others: readonly string[]])[] = [
    [
      '/a/b',
      ['/a/b', '/a/./b', '/a//b', '/%61/b', '/a/b;x=1', '/a;v/b'],
      ['/a', '/a/b/', '/a/bc', '/A/b', '/a/b/c', '/'],
    ],
    ['/', ['/', '//', '/.'], ['/a']],
    ['/a/', ['/a/', '/a//'], ['/a', '/a/b']],
    [
      '/users/{id}',
      ['/users/1', '/users/a%2Fb', '/users/1;v=2'],
      ['/users', '/users/', '/users/1/', '/users/1/2', '/users/;v=2'],
    ],
    ['/{a}/b', ['/x/b'], ['/b', '/x/c', '/x/b/c']],
    [
      '/files/*',
      ['/files', '/files/', '/files/x', '/files/x/y/', '/files;a'],
      ['/filesystem', '/file', '/', '/Files/x'],
    ],
    ['/files/{rest...}', ['/files', '/files/', '/files/x/y'], ['/filesystem']],
    ['/*', ['/', '/a', '/a/b/'], []],
    ['/a/{b}/*', ['/a/b', '/a/b/', '/a/b/c'], ['/a', '/a/']],
    ['/caf\u00e9', ['/caf%C3%A9', '/caf%c3%a9'], ['/cafe']],
    ['/%7euser/%41%3a', ['/~user/A%3A', '/%7Euser/A%3a'], ['/~user/A:']],
    ['/[x]', ['/[x]', '/%5Bx%5D'], []],
  ];
  for (const [pattern, matching, others] of cases) {
    it(`${pattern} matches ${matching.join(' ')} and not ${others.join(' ')}`, () => {
      for (const path of matching) decides([rule('r', { paths: [pattern] })], `h${path}`, 'r');
      for (const path of others) decides([rule('r', { paths: [pattern] })], `h${path}`, '404');
    });
  }

  it('that is an expression is looked for anywhere in the path without parameters', () => {
    const rules = [rule('r', { paths: [{ regex: '^/v[0-9]+/.*z$' }] })];
    decides(rules, 'h/v12/abcz', 'r');
    decides(rules, 'h/v12/abcz;x', 'r');
    decides(rules, 'h/v/abcz', '404');
  });

  it('may be any of several', () => {
    const rules = [rule('r', { paths: ['/a', '/b/*', { regex: '^/c' }] })];
    for (const path of ['/a', '/b/x', '/cc']) decides(rules, `h${path}`, 'r');
    decides(rules, 'h/d', '404');
  });

  it('that is not given is any path, and OPTIONS * is no path', () => {
    decides([rule('any'), rule('all', { paths: ['/*', { regex: '.' }] })], 'h*', 'any', { method: 'OPTIONS' });
    decides([rule('any')], 'h/x', 'any');
  });

  it('is matched with its empty segments where the rule keeps them', () => {
    const kept = rule('kept', { paths: ['/a//b', '/c/*'], emptySegments: 'keep' });
    decides([kept], 'h/a//b', 'kept');
    decides([kept], 'h/a/b', '404');
    decides([kept, rule('merged', { paths: ['/a/{x}'] })], 'h/a//b', 'kept');
    decides([kept, rule('merged', { paths: ['/a/b'] })], 'h/a/b', 'merged');
    assert.deepEqual(paramsOf([kept], 'h/c//x;v=1//y'), { '*': '/x;v=1//y' });
  });

  it('with an encoded slash does not lead past a rule that refuses it to one that does not (CVE-2021-29492)', () => {
    const guarded = rule('guarded', { paths: ['/files/{name}'] });
    decides([guarded, rule('open', { paths: ['/*'], encodedSlash: 'keep' })], 'h/files/a%2Fb', 'guarded');
  });

  it('gives what it captured as it is sent on: encoded, with path parameters, by the place of the segment', () => {
    assert.deepEqual(paramsOf([rule('r', { paths: ['/users/{id}'] })], 'h/users/a%2fb;v=1'), { id: 'a%2Fb;v=1' });
    assert.deepEqual(paramsOf([rule('r', { paths: ['/{a}/x/{b}/{rest...}'] })], 'h/1;p=q/x;y/2/3;z/4/'), {
      a: '1;p=q',
      b: '2',
      rest: '3;z/4/',
    });
    assert.deepEqual(paramsOf([rule('r', { paths: ['/files/*'] })], 'h/files;x/'), { '*': '' });
    assert.deepEqual(paramsOf([rule('r', { paths: ['/files/*'] })], 'h/files;x'), { '*': '' });
    assert.deepEqual(paramsOf([rule('r', { paths: ['/*'] })], 'h/'), { '*': '' });
    assert.deepEqual(paramsOf([rule('r', { paths: ['/*'] })], 'h/a/b'), { '*': 'a/b' });
    assert.deepEqual(paramsOf([rule('r', { paths: ['/a'] })], 'h/a'), {});
  });

  it('that captures nothing costs no object: the answer is the same one each time', () => {
    const router = Router.compile([rule('r', { paths: ['/a'] })]);
    assert.equal(router.match(request('h/a')), router.match(request('h/a')));
  });
});

describe('a host', () => {
  it('is matched exactly, whatever the case in the configuration', () => {
    decides([rule('r', { hosts: ['API.Example.com'] })], 'api.example.com/', 'r');
    decides([rule('r', { hosts: ['example.com'] })], 'api.example.com/', '404');
    decides([rule('r', { hosts: ['example.com'] })], '/', '404');
  });

  it('with a wildcard is any name below, never the name itself', () => {
    const rules = [rule('r', { hosts: ['*.Example.com'] })];
    for (const host of ['a.example.com', 'a.b.example.com']) decides(rules, `${host}/`, 'r');
    for (const host of ['example.com', '.example.com', 'aexample.com', 'a.example.org', 'com', '']) {
      decides(rules, `${host}/`, '404');
    }
  });

  it('stays case-insensitive with more than a hundred others (CVE-2026-27588)', () => {
    const hosts = Array.from({ length: 150 }, (_, i) => `Host-${i}.Example.com`);
    decides([rule('many', { hosts }), rule('one', { hosts: ['Other.Example.com'] })], 'host-149.example.com/', 'many');
  });
});

describe('conditions', () => {
  it('on headers hold when any line of that name fits, in any case of the name and this case of the value', () => {
    const rules = [rule('r', { headers: [{ name: 'X-Version', equals: 'two' }] })];
    decides(rules, 'h/', 'r', { headers: [['x-VERSION', 'two']] });
    decides(rules, 'h/', 'r', {
      headers: [
        ['x-version', 'one'],
        ['x-version', 'two'],
      ],
    });
    decides(rules, 'h/', '404', { headers: [['x-version', 'Two']] });
    decides(rules, 'h/', '404', { headers: [['x-version', 'one, two']] });
    decides(rules, 'h/', '404');
  });

  it('on headers may ask for presence, absence or an expression', () => {
    const rules = [
      rule('absent', { headers: [{ name: 'x', present: false }] }),
      rule('mobile', {
        headers: [
          { name: 'x', present: true },
          { name: 'User-Agent', regex: '^Mobile' },
        ],
      }),
    ];
    decides(rules, 'h/', 'absent');
    decides(rules, 'h/', 'mobile', {
      headers: [
        ['X', ''],
        ['user-agent', 'other'],
        ['user-agent', 'Mobile/1'],
      ],
    });
    decides(rules, 'h/', '404', {
      headers: [
        ['x', '1'],
        ['user-agent', 'a Mobile'],
      ],
    });
  });

  it('on the query compare decoded, names by case, and look at the first value', () => {
    const rules = [rule('r', { query: [{ name: 'a b', equals: 'c&d' }] })];
    for (const query of ['a%20b=c%26d', 'a+b=c%26d', 'x&a%20b=c%26d&a%20b=2', '&&%61+b=%63%26d']) {
      decides(rules, `h/?${query}`, 'r');
    }
    for (const query of ['', 'A+b=c%26d', 'a+b=1&a+b=c%26d', 'a+b', 'ab=c%26d', 'a%2520b=c%26d']) {
      decides(rules, `h/?${query}`, '404');
    }
    decides([rule('r', { query: [{ name: 'x', present: true }] })], 'h/?x', 'r');
    decides([rule('r', { query: [{ name: 'x', present: false }] })], 'h/?y', 'r');
    decides([rule('r', { query: [{ name: 'x', regex: '^[0-9]+$' }] })], 'h/?x=12', 'r');
    decides([rule('r', { query: [{ name: 'x', regex: '^[0-9]+$' }] })], 'h/?x=a12', '404');
  });

  it('on the listener hold for those that are named', () => {
    const rules = [rule('r', { listeners: ['web', 'secure'] })];
    decides(rules, 'h/', 'r', { listener: 'secure' });
    decides(rules, 'h/', '404', { listener: 'internal' });
  });
});

describe('of several rules that match', () => {
  const wins: readonly (readonly [why: string, winner: RouteRule<string>, loser: RouteRule<string>, url: string])[] = [
    ['the higher priority', rule('z', { priority: 1 }), rule('a', { hosts: ['h.x'], paths: ['/a'] }), 'h.x/a'],
    ['the exact host', rule('z', { hosts: ['h.x'] }), rule('a', { hosts: ['*.x'], paths: ['/a'] }), 'h.x/a'],
    ['the longer wildcard', rule('z', { hosts: ['*.b.x'] }), rule('a', { hosts: ['*.x'], paths: ['/a'] }), 'h.b.x/a'],
    ['any host of its own', rule('z', { hosts: ['*.x'] }), rule('a', { paths: ['/a'] }), 'h.x/a'],
    ['the exact path', rule('z', { paths: ['/a/b'] }), rule('a', { paths: ['/a/{x}'] }), 'h/a/b'],
    [
      'the exact path before a pattern with an empty segment more',
      rule('z', { paths: ['/a/b'] }),
      rule('a', { paths: ['/a//{x}'], emptySegments: 'keep' }),
      'h/a//b',
    ],
    [
      'the longer exact path, where both are the path',
      rule('z', { paths: ['/a//b'], emptySegments: 'keep' }),
      rule('a', { paths: ['/a/b'], methods: ['GET'] }),
      'h/a//b',
    ],
    [
      'the literal before the captured segment',
      rule('z', { paths: ['/a/b/*'] }),
      rule('a', { paths: ['/a/{x}/c'] }),
      'h/a/b/c',
    ],
    ['the captured segment before the rest', rule('z', { paths: ['/a/{x}'] }), rule('a', { paths: ['/a/*'] }), 'h/a/b'],
    ['the end before the rest', rule('z', { paths: ['/a/{x}'] }), rule('a', { paths: ['/a/{x}/*'] }), 'h/a/b'],
    ['the longer prefix', rule('z', { paths: ['/a/b/*'] }), rule('a', { paths: ['/a/*'] }), 'h/a/b/c'],
    [
      'the pattern before the expression',
      rule('z', { paths: ['/*'] }),
      rule('a', { paths: [{ regex: '^/a$' }] }),
      'h/a',
    ],
    ['the expression before no path', rule('z', { paths: [{ regex: '.' }] }), rule('a', { methods: ['GET'] }), 'h/a'],
    [
      'methods before none',
      rule('z', { methods: ['GET'] }),
      rule('a', { headers: [{ name: 'q', present: false }] }),
      'h/a',
    ],
    [
      'more header conditions',
      rule('z', { headers: [{ name: 'q', present: false }] }),
      rule('a', {
        query: [
          { name: 'q', present: false },
          { name: 'p', present: false },
        ],
      }),
      'h/a',
    ],
    ['more query conditions', rule('z', { query: [{ name: 'q', present: false }] }), rule('a'), 'h/a'],
    ['the first name', rule('a'), rule('z'), 'h/a'],
  ];
  for (const [why, winner, loser, url] of wins) {
    it(`${why} wins`, () => decides([winner, loser], url, winner.name));
  }

  it('the next best wins when the best one fails on a condition', () => {
    const rules = [
      rule('exact', { paths: ['/a/b'], headers: [{ name: 'x', equals: '1' }] }),
      rule('param', { paths: ['/a/{id}'], query: [{ name: 'q', equals: '1' }] }),
      rule('prefix', { paths: ['/a/*'], listeners: ['secure'] }),
      rule('wildcard', { hosts: ['*.x'], paths: ['/a/b'], headers: [{ name: 'x', equals: '2' }] }),
      rule('host', { hosts: ['h.x'], paths: ['/a/b/c'] }),
      rule('rest'),
    ];
    decides(rules, 'h.x/a/b', 'exact', { headers: [['x', '1']] });
    decides(rules, 'h.x/a/b', 'wildcard', { headers: [['x', '2']] });
    decides(rules, 'h.x/a/b?q=1', 'param');
    decides(rules, 'h.x/a/b', 'prefix', { listener: 'secure' });
    decides(rules, 'h.x/a/b', 'rest');
    decides(rules, 'h.x/a/b/c', 'host');
  });
});

describe('a method', () => {
  it('that no rule accepts where others would match is answered with theirs, sorted', () => {
    const rules = [
      rule('put', { paths: ['/a/{id}'], methods: ['PUT', 'GET'] }),
      rule('delete', { paths: ['/a/*'], methods: ['DELETE', 'GET'] }),
      rule('other host', { hosts: ['other'], paths: ['/a/b'], methods: ['PATCH'] }),
      rule('other header', { paths: ['/a/b'], methods: ['HEAD'], headers: [{ name: 'x', present: true }] }),
    ];
    decides(rules, 'h/a/b', '405 DELETE, GET, PUT', { method: 'POST' });
    decides(rules, 'h/a', '405 DELETE, GET', { method: 'POST' });
    decides(rules, 'h/b', '404', { method: 'POST' });
    decides([...rules, rule('any')], 'h/a/b', 'any', { method: 'POST' });
  });

  it('is compared by case', () => decides([rule('r', { methods: ['GET'] })], 'h/', '405 GET', { method: 'get' }));
});

describe('a CORS preflight', () => {
  const preflight = (method: string, origin = 'https://shop.example') => ({
    method: 'OPTIONS',
    headers: [
      ['Origin', origin],
      ['Access-Control-Request-Method', method],
    ] as const,
  });
  const reading = rule('reading', { paths: ['/a'], methods: ['GET'], answersPreflight: true });
  const writing = rule('writing', { paths: ['/a'], methods: ['PUT', 'DELETE'], answersPreflight: true });
  const plain = rule('plain', { paths: ['/b'], methods: ['GET'] });

  it('belongs to the rule of the method that it asks for', () => {
    decides([reading, writing, plain], 'h/a', 'reading', preflight('GET'));
    decides([reading, writing, plain], 'h/a', 'writing', preflight('DELETE'));
    decides([reading, writing, plain], 'h/a', '405 DELETE, GET, PUT', preflight('PATCH'));
  });

  it('is an ordinary OPTIONS request to rules that answer none', () => {
    decides([plain], 'h/b', '405 GET', preflight('GET'));
    decides([plain, rule('any')], 'h/b', 'any', preflight('GET'));
  });

  it('belongs to a rule that lists OPTIONS itself, whatever it asks for', () => {
    const own = rule('z-own', { paths: ['/a'], methods: ['OPTIONS'] });
    decides([reading, writing, own], 'h/a', 'z-own', preflight('GET'));
    decides([reading, writing, own], 'h/a', 'z-own', preflight('PATCH'));
  });

  it('does not leave a more specific rule for a general one that lists OPTIONS', () => {
    const general = rule('general', { paths: ['/*'], methods: ['OPTIONS'] });
    decides([reading, general], 'h/a', 'reading', preflight('GET'));
    decides([reading, general], 'h/a', 'general', preflight('PUT'));
  });

  it('is none without both headers', () => {
    decides([reading], 'h/a', '405 GET', { method: 'OPTIONS', headers: [['Origin', 'https://shop.example']] });
    decides([reading], 'h/a', '405 GET', { method: 'OPTIONS', headers: [['Access-Control-Request-Method', 'GET']] });
    decides([reading], 'h/a', '405 GET', { ...preflight('GET'), method: 'HEAD' });
  });
});

describe('compile', () => {
  it('throws for what cannot be matched, with the name of the rule and the reason', () => {
    assert.throws(() => Router.compile([rule('bad', { paths: ['/a*'] })]), /^TypeError: route bad: \/a\*: .*segment/);
    assert.throws(() => Router.compile([rule('bad', { paths: [{ regex: '(' }] })]), /^TypeError: route bad: .*closed/);
    assert.throws(
      () => Router.compile([rule('bad', { headers: [{ name: 'x', regex: '\\b' }] })]),
      /^TypeError: route bad: .*word boundary/,
    );
  });
});
