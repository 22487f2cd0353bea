/** Limits measured from outside: of servers that keep what they promise, and of such that do not. */
import assert from 'node:assert/strict';
import { type TestContext, suite, test } from 'node:test';
import {
  type LimitMeasurement,
  LimitTestError,
  type LimitTestOptions,
  measureLimit,
} from '../../../src/testing/index.ts';
import { makeCertificate } from '../../support/certificates.ts';
import { freePort } from '../../support/free-port.ts';
import { type ServerBehaviour, limitingServer } from '../../support/limiting-server.ts';

const good: ServerBehaviour = { limit: 20, windowMs: 1000, capacity: 20 };
/** So much more than the limit that it is more on a machine that hardly moves, too. */
const quick = {
  rate: '20/1s',
  load: 50,
  clients: 2,
  connections: 8,
  duration: '400ms',
  sameClock: true,
  waits: 0,
} as const;

async function measure(
  t: TestContext,
  behaviour: Partial<ServerBehaviour>,
  options: Partial<LimitTestOptions> = {},
): Promise<LimitMeasurement> {
  const { url } = await limitingServer(t, { ...good, ...behaviour });
  return measureLimit({ url, ...quick, ...options });
}

/** What was found that is of this kind. */
const found = ({ findings }: LimitMeasurement, kind: string): string[] =>
  findings.filter((one) => one.kind === kind).map(({ text }) => text);

suite('measureLimit', () => {
  test('finds that a limit is kept, and what is told of it true', async (t) => {
    const measured = await measure(t, {}, { waits: 1 });
    assert.deepEqual([measured.findings, measured.verdict], [[], 'holds']);
    assert.equal(measured.window.allowed, 39);
    assert.ok(measured.window.certain >= 20 && measured.window.certain <= 39, `${measured.window.certain}`);
    assert.ok(measured.window.possible >= measured.window.certain);
    assert.equal(measured.sent, measured.admitted + measured.refused);
    assert.deepEqual([measured.waiting?.waited, measured.waiting?.gotIn, measured.waiting?.stopped], [1, 1, null]);
    assert.deepEqual(measured.headers.policies, ['"test";q=20;w=1']);
  });

  test('finds that more are admitted than may be', async (t) => {
    const measured = await measure(t, { capacity: 60 });
    assert.equal(measured.verdict, 'broken');
    assert.ok(measured.window.certain > measured.window.allowed);
    assert.match(found(measured, 'broken').join('\n'), /^within 1s at least \d+ were admitted, and 39 may be$/m);
  });

  test('counts each value of a header by itself', async (t) => {
    const options = { byHeader: { name: 'x-key', keys: 10 }, rate: '2/1s', load: 50 };
    const behaviour = { limit: 2, capacity: 2 };
    const kept = await measure(t, behaviour, options);
    assert.deepEqual([kept.findings, kept.verdict], [[], 'holds']);
    assert.deepEqual([kept.keys, kept.window.allowed], [10, 3]);
    assert.ok(kept.admitted >= 20);
    const broken = await measure(t, { ...behaviour, capacity: 8 }, options);
    assert.ok(found(broken, 'broken').includes('this is so of 10 of 10 keys'));
    const shared = await measure(t, behaviour, { ...options, byHeader: { name: 'x-nobody-looks', keys: 10 } });
    assert.match(shared.findings.map(({ text }) => text).join('\n'), /% of the limit is usable/);
  });

  test('asks on while an answer stalls', async (t) => {
    const measured = await measure(t, { stallEvery: 60, stallMs: 700 }, { stall: '1ms' });
    assert.ok(measured.answers.longestMs >= 690, `${measured.answers.longestMs}`);
    assert.ok(measured.sent > 60);
  });

  test('finds a Retry-After that is too short, and that some are said to be left when there are none', async (t) => {
    const slow = { limit: 1, windowMs: 60_000, capacity: 2 };
    const options = { rate: '1/1m', burst: 1, waits: 1, load: 6000 };
    const short = await measure(t, { ...slow, retryAfter: () => '0' }, options);
    assert.ok(found(short, 'broken').includes('a client that waited as it was told was refused 1 times'));
    const lying = await measure(t, { ...slow, left: () => 1 }, options);
    assert.match(found(lying, 'broken').join('\n'), /^\d+ refusals said that some are left$/m);
    assert.match(lying.waiting!.stopped!, /^it was told to wait \d\d s, which was not tried$/);
    const proud = await measure(t, { ...slow, left: (left) => left + 1 }, { ...options, waits: 0 });
    assert.ok(found(proud, 'broken').includes('an answer said that 2 more are left, and 2 may come at once'));
  });

  test('says so when it cannot tell', async (t) => {
    const forbidden = await measure(t, { admit: (_, response) => response.writeHead(403).end() });
    assert.equal(forbidden.verdict, 'in doubt');
    assert.match(found(forbidden, 'doubt')[0], /were neither admissions nor refusals; the statuses were 403, 429/);
    const cut = await measure(t, { admit: ({ socket }) => socket.destroy() }, { waits: 1 });
    assert.match(found(cut, 'doubt')[0], /requests were not answered: (ECONNRESET|closed before an answer)/);
    assert.ok(cut.failed > 0);
    const silent = await measure(t, { admit: () => {} }, { timeout: '100ms' });
    assert.match(found(silent, 'doubt')[0], /requests were not answered: no answer within 100 ms/);
  });

  test('understands answers of all forms, and connects again to who closes connections', async (t) => {
    const forms: NonNullable<ServerBehaviour['admit']>[] = [
      (_, response) => void response.write('he', () => response.end('llo')),
      (_, response) => {
        response.writeProcessing();
        response.end('hello');
      },
      (_, response) => void response.writeHead(204).end(),
      (_, response) => void response.writeHead(200, { connection: 'close' }).end('x'),
      (_, response) => {
        response.useChunkedEncodingByDefault = false;
        response.shouldKeepAlive = false;
        response.end('until the end');
      },
      (_, response) => void response.end('x'.repeat(300_000)),
    ];
    let count = 0;
    const admit: ServerBehaviour['admit'] = (request, response) => forms[count++ % forms.length](request, response);
    const measured = await measure(t, { admit, maxRequestsPerSocket: 20 });
    assert.deepEqual([measured.findings, measured.verdict], [[], 'holds']);
    assert.deepEqual([measured.failed, measured.other], [0, 0]);
    assert.ok(count >= forms.length);
    const head = await measure(t, { admit }, { method: 'HEAD' });
    assert.deepEqual([head.findings, head.verdict], [[], 'holds']);
  });

  test('sends what it is told to, from several connections in turn', async (t) => {
    const server = await limitingServer(t, good);
    const headers = { authorization: 'Bearer x' };
    await measureLimit({ url: `${server.url}?a=1`, ...quick, duration: '200ms', method: 'POST', headers });
    const [{ method, headers: got }] = server.heads;
    assert.deepEqual([method, got['content-length'], got.authorization], ['POST', '0', 'Bearer x']);
    assert.equal(got.host, new URL(server.url).host);
  });

  test('sends to several gateways alike, which share one limit or do not', async (t) => {
    const servers = [await limitingServer(t, good), await limitingServer(t, good)];
    const measured = await measureLimit({ url: servers.map(({ url }) => url), ...quick });
    assert.ok(measured.window.certain >= 40, `${measured.window.certain}: each has let its own through`);
    assert.equal(measured.verdict, 'broken');
    for (const { heads } of servers) assert.ok(heads.length > measured.sent / 5, `${heads.length} of ${measured.sent}`);
  });

  test('over TLS, and only to whom it trusts unless told otherwise', async (t) => {
    const { key, cert } = makeCertificate({ altNames: ['IP:127.0.0.1'] });
    const server = await limitingServer(t, { ...good, tls: { key, cert } });
    await assert.rejects(measureLimit({ url: server.url, ...quick }), (error: LimitTestError) => {
      assert.match(error.message, /SELF_SIGNED|UNABLE_TO_VERIFY|DEPTH_ZERO/);
      return error.kind === 'unreachable';
    });
    const measured = await measureLimit({ url: server.url, ...quick, insecure: true });
    assert.equal(measured.verdict, 'holds', JSON.stringify(measured.findings));
  });

  test('rejects when nothing listens', async () => {
    const port = await freePort();
    await assert.rejects(measureLimit({ url: `http://127.0.0.1:${port}/`, ...quick }), (error: LimitTestError) => {
      assert.match(error.message, new RegExp(`^127\\.0\\.0\\.1:${port}: ECONNREFUSED: start the gateway first$`));
      return error instanceof LimitTestError && error.kind === 'unreachable';
    });
  });

  test('rejects what cannot be measured', async () => {
    for (const [options, message] of [
      [{ rate: '100' }, /"100" is not a rate such as 100\/1s/],
      [{ rate: '0/1s' }, /is not a rate/],
      [{ url: 'ftp://x/' }, /is not an http\(s\) URL/],
      [{ url: 'http://a:b@x/' }, /credentials as a header/],
      [{ url: [] }, /name the URL/],
      [{ burst: -1 }, /burst: -1 is not from 0/],
      [{ burst: 1.5 }, /burst: 1\.5 is not a whole number/],
      [{ algorithm: 'fixed-window', burst: 1 }, /fixed-window has no burst/],
      [{ duration: '1 s' }, /is not a duration/],
      [{ duration: '10h' }, /is not from 100 to 3600000/],
      [{ load: NaN }, /load: NaN/],
      [{ clients: 0 }, /clients: 0/],
      [{ clients: 4, connections: 2 }, /connections: 2 is not from 4/],
      [{ rate: '100000/1s', duration: '1h' }, /these would be 18000000000 requests/],
      [{ method: 'get' }, /no requests with get/],
      [{ headers: { 'a b': '' } }, /"a b" cannot be sent/],
      [{ headers: { a: 'b\r\nc: d' } }, /"a" cannot be sent/],
      [{ headers: { Host: 'x' } }, /`Host` says is taken from the URL/],
      [{ headers: { 'content-length': '5' } }, /content-length is for the client/],
      [{ byHeader: { name: '', keys: 5 } }, /not the name of a header/],
      [{ byHeader: { name: 'x', keys: 0 } }, /keys: 0/],
      [{ refused: [] }, /name a status/],
      [{ refused: [200] }, /from 300 to 599/],
    ] as readonly (readonly [Partial<LimitTestOptions>, RegExp])[]) {
      await assert.rejects(
        measureLimit({ url: 'http://127.0.0.1:1/', ...quick, ...options }),
        (error: LimitTestError) => {
          assert.match(error.message, message);
          assert.equal(error.kind, 'usage');
          return true;
        },
      );
    }
  });
});
