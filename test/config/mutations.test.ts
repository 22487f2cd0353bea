/** A thousand configurations with a mistake in each: none crashes, none slips through, every problem has its place. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { dump } from 'js-yaml';
import { findRouteProblems } from '../../src/compile/route-findings.ts';
import type { AnalyseRoutes, LoadResult } from '../../src/config/load.ts';
import type { Problem } from '../../src/config/problem.ts';
import { loadText } from './load-text.ts';

/** Everything that is available, in every form. */
const base = {
  listeners: {
    web: {
      port: 8080,
      host: '0.0.0.0',
      trustedProxies: ['10.0.0.0/8', '::1'],
      proxyProtocol: false,
      limits: {
        headBytes: '32KiB',
        targetBytes: '16KiB',
        headers: 100,
        bodyBytes: '100MiB',
        connections: 10_000,
        underscores: 'keep',
      },
      timeouts: { head: '10s', bodyIdle: '30s', keepAlive: '60s', handshake: '5s' },
      http2: false,
    },
    local: { unix: './gw.sock' },
  },
  admin: { host: '127.0.0.1', port: 9901, token: '${env:TOKEN}' },
  threads: 'auto',
  upstreams: {
    one: {
      targets: ['http://127.0.0.1:3001', { url: 'http://127.0.0.1:3002', weight: 3 }],
      balance: 'weighted-round-robin',
    },
    two: {
      targets: ['unix:/run/app.sock', 'https://api.internal'],
      connections: { max: 256, idle: '60s', pipelining: 1 },
      tls: { serverName: 'catalog.internal', insecure: false },
      hostHeader: 'target',
    },
  },
  policies: { small: { bodyLimit: { max: '1KiB' } } },
  defaults: { timeouts: { connect: '2s', firstByte: '30s', idle: '60s', total: 'none' }, policies: ['requestId'] },
  routes: {
    plain: { match: { path: '/plain' }, upstream: 'one' },
    full: {
      match: {
        host: ['api.example.com', '*.shop.example.com'],
        path: ['/catalog/*', { regex: '^/v[0-9]+/' }],
        methods: ['GET', 'HEAD'],
        headers: { 'x-version': '2', 'x-beta': { present: true }, 'user-agent': { regex: '^Mobile' } },
        query: { preview: '1' },
        listener: 'web',
        emptySegments: 'keep',
        encodedSlash: 'keep',
      },
      priority: 5,
      policies: [
        'small',
        { cors: { origins: ['https://shop.example.com'], credentials: true, maxAge: '1h' } },
        'compress',
      ],
      upstream: [{ upstream: 'one', weight: 90 }, { upstream: 'two' }],
      timeouts: { total: '5s' },
    },
    rewritten: {
      match: { path: '/users/{id}' },
      rewrite: { path: '/v1/{id}', host: 'users.internal' },
      upstream: 'two',
    },
    moved: { match: { path: '/old/*' }, redirect: { to: 'https://new.example.com/{*}', status: 308 } },
    teapot: { match: { path: '/teapot' }, respond: { status: 418, headers: { 'x-a': 'b' }, body: 'short and stout' } },
  },
  notFound: { policies: ['securityHeaders'], respond: { status: 404, body: 'nothing here' } },
  telemetry: { accessLog: { file: 'stdout', format: 'json', sample: '100%', redact: ['cookie', '?token'] } },
};

type Container = Record<string, unknown> | unknown[];
type Writer = (value: unknown) => { text: string; fileName: string };

const writers: readonly Writer[] = [
  (value) => ({ text: dump(value), fileName: '/gw/gateway.yaml' }),
  (value) => ({ text: dump(value, { flowLevel: 2 }), fileName: '/gw/gateway.yaml' }),
  (value) => ({ text: JSON.stringify(value, null, 2), fileName: '/gw/gateway.json' }),
  (value) => ({ text: JSON.stringify(value), fileName: '/gw/gateway.json' }),
];

function containersIn(value: unknown): Container[] {
  if (typeof value !== 'object' || value === null) return [];
  return [value as Container, ...Object.values(value).flatMap(containersIn)];
}

async function load(text: string, fileName: string): Promise<LoadResult> {
  const analyseRoutes: AnalyseRoutes = async (routes) => findRouteProblems(routes);
  const loaded = await loadText(text, { fileName, env: { TOKEN: 'sesame' }, analyseRoutes });
  assertPlaces(loaded.problems, text);
  assert.equal(
    loaded.config === null,
    loaded.problems.some(({ severity }) => severity === 'error'),
  );
  const looked = await loaded.analyse();
  assertPlaces(looked, text);
  return { ...loaded, problems: [...loaded.problems, ...looked] };
}

/** Every problem has a place in the text. */
function assertPlaces(problems: readonly Problem[], text: string): void {
  const lines = text.split('\n');
  for (const { line, column, message } of problems) {
    assert.ok(line >= 1 && line <= lines.length, `line ${line} of ${lines.length}: ${message}`);
    assert.ok(column >= 1 && column <= lines[line - 1].length + 1, `column ${column}: ${message}`);
    assert.ok(message.length > 0 && !message.includes('undefined') && !message.includes('[object'), message);
  }
}

type Base = typeof base;

/** What is right by its form, and suspicious all the same: how it comes about, and the key or text that it is found at. */
const suspicious: readonly (readonly [code: string, at: RegExp, (config: Base) => void])[] = [
  ['TRUSTS_EVERYBODY', /0\.0\.0\.0\/0/, ({ listeners }) => listeners.web.trustedProxies.push('0.0.0.0/0')],
  ['ADMIN_PLAINTEXT', /0\.0\.0\.9/, ({ admin }) => (admin.host = '0.0.0.9')],
  ['TLS_UNVERIFIED', /true/, ({ upstreams }) => (upstreams.two.tls.insecure = true)],
  ['REPEATED', /127\.0\.0\.1:3001/, ({ upstreams }) => upstreams.one.targets.push('http://127.0.0.1:3001')],
  ['NO_EFFECT', /requestId/, ({ routes }) => routes.full.policies.push('requestId')],
  ['TIMEOUTS', /6s/, ({ routes }) => Object.assign(routes.full.timeouts, { idle: '6s' })],
  ['NO_EFFECT', /firstByte/, ({ routes }) => Object.assign(routes.teapot, { timeouts: { firstByte: '6s' } })],
  [
    'ROUTE_UNREACHABLE',
    /x-forwarded-for/,
    ({ routes }) => Object.assign(routes.full.match.headers, { 'x-forwarded-for': 'a' }),
  ],
  ['REDIRECT_LOOP', /\/old\/new/, ({ routes }) => (routes.moved.redirect.to = '/old/new')],
];

const writer = fc.constantFrom(...writers);
const place = fc.nat({ max: 10_000 });
const UNKNOWN = 'zzUnknown';

suite('a suspicious configuration', () => {
  test('is told at its place, alone or with others, however it is written', async () => {
    const subset = fc.uniqueArray(fc.nat({ max: suspicious.length - 1 }), { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(writer, subset, async (write, chosen) => {
        const mutated = structuredClone(base);
        for (const index of chosen) suspicious[index][2](mutated);
        const { text, fileName } = write(mutated);
        const { problems, config } = await load(text, fileName);
        assert.ok(config !== null, text);
        assert.equal(problems.length, chosen.length, JSON.stringify(problems));
        const lines = text.split('\n');
        for (const [code, at] of chosen.map((index) => suspicious[index])) {
          const isThere = problems.some(({ line, column, code: found, severity }) => {
            const rest = lines[line - 1].slice(column - 1);
            return found === code && severity === 'warning' && rest.search(at) >= 0 && rest.search(at) < 10;
          });
          assert.ok(isThere, `${code} in ${text}\n${JSON.stringify(problems)}`);
        }
      }),
      { numRuns: 150 },
    );
  });
});

suite('a configuration with a mistake', () => {
  test('is without one to begin with', async () => {
    for (const write of writers) {
      const { text, fileName } = write(base);
      assert.deepEqual((await load(text, fileName)).problems, []);
    }
  });

  test('never gets through with a key that nothing knows, wherever it is', async () => {
    const seen = new Set<number>();
    await fc.assert(
      fc.asyncProperty(
        writer,
        place,
        fc.constantFrom<unknown>({ zz: 1 }, { [UNKNOWN]: [] }),
        async (write, where, value) => {
          const mutated = structuredClone(base);
          const mappings = containersIn(mutated).filter((container) => !Array.isArray(container));
          seen.add(where % mappings.length);
          (mappings[where % mappings.length] as Record<string, unknown>)[UNKNOWN] = value;
          const { text, fileName } = write(mutated);
          const { config, problems } = await load(text, fileName);
          assert.equal(config, null, text);
          // Somebody points at the key itself, or at what is around it or inside of it.
          assert.ok(
            problems.some(
              ({ path, message }) => path.includes(UNKNOWN) || message.includes('several') || message.includes(UNKNOWN),
            ),
            text,
          );
        },
      ),
      { numRuns: 400 },
    );
    assert.ok(seen.size > 25, `only ${seen.size} mappings were tried`);
  });

  test('has a place for every problem when a value is of another kind', async () => {
    const other = fc.constantFrom<unknown>(
      null,
      true,
      0,
      -1,
      1.5,
      1e308,
      '',
      'x',
      '5x',
      '/',
      '*',
      '{',
      '${env:NOPE}',
      '${',
      [],
      {},
      [[]],
      [null],
      { a: { b: 1 } },
      '\u0000',
      'a\nb',
      '__proto__',
      'constructor',
    );
    await fc.assert(
      fc.asyncProperty(writer, place, place, other, async (write, where, which, value) => {
        const mutated = structuredClone(base);
        const containers = containersIn(mutated);
        const container = containers[where % containers.length];
        const keys = Object.keys(container);
        if (keys.length === 0) return;
        (container as Record<string, unknown>)[keys[which % keys.length]] = structuredClone(value);
        const { text, fileName } = write(mutated);
        await load(text, fileName);
      }),
      { numRuns: 400 },
    );
  });

  test('has a place for every problem when something is missing or called otherwise', async () => {
    await fc.assert(
      fc.asyncProperty(writer, place, place, fc.boolean(), async (write, where, which, isRenamed) => {
        const mutated = structuredClone(base);
        const containers = containersIn(mutated).filter(
          (container) => !Array.isArray(container) && Object.keys(container).length > 0,
        );
        const container = containers[where % containers.length] as Record<string, unknown>;
        const key = Object.keys(container)[which % Object.keys(container).length];
        if (isRenamed) container[`${key.slice(1)}${key[0]}`] = container[key];
        delete container[key];
        const { text, fileName } = write(mutated);
        await load(text, fileName);
      }),
      { numRuns: 200 },
    );
  });

  test('has a place for every problem when its text is damaged', async () => {
    const damage = fc.constantFrom(
      '',
      ' ',
      '\n',
      '\t',
      ':',
      ': ',
      '- ',
      '{',
      '}',
      '[',
      ']',
      ',',
      '"',
      "'",
      '#',
      '&a ',
      '*a',
      '!x ',
      '|',
      '%',
      '\u0000',
      '\ud800',
      '${',
      '${env:',
      '\\',
      '---\n',
      '<<: ',
    );
    await fc.assert(
      fc.asyncProperty(writer, place, fc.nat({ max: 3 }), damage, async (write, where, removed, inserted) => {
        const { text, fileName } = write(base);
        const at = where % text.length;
        await load(text.slice(0, at) + inserted + text.slice(at + removed), fileName);
      }),
      { numRuns: 400 },
    );
  });

  test('is found also when the same key is written twice', async () => {
    await fc.assert(
      fc.asyncProperty(place, async (where) => {
        const lines = dump(base).split('\n');
        const keyed = lines.flatMap((line, index) => (/^ *[A-Za-z0-9-]+: \S/.test(line) ? [index] : []));
        const index = keyed[where % keyed.length];
        lines.splice(index, 0, lines[index]);
        const { config, problems } = await load(lines.join('\n'), '/gw/gateway.yaml');
        assert.equal(config, null);
        const column = lines[index].search(/\S/) + 1;
        assert.ok(
          problems.some(
            (problem) => problem.code === 'DUPLICATE_KEY' && problem.line === index + 2 && problem.column === column,
          ),
        );
      }),
      { numRuns: 60 },
    );
  });
});
