/** The signed debug header at real sockets: who gets an answer, what is in it, and that nobody else ever sees one. */
import assert from 'node:assert/strict';
import { type TestContext, describe, it } from 'node:test';
import type { LiveExplanation } from '../../src/compile/explain/explanation.ts';
import type { Policy } from '../../src/contract.ts';
import { debugEnv as env, debugHost as host, liveOf, message, signed, withDebug } from '../support/debug-request.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type GatewayOptions, type ProxySettings, TestGateway, proxyTo } from '../support/gateway.ts';
import { policyOf } from '../support/inline-policy.ts';
import { type ResponseMessage, fieldValue, fieldValues } from '../support/message-parser.ts';
import { RawClient, request } from '../support/raw-client.ts';
import { RawUpstream, type UpstreamScript, ok } from '../support/raw-upstream.ts';

const isSilent = ({ fields }: Pick<ResponseMessage, 'fields'>): boolean =>
  fieldValues(fields, 'gatewright-debug').length === 0;

const eventsOf = ({ timings }: LiveExplanation): string[] =>
  timings.map(({ station, event, detail }) => `${station} ${event}${detail === '' ? '' : ` ${detail}`}`);

async function start(
  t: TestContext,
  script: UpstreamScript | undefined,
  settings: ProxySettings = {},
  options: GatewayOptions = {},
) {
  const upstream = await RawUpstream.start(t, script);
  const gateway = await TestGateway.start(t, withDebug(proxyTo(upstream.url, settings)), { env, ...options });
  const ask = (bytes: string): Promise<ResponseMessage> => request(t, gateway.address(), bytes);
  return { upstream, gateway, ask };
}

const get = 'GET /a/../catalog/7?x=1 HTTP/1.1';

describe('the debug header', () => {
  it('tells of this very request: explanation, what happened, and when it came to each station', async (t) => {
    const { upstream, ask } = await start(t, undefined, { route: { policies: ['requestId'] } });
    const response = await ask(message(get, signed(get)));
    assert.equal(response.body, 'ok');
    assert.deepEqual(fieldValues(response.fields, 'cache-control'), ['no-store']);
    const live = liveOf(response);
    const { explanation, happened, timings, leftOut } = live;
    assert.equal(explanation?.route?.name, 'all');
    assert.equal(explanation.request.target, '/a/../catalog/7?x=1');
    assert.equal(explanation.request.path, '/catalog/7');
    assert.deepEqual(explanation.request.droppedHeaders, []);
    assert.deepEqual(
      explanation.policies.map(({ label, provides }) => ({ label, provides })),
      [{ label: 'requestId', provides: ['requestId'] }],
    );
    assert.deepEqual(happened, {
      status: 200,
      code: null,
      reason: '',
      upstream: 'service',
      target: upstream.url,
      attempts: 1,
      requestId: fieldValue(response.fields, 'x-request-id'),
    });
    assert.deepEqual(eventsOf(live), [
      '3 router',
      '4 policies',
      `6 balance ${upstream.url}`,
      '7 connection',
      '7 sent',
      '7 answered',
      '8 respond',
    ]);
    const times = timings.map(({ ms }) => ms);
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    );
    assert.deepEqual(leftOut, []);
  });

  it('is nothing where it is not configured, and goes no further, with trusted proxies or without', async (t) => {
    for (const listener of [{}, { trustedProxies: ['127.0.0.1'] }]) {
      const upstream = await RawUpstream.start(t);
      const gateway = await TestGateway.start(t, proxyTo(upstream.url, { listener }));
      assert.ok(isSilent(await request(t, gateway.address(), message(get, signed(get)))));
      assert.doesNotMatch(upstream.bytes, /gatewright-debug/i);
    }
  });

  it('never reaches the upstream, signed or not, in whatever spelling', async (t) => {
    for (const listener of [{}, { trustedProxies: ['127.0.0.1'] }]) {
      const { upstream, ask } = await start(t, undefined, { listener });
      const own = signed(get);
      for (const fields of [own, own.toUpperCase(), `${own}connection: gatewright-debug\r\n`, own + own]) {
        await ask(message(get, fields));
      }
      await ask(
        `POST / HTTP/1.1\r\nhost: ${host}\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n${signed('POST / HTTP/1.1')}\r\n`,
      );
      assert.equal(upstream.requests.length, 5);
      assert.doesNotMatch(upstream.bytes, /gatewright-debug/i);
    }
  });

  it('comes and goes with the configuration, and explains by the one that serves', async (t) => {
    const upstream = await RawUpstream.start(t);
    const config = proxyTo(upstream.url);
    const gateway = await TestGateway.start(t, config);
    const ask = async (): Promise<ResponseMessage> => request(t, gateway.address(), message(get, signed(get)));
    assert.ok(isSilent(await ask()));
    const on = { ...config, telemetry: { accessLog: false, debug: { secret: env.GATEWRIGHT_DEBUG_SECRET } } } as const;
    await gateway.apply(on);
    assert.equal(liveOf(await ask()).explanation?.route?.name, 'all');
    await gateway.apply({ ...on, routes: { renamed: { upstream: 'service' } } });
    assert.equal(liveOf(await ask()).explanation?.route?.name, 'renamed');
    await gateway.apply(config);
    assert.ok(isSilent(await ask()));
  });

  it('is seen by no route and by no policy', async (t) => {
    const seen: boolean[] = [];
    const onRequest: Policy['onRequest'] = ({ requestHeaders }) => {
      seen.push(requestHeaders.has('gatewright-debug'));
    };
    const { ask } = await start(
      t,
      undefined,
      { route: { match: { headers: { 'gatewright-debug': { present: false } } }, policies: [{ use: './see.ts' }] } },
      { modules: { './see.ts': policyOf({ onRequest }) } },
    );
    assert.equal(liveOf(await ask(message(get, signed(get)))).explanation?.route?.name, 'all');
    await ask(message(get, 'gatewright-debug: 1\r\n'));
    assert.deepEqual(seen, [false, false]);
  });

  it('is silent, and the response the same, when the signature is not right', async (t) => {
    const clock = new FakeClock();
    const seconds = clock.wallNow() / 1000;
    const { ask } = await start(t, undefined, {}, { clock });
    const sign = (more: Parameters<typeof signed>[1]): string => signed(get, { seconds, ...more });
    const headOf = ({ startLine, fields }: ResponseMessage): unknown => [
      startLine,
      fields.filter(([name]) => name !== 'date'),
    ];
    const plain = headOf(await ask(message(get)));
    assert.ok(!isSilent(await ask(message(get, sign({})))));
    assert.ok(!isSilent(await ask(message(get, sign({ seconds: seconds - 300 })))));
    const wrong = {
      'another secret': sign({ key: `${env.GATEWRIGHT_DEBUG_SECRET}x` }),
      'too old': sign({ seconds: seconds - 301 }),
      'from the future': sign({ seconds: seconds + 301 }),
      'for another host': sign({ authority: 'other.example' }),
      'for another method': signed(get.replace('GET', 'PUT'), { seconds }),
      'for another target': signed(get.replace('x=1', 'x=2'), { seconds }),
      twice: sign({}) + sign({}),
      'no signature': 'gatewright-debug: 1\r\n',
      empty: 'gatewright-debug:\r\n',
    };
    for (const [name, fields] of Object.entries(wrong)) {
      assert.deepEqual(headOf(await ask(message(get, fields))), plain, name);
    }
    // Time passes: what was right is stale.
    const stale = sign({});
    clock.advance(300_001);
    assert.ok(isSilent(await ask(message(get, stale))));
  });

  it('does not pass on what an upstream says in its name: head, interim head, trailers, switch of protocols', async (t) => {
    const claim = 'gatewright-debug: {"claim":1}\r\n';
    const { ask, gateway } = await start(t, {
      onRequest: ({ startLine }) =>
        startLine.includes('/ws')
          ? `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n${claim}\r\n`
          : `HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n${claim}\r\nHTTP/1.1 200 OK\r\n${claim}transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n${claim}\r\n`,
    });
    const client = await RawClient.connect(t, gateway.address());
    client.write(message(get, 'te: trailers\r\nconnection: te\r\n'));
    await client.until((received) => received.endsWith('0\r\n\r\n'), 'the end');
    assert.match(client.received, /103 Early Hints[^]*200 OK/);
    assert.doesNotMatch(client.received, /gatewright-debug|claim/);
    const upgrade = 'GET /ws HTTP/1.1';
    client.received = '';
    client.write(message(upgrade, 'connection: upgrade\r\nupgrade: websocket\r\n'));
    await client.until((received) => received.endsWith('\r\n\r\n'), 'the switch');
    assert.match(client.received, /^HTTP\/1\.1 101 /);
    assert.doesNotMatch(client.received, /gatewright-debug|claim/);
    // Where the gateway has something to say itself, it says only that.
    assert.equal(liveOf(await ask(message(get, signed(get)))).happened.status, 200);
  });
});

describe('the debug header of responses of all kinds', () => {
  it('that the gateway makes: no route, no method, a bad path, a reply of a route, a redirect', async (t) => {
    const config = withDebug({
      listeners: { web: { host: '127.0.0.1', port: 0 } },
      routes: {
        tea: { match: { path: '/tea' }, respond: { status: 418 } },
        old: { match: { path: '/old' }, redirect: { to: 'https://new.example/' } },
        get: { match: { path: '/get', methods: ['GET'] }, respond: {} },
      },
    });
    const gateway = await TestGateway.start(t, config, { env });
    const cases = [
      ['GET /none HTTP/1.1', 404, 'NO_ROUTE', 'no-route', null],
      ['PUT /get HTTP/1.1', 405, 'METHOD_NOT_ALLOWED', 'method-not-allowed', null],
      ['GET /%00 HTTP/1.1', 400, 'BAD_PATH', 'refused', null],
      ['GET /tea HTTP/1.1', 418, null, 'route', 'tea'],
      ['GET /old HTTP/1.1', 308, null, 'route', 'old'],
    ] as const;
    for (const [line, status, code, kind, route] of cases) {
      const response = await request(t, gateway.address(), message(line, signed(line)));
      const { explanation, happened, timings } = liveOf(response);
      assert.equal(Number(response.startLine.split(' ')[1]), status, line);
      assert.deepEqual([happened.status, happened.code, happened.attempts], [status, code, 0], line);
      assert.deepEqual([explanation?.outcome.kind, explanation?.route?.name ?? null], [kind, route], line);
      assert.equal(timings.at(-1)?.event, 'respond', line);
    }
  });

  it('of policies: a reply, and one that fails', async (t) => {
    const hooks: Record<string, Policy> = {
      './reply.ts': { onRequest: () => ({ status: 403, body: 'no' }) },
      './later.ts': { onRequest: () => Promise.resolve({ status: 403 }) },
      './fail.ts': {
        onRequest: () => {
          throw new Error('on purpose');
        },
      },
      './response.ts': { onResponse: () => Promise.reject(new Error('on purpose')) },
    };
    const expected = {
      './reply.ts': [403, '3 router, 4 policies inline, 8 respond'],
      './later.ts': [403, '3 router, 4 policies inline, 8 respond'],
      './fail.ts': [500, '3 router, 8 respond'],
    } as const;
    const modules = Object.fromEntries(Object.entries(hooks).map(([name, policy]) => [name, policyOf(policy)]));
    for (const [use, [status, events]] of Object.entries(expected)) {
      const { ask } = await start(t, undefined, { route: { policies: [{ use }] } }, { modules });
      const live = liveOf(await ask(message(get, signed(get))));
      assert.equal(live.happened.status, status, use);
      assert.equal(eventsOf(live).join(', '), events);
    }
    const { ask } = await start(t, undefined, { route: { policies: [{ use: './response.ts' }] } }, { modules });
    const { happened } = liveOf(await ask(message(get, signed(get))));
    assert.deepEqual([happened.status, happened.code, happened.attempts], [500, 'POLICY_FAILED', 1]);
  });

  it('tells what a policy changed only where it happened: the explanation is of the request as it came', async (t) => {
    const modules = {
      './strip.ts': policyOf({ onRequest: ({ requestHeaders }) => requestHeaders.remove('x-version') }),
    };
    const { ask } = await start(
      t,
      undefined,
      { route: { match: { headers: { 'x-version': '2' } }, policies: [{ use: './strip.ts' }] } },
      { modules },
    );
    const live = liveOf(await ask(message(get, `x-version: 2\r\n${signed(get)}`)));
    assert.equal(live.explanation?.route?.name, 'all');
  });

  it('with the next target, and with none that can be reached', async (t) => {
    const upstream = await RawUpstream.start(t);
    const dead = 'http://127.0.0.1:1';
    const gateway = await TestGateway.start(t, withDebug(proxyTo([dead, upstream.url])), { env });
    const live = liveOf(await request(t, gateway.address(), message(get, signed(get))));
    assert.deepEqual([live.happened.attempts, live.happened.target], [2, upstream.url]);
    assert.deepEqual(eventsOf(live).slice(2, 6), [
      `6 balance ${dead}`,
      '7 failed UPSTREAM_UNREACHABLE',
      `6 balance ${upstream.url}`,
      '7 connection',
    ]);
    upstream.stop();
    const failed = liveOf(await request(t, gateway.address(), message(get, signed(get))));
    assert.equal(failed.happened.status, 502);
    assert.equal(failed.happened.code, 'UPSTREAM_UNREACHABLE');
    assert.equal(failed.explanation?.route?.name, 'all');
  });

  it('when ever so many targets are dead: the first and the last attempts', async (t) => {
    const targets = Array.from({ length: 150 }, (_, index) => `http://127.0.0.1:1/`.replace(':1/', `:${index + 1}`));
    const gateway = await TestGateway.start(t, withDebug(proxyTo(targets)), { env });
    const { happened, timings } = liveOf(await request(t, gateway.address(), message(get, signed(get))));
    assert.equal(happened.attempts, 150);
    assert.ok(timings.length <= 65);
    assert.equal(timings.at(-1)?.event, 'respond');
  });

  it('of a retry on a fresh connection', async (t) => {
    const { ask, upstream } = await start(t, {
      onRequest: (_, connection) => {
        if (connection.index > 0 || connection.requests.length === 1) return ok();
        connection.reset();
        return undefined;
      },
    });
    await ask(message(get));
    const live = liveOf(await ask(message(get, signed(get))));
    assert.equal(live.happened.attempts, 2);
    assert.deepEqual(eventsOf(live).slice(2), [
      `6 balance ${upstream.url}`,
      '7 connection',
      '7 sent',
      '7 failed UPSTREAM_RESET',
      '7 connection',
      '7 sent',
      '7 answered',
      '8 respond',
    ]);
  });

  it('to HEAD, to HTTP/1.0 with Host and without, and for an absolute target', async (t) => {
    const { ask } = await start(t, undefined);
    const head = 'HEAD / HTTP/1.1';
    assert.equal(liveOf(await ask(message(head, signed(head)))).explanation?.request.method, 'HEAD');
    const old = 'GET /old HTTP/1.0';
    assert.equal(liveOf(await ask(message(old, signed(old)))).explanation?.request.host, host);
    const bare = liveOf(await ask(`${old}\r\n${signed(old, { authority: '' })}\r\n`));
    assert.deepEqual([bare.explanation?.request.host, bare.explanation?.route?.name], ['', 'all']);
    const absolute = `GET http://${host}/x HTTP/1.1`;
    assert.equal(liveOf(await ask(message(absolute, signed(absolute)))).explanation?.request.path, '/x');
  });

  it('of a body that streams, chunked and transformed, and leaves the body alone', async (t) => {
    const body = 'compressible '.repeat(20_000);
    const script: UpstreamScript = {
      onRequest: () =>
        `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
    };
    const { ask } = await start(t, script, { route: { policies: [{ compress: { encodings: ['gzip'] } }] } });
    const plain = await ask(message(get, signed(get)));
    assert.equal(plain.body, body);
    assert.equal(liveOf(plain).happened.status, 200);
    const packed = await ask(message(get, `accept-encoding: gzip\r\n${signed(get)}`));
    assert.equal(fieldValue(packed.fields, 'content-encoding'), 'gzip');
    assert.equal(liveOf(packed).happened.status, 200);
  });

  it('of a switch of protocols, which is none the worse for it', async (t) => {
    const { gateway } = await start(t, {
      onHead: (_, connection) => {
        connection.switchProtocols();
        connection.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello');
      },
    });
    const line = 'GET /ws HTTP/1.1';
    const client = await RawClient.connect(t, gateway.address());
    client.write(message(line, `connection: upgrade\r\nupgrade: websocket\r\n${signed(line)}`));
    await client.until((received) => received.endsWith('hello'), 'the tunnel');
    const value = /^gatewright-debug: (.*)\r$/m.exec(client.received)?.[1];
    const live = JSON.parse(value ?? '') as LiveExplanation;
    assert.equal(live.happened.status, 101);
    assert.deepEqual(eventsOf(live).slice(-2), ['7 answered', '8 respond']);
  });
});
