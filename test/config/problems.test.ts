import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { formatProblem, sortProblems } from '../../src/config/problem.ts';
import { loadText, problemsOf } from './load-text.ts';

const BASE = 'upstreams: {u: {targets: ["http://127.0.0.1:1"]}}\n';
const ROUTES = `${BASE}routes:\n  r: {upstream: u}\n`;

suite('problems of shape', () => {
  test('all come at once, in the order of the text', async () => {
    const text = `listener: {}
upstreams:
  u:
    targets: [http://127.0.0.1:3001/x, {ulr: "http://x:1"}]
    balance: rond-robin
    connectons: {max: 5}
routes:
  a: {match: {pth: /x}, upstream: u, timeouts: {total: 5}}
  b: {upstream: uu}
  c: {upstream: u, priority: high}
`;
    assert.deepEqual(await problemsOf(text), [
      '1:1 error UNKNOWN_KEY unknown key "listener" at the top (did you mean "listeners"?)',
      '4:15 error BAD_VALUE upstreams.u.targets[0]: a target is only scheme, host and port: to change the path, use `rewrite` on the route',
      '4:41 error UNKNOWN_KEY unknown key "ulr" in upstreams.u.targets[1] (did you mean "url"?)',
      '5:14 error BAD_VALUE upstreams.u.balance: write round-robin, weighted-round-robin, random, least-requests, peak-ewma or first (did you mean "round-robin"?)',
      '6:5 error UNKNOWN_KEY unknown key "connectons" in upstreams.u (did you mean "connections"?)',
      '8:15 error UNKNOWN_KEY unknown key "pth" in routes.a.match (did you mean "path"?)',
      '8:56 error BAD_VALUE routes.a.timeouts.total: write a duration such as 5s, or none',
      '9:17 error UNKNOWN_UPSTREAM there is no upstream "uu" (did you mean "u"?)',
      '10:30 error BAD_VALUE routes.c.priority: expected a number, found text',
    ]);
  });

  test('name what is missing, once', async () => {
    assert.deepEqual(await problemsOf(`${ROUTES}listeners: {s: {tls: {certificates: [{cert: a.pem}]}}}`), [
      '4:38 error MISSING listeners.s.tls.certificates[0] needs "key"',
    ]);
    assert.deepEqual(await problemsOf(`upstreams: {u: {target: []}}\nroutes: {r: {upstream: u}}`), [
      '1:17 error UNKNOWN_KEY unknown key "target" in upstreams.u (did you mean "targets"?)',
    ]);
  });

  test('list the keys that are known when none is near', async () => {
    assert.deepEqual(await problemsOf(`${ROUTES}telemetry: {zipkin: {}}`), [
      '4:13 error UNKNOWN_KEY unknown key "zipkin" in telemetry; known here: accessLog, metrics, debug, tracing',
    ]);
  });

  test('say what kind of value stands where another belongs', async () => {
    const listener = (rest: string): string => `${ROUTES}listeners: {w: {${rest}}}`;
    const told = async (rest: string): Promise<string> => (await problemsOf(listener(rest))).join('; ');
    assert.match(await told('port: 80800'), /BAD_VALUE listeners\.w\.port: must be at most 65535/);
    assert.match(await told('port: "8080"'), /expected a number, found text/);
    assert.match(await told('port: 80.5'), /expected a whole number, found a number/);
    assert.match(await told('proxyProtocol: yes'), /expected true or false, found text/);
    assert.match(await told('limits: [1]'), /expected a mapping, found a list/);
    assert.match(await told('limits:'), /expected a mapping, found nothing/);
    assert.match(await told('host: 5'), /expected text, found a number: put it in quotes/);
    assert.match(
      await told('trustedProxies: [10.0.0.0/33]'),
      /trustedProxies\[0\]: "10\.0\.0\.0\/33" is neither an IP address nor a CIDR block/,
    );
    assert.match(await told('limits: {headBytes: 32}'), /write a size such as/);
    assert.match(await told('limits: {underscores: kep}'), /write drop or keep \(did you mean "keep"\?\)/);
    assert.match(await told('port: 1, unix: /x'), /a listener has a port or a Unix socket, not both/);
    assert.match(await told('host: "::", unix: /x'), /a Unix socket has no host/);
  });

  test('hold for names', async () => {
    assert.deepEqual(
      await problemsOf(`${BASE}routes:\n  "a b": {upstream: u}\n  constructor: {upstream: toString}\n`),
      [
        '3:3 error BAD_NAME routes["a b"]: a name has letters, digits, `_`, `-` and `.`, begins with none of the last two, and is at most 128 long',
        '4:27 error UNKNOWN_UPSTREAM there is no upstream "toString"',
      ],
    );
  });

  test('hold for a configuration that is no mapping at all', async () => {
    for (const text of ['- 1', 'text', '5', '"${env:X:-y}"']) {
      assert.deepEqual(await problemsOf(text), [
        '1:1 error BAD_VALUE a configuration is a mapping with keys such as listeners, upstreams and routes',
      ]);
    }
  });

  test('do not tell of missing routes where a key may be meant for them', async () => {
    assert.deepEqual(await problemsOf('routs: {}'), [
      '1:1 error UNKNOWN_KEY unknown key "routs" at the top (did you mean "routes"?)',
    ]);
    assert.deepEqual(await problemsOf('threads: 1'), [
      '1:1 warning NO_ROUTES there are no routes: every request will be answered 404',
    ]);
  });

  test('of what stands for a list of one point to it', async () => {
    const text = 'routes:\n  r:\n    match:\n      path:\n        regex: "^/("\n    respond: {}\n';
    const { analyse } = await loadText(text, {
      analyseRoutes: async () => [
        { severity: 'error', code: 'X', message: 'bad', path: ['routes', 'r', 'match', 'path', 0, 'regex'] },
      ],
    });
    assert.deepEqual(
      (await analyse()).map(({ line, column }) => `${line}:${column}`),
      ['5:16'],
    );
  });

  test('come with the same places in JSON', async () => {
    const text =
      '{\n  "upstreams": {"u": {"targets": ["http://127.0.0.1:1"]}},\n  "routes": {\n    "r": {"upstream": "v"}\n  },\n  "thread": 1\n}';
    assert.deepEqual(await problemsOf(text, { fileName: '/gw/gateway.json' }), [
      '4:23 error UNKNOWN_UPSTREAM there is no upstream "v" (did you mean "u"?)',
      '6:3 error UNKNOWN_KEY unknown key "thread" at the top (did you mean "threads"?)',
    ]);
  });
});

suite('what becomes part of a message', () => {
  const told = async (route: string): Promise<string> =>
    (await problemsOf(`${BASE}routes: {r: {${route}}}`)).join('; ');

  test('cannot split or reframe it', async () => {
    for (const name of [
      'content-length',
      'Transfer-Encoding',
      'connection',
      'keep-alive',
      'upgrade',
      'te',
      'trailer',
    ]) {
      assert.match(
        await told(`respond: {headers: {${name}: x}}`),
        /BAD_NAME .*says how a message travels: the gateway alone decides on it/,
      );
    }
    for (const name of ['"a b"', '"a:"', '""', '"x\\r\\ny"']) {
      assert.match(await told(`respond: {headers: {${name}: x}}`), /BAD_NAME .*is not a header name/);
    }
    for (const value of ['"a\\r\\nb: c"', '"a\\0"', '"\u20ac"']) {
      assert.match(
        await told(`respond: {headers: {x-a: ${value}}}`),
        /a header value holds no line break or other control character/,
      );
    }
    assert.match(await told('respond: {headers: {x-a: " a"}}'), /a header value neither begins nor ends with a blank/);
    assert.match(await told('respond: {status: 204, body: x}'), /respond\.body: a response of this status has no body/);
    assert.equal(
      await told('respond: {status: 204, headers: {x-a: "b c"}}'),
      '1:13 warning UNUSED upstreams.u is not used by anything',
    );
  });

  test('is a host where a host belongs', async () => {
    for (const host of ['"a b"', '"a/b"', '"a@b"', '"a:99999"', '"a\\r\\n"', '""']) {
      assert.match(await told(`upstream: u, rewrite: {host: ${host}}`), /rewrite\.host: is not a host such as/);
      const upstream = `upstreams: {u: {targets: ["http://h:1"], hostHeader: ${host}}}\nroutes: {r: {upstream: u}}`;
      assert.match((await problemsOf(upstream)).join(), /upstreams\.u\.hostHeader: is not a host such as/);
    }
  });

  test('is matched only by what the wire lets in', async () => {
    assert.match(
      await told('upstream: u, match: {methods: [get]}'),
      /match\.methods\[0\]: a method is written in capitals, such as GET/,
    );
    assert.match(await told('upstream: u, match: {methods: G/T}'), /a method is written in capitals/);
    for (const host of ['a b', 'a.example:80', '[::1', '1::2::3', 'a..b', '*.*.b', 'a.*', '*', 'a.']) {
      assert.match(
        await told(`upstream: u, match: {host: ${JSON.stringify(host)}}`),
        /is not a host name such as/,
        host,
      );
    }
    const { config } = await loadText(`${BASE}routes: {r: {upstream: u, match: {host: ["[0:0::1]", A.B]}}}`);
    assert.deepEqual(config?.routes['r']?.match.host, ['::1', 'a.b']);
  });
});

suite('the output of problems', () => {
  const problem = { file: 'g.yaml', line: 1, column: 2, severity: 'error', code: 'X', message: 'm', path: [] } as const;

  test('is one line each, whatever is in the message', () => {
    const hostile = { ...problem, message: 'a\nb\u001b[31m\u2028c', suggestion: 'x"y\n' };
    assert.equal(formatProblem(hostile), 'g.yaml:1:2  error  X  a b [31m c (did you mean "x\\"y\\n"?)');
  });

  test('says once what is true once', () => {
    const second = { ...problem, line: 3 };
    assert.deepEqual(sortProblems([second, problem, { ...problem }]), [problem, second]);
  });
});

suite('an empty configuration', () => {
  test('has all defaults, and a warning that there are no routes', async () => {
    const { config, problems } = await loadText('');
    assert.deepEqual(
      problems.map(({ code }) => code),
      ['EMPTY', 'NO_ROUTES'],
    );
    assert.equal(config?.listeners['web']?.port, 8080);
    assert.deepEqual(config?.admin, { host: '127.0.0.1', port: 9901 });
    assert.deepEqual(config?.telemetry.accessLog?.file, 'stdout');
    assert.deepEqual(config?.notFound, { policies: [], respond: null });
  });
});
