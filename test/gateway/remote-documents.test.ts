/** Documents that others publish: when they are fetched, and what becomes of what was fetched before. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { suite, test, type TestContext } from 'node:test';
import type { DocumentSource } from '../../src/contract.ts';
import { RemoteDocuments } from '../../src/gateway/remote-documents.ts';
import { folderWith } from '../support/command.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FakePublisher, settled } from '../support/fake-publisher.ts';

const source: DocumentSource = {
  url: 'https://issuer.test/jwks?secret=canary',
  timeoutMs: 5_000,
  maxBytes: 1_000,
  refreshMs: 600_000,
  cooldownMs: 10_000,
};

const minute = 60_000;

function begin(t: TestContext, changes: Partial<DocumentSource> = {}) {
  const clock = new FakeClock();
  const publisher = new FakePublisher();
  const log: string[] = [];
  const note = (message: string, about: unknown): void => {
    log.push(`${message} ${JSON.stringify(about)}`);
  };
  const documents = new RemoteDocuments({ clock, call: publisher.call, info: note, warn: note });
  t.after(() => documents.close());
  const lease = documents.lease({ ...source, ...changes });
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await settled();
  };
  return { clock, publisher, log, documents, lease, document: lease.value, pass };
}

suite('a document that others publish', () => {
  test('is fetched as soon as somebody wants it, and shared by all who want the same', async (t) => {
    const { publisher, documents, document } = begin(t);
    assert.equal(publisher.count, 1);
    assert.deepEqual(publisher.asked[0].request, {
      url: source.url,
      method: 'GET',
      timeoutMs: 5_000,
      maxBytes: 1_000,
    });
    assert.equal(document.text, null);
    assert.equal(documents.lease(source).value, document);
    assert.notEqual(documents.lease({ ...source, url: 'https://other.test/' }).value, document);
    const waiting = document.refresh();
    assert.equal(publisher.count, 2, 'whoever asks waits for the attempt that is under way');
    publisher.asked[0].answer({ status: 200, headers: [], body: Buffer.from('one') });
    await waiting;
    assert.equal(document.text, 'one');
    assert.equal(document.version, 1);
  });

  test('is asked for with POST when there is something to say', (t) => {
    const { publisher } = begin(t, { body: 'a=b', headers: [['content-type', 'x/y']] });
    const { method, body, headers } = publisher.asked[0].request;
    assert.deepEqual({ method, body, headers }, { method: 'POST', body: 'a=b', headers: [['content-type', 'x/y']] });
  });

  test('is fetched again in time, and has another version when it is another text', async (t) => {
    const { publisher, clock, document, pass } = begin(t);
    await publisher.say('one');
    const firstConfirmed = document.confirmedAt;
    assert.equal(firstConfirmed, clock.wallNow());
    await pass(9 * minute);
    assert.equal(publisher.count, 1);
    await pass(minute + 1_000);
    assert.equal(publisher.count, 2);
    await publisher.say('one');
    assert.equal(document.version, 1);
    assert.ok(document.confirmedAt > firstConfirmed);
    await pass(11 * minute);
    await publisher.say('two');
    assert.deepEqual([document.version, document.text], [2, 'two']);
  });

  const lifetimes = [
    { headers: [['Cache-Control', 'public, max-age=100']], afterMs: 80_000 },
    {
      headers: [
        ['cache-control', 'max-age="100"'],
        ['age', '50'],
      ],
      afterMs: 40_000,
    },
    { headers: [['cache-control', 's-max-age=3, x-max-age=5']], afterMs: 600_000 },
    { headers: [['cache-control', 'max-age=0']], afterMs: 10_000 },
    {
      headers: [
        ['cache-control', 'max-age=100'],
        ['age', '2000'],
      ],
      afterMs: 10_000,
    },
    { headers: [['cache-control', 'max-age=99999999']], afterMs: 600_000 },
    { headers: [['cache-control', 'max-age=-5, no-store']], afterMs: 600_000 },
  ] as const;
  for (const { headers, afterMs } of lifetimes) {
    test(`that says ${JSON.stringify(headers)} is fetched again after ${afterMs} ms`, async (t) => {
      const { publisher, pass } = begin(t);
      await publisher.say('one', { headers });
      await pass(afterMs - 1_000);
      assert.equal(publisher.count, 1);
      await pass(2_000);
      assert.equal(publisher.count, 2);
    });
  }

  test('that says in itself how long it holds is fetched again ahead of that', async (t) => {
    const { publisher, pass } = begin(t, { lifetimeMember: 'expires_in', members: { access_token: 'string' } });
    await publisher.say('{"access_token":"t","expires_in":300}');
    await pass(239_000);
    assert.equal(publisher.count, 1);
    await pass(2_000);
    assert.equal(publisher.count, 2);
  });

  test('is never fetched twice within the cooldown, whoever asks how often', async (t) => {
    const { publisher, document, pass } = begin(t);
    await publisher.say('one');
    for (let i = 0; i < 99; i++) {
      await document.refresh();
      await pass(100);
    }
    assert.equal(publisher.count, 1);
    await pass(200);
    const all = [document.refresh(), document.refresh()];
    assert.equal(publisher.count, 2);
    await publisher.say('two');
    await Promise.all(all);
    assert.equal(document.text, 'two');
  });

  test('stays through an outage, is tried less and less often, and the log tells of it once', async (t) => {
    const { publisher, document, pass, log } = begin(t);
    await publisher.say('one');
    await pass(11 * minute);
    const intervals: number[] = [];
    for (let failures = 0; failures < 8; failures++) {
      await publisher.fail('connection refused');
      assert.equal(document.text, 'one');
      assert.equal(document.problem, 'connection refused');
      const { count } = publisher;
      let waited = 0;
      while (publisher.count === count) {
        await pass(1_000);
        waited += 1;
      }
      intervals.push(waited);
    }
    assert.deepEqual(
      intervals.map((seconds) => Math.round(seconds / 10) * 10),
      [10, 20, 40, 80, 160, 300, 300, 300],
    );
    assert.equal(log.length, 1);
    assert.match(log[0], /connection refused.*the last one stays in use/);
    assert.ok(!log[0].includes('canary'));
    await publisher.say('two');
    assert.deepEqual([document.text, document.problem], ['two', '']);
    assert.match(log[1], /can be fetched again/);
  });

  test('that was never there yet can be asked for again as soon as the cooldown is over', async (t) => {
    const { publisher, document, pass } = begin(t);
    await publisher.fail('connection refused');
    assert.equal(document.text, null);
    await pass(9_000);
    void document.refresh();
    assert.equal(publisher.count, 1);
    await pass(2_000);
    assert.equal(publisher.count, 2);
  });

  const garbage: readonly (readonly [string, string | Uint8Array, { status?: number }?])[] = [
    ['a status that is none of success', '{"keys":[]}', { status: 500 }],
    ['a redirect', '{"keys":[]}', { status: 302 }],
    ['no content', '', { status: 204 }],
    ['an empty text', ''],
    ['HTML', '<html>sorry</html>'],
    ['half of it', '{"keys":['],
    ['a list', '[]'],
    ['null', 'null'],
    ['another object', '{"error":"x"}'],
    ['a member of another kind', '{"keys":"none"}'],
    ['an inherited member', '{"__proto__":{"keys":[]}}'],
    ['bytes that are no text', Uint8Array.of(0x7b, 0xff, 0x7d)],
  ];
  for (const [name, body, options] of garbage) {
    test(`stays when ${name} comes instead`, async (t) => {
      const { publisher, document, pass, log } = begin(t, { members: { keys: 'array' } });
      await publisher.say('{"keys":[1]}');
      await pass(11 * minute);
      await publisher.say(body, options);
      assert.equal(document.text, '{"keys":[1]}');
      assert.notEqual(document.problem, '');
      assert.ok(!JSON.stringify(log).includes('sorry'), 'what was said instead is not logged');
    });
  }

  test('that was let go is not fetched again, and not before the last has let go', async (t) => {
    const { publisher, documents, lease, pass, clock } = begin(t);
    const second = documents.lease(source);
    await publisher.say('one');
    lease.release();
    await pass(11 * minute);
    assert.equal(publisher.count, 2);
    second.release();
    await publisher.say('two');
    await pass(60 * minute);
    assert.equal(publisher.count, 2);
    assert.equal(clock.running, 0, 'nothing waits for time to pass any longer');
  });
});

suite('a document that another one points to', () => {
  const pointer = { member: 'jwks_uri', mustSay: { issuer: 'https://issuer.test' } };
  const url = 'https://issuer.test/.well-known/openid-configuration';
  const discovery = (jwks: unknown, issuer: unknown = 'https://issuer.test'): string =>
    JSON.stringify({ issuer, jwks_uri: jwks });

  test('is fetched from where that says, both within the time-out', async (t) => {
    const { publisher, document, clock } = begin(t, { url, pointer, members: { keys: 'array' } });
    clock.advance(3_000);
    await publisher.say(discovery('https://keys.test/jwks'));
    assert.equal(publisher.asked[1].request.url, 'https://keys.test/jwks');
    assert.equal(publisher.asked[1].request.timeoutMs, 2_000);
    await publisher.say('{"keys":[]}');
    assert.equal(document.text, '{"keys":[]}');
  });

  test('is not asked for when no time is left', async (t) => {
    const { publisher, document, clock } = begin(t, { url, pointer });
    clock.advance(5_000);
    await publisher.say(discovery('https://keys.test/jwks'));
    assert.equal(publisher.count, 1);
    assert.match(document.problem, /too long/);
  });

  const refused: readonly (readonly [string, string])[] = [
    ['another issuer', discovery('https://keys.test/', 'https://issuer.test.evil')],
    ['a list of issuers', discovery('https://keys.test/', ['https://issuer.test'])],
    ['no URL', discovery(undefined)],
    ['a URL without TLS', discovery('http://keys.test/')],
    ['a file', discovery('file:///etc/passwd')],
    ['a relative URL', discovery('/jwks')],
  ];
  for (const [name, text] of refused) {
    test(`is not fetched when that names ${name}`, async (t) => {
      const { publisher, document } = begin(t, { url, pointer });
      await publisher.say(text);
      assert.equal(publisher.count, 1);
      assert.equal(document.text, null);
      assert.notEqual(document.problem, '');
    });
  }
});

test('a document that is a file is read again, and stays while the file cannot be read', async (t) => {
  const folder = await folderWith(t, { 'keys.json': '{"keys":[1]}' });
  const path = join(folder, 'keys.json');
  const { document, clock } = begin(t, {
    url: pathToFileURL(path).href,
    members: { keys: 'array' },
    refreshMs: 1_000,
    cooldownMs: 1_000,
  });
  await document.refresh();
  assert.equal(document.text, '{"keys":[1]}');
  const readAgain = async (text: string): Promise<void> => {
    await writeFile(path, text);
    clock.advance(1_500);
    await document.refresh();
  };
  await readAgain('{"keys":[2]}');
  assert.equal(document.text, '{"keys":[2]}');
  await readAgain('{"keys":[');
  assert.equal(document.text, '{"keys":[2]}');
  await readAgain(`{"keys":["${'x'.repeat(1_000)}"]}`);
  assert.match(document.problem, /more than 1000 bytes/);
  await readAgain('{"keys":[3]}');
  assert.equal(document.text, '{"keys":[3]}');
});
