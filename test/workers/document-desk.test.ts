/** Documents of the main thread in serving threads. Both ends are on this thread here; what goes between them is real. */
import assert from 'node:assert/strict';
import { suite, test, type TestContext } from 'node:test';
import type { DocumentSource } from '../../src/contract.ts';
import { systemClock } from '../../src/util/clock.ts';
import { DocumentDesk } from '../../src/workers/document-desk.ts';
import { ThreadDocuments } from '../../src/workers/thread-documents.ts';
import { eventually } from '../support/changes.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FakePublisher } from '../support/fake-publisher.ts';

const source: DocumentSource = {
  url: 'https://issuer.test/jwks',
  timeoutMs: 5_000,
  maxBytes: 1_000,
  refreshMs: 600_000,
  cooldownMs: 10_000,
};

function begin(t: TestContext) {
  const clock = new FakeClock();
  const publisher = new FakePublisher();
  let closed = 0;
  const desk = new DocumentDesk({
    clock,
    log: { info() {}, warn() {}, error() {} },
    caller: () => Promise.resolve({ call: publisher.call, close: () => void closed++ }),
  });
  t.after(() => desk.close());
  const thread = () => {
    const port = desk.connect();
    return { documents: new ThreadDocuments(port, clock), end: () => port.close() };
  };
  const asked = (count: number): Promise<void> =>
    eventually(() => publisher.count >= count, `${count} calls, there were ${publisher.count}`);
  return { clock, publisher, desk, thread, asked, closed: () => closed };
}

suite('documents for serving threads', () => {
  test('are fetched once for all of them', async (t) => {
    const { publisher, thread, asked } = begin(t);
    const documents = [thread(), thread(), thread()].map((one) => one.documents.lease(source).value);
    const waiting = documents.map((document) => document.refresh());
    await asked(1);
    await publisher.say('one');
    await Promise.all(waiting);
    assert.equal(publisher.count, 1);
    for (const document of documents) {
      assert.deepEqual([document.text, document.version, document.problem], ['one', 1, '']);
      assert.notEqual(document.confirmedAt, 0);
    }
  });

  test('are told to all of them when they change, and asked for once per cooldown', async (t) => {
    const { clock, publisher, thread, asked } = begin(t);
    const documents = [thread(), thread()].map((one) => one.documents.lease(source).value);
    await asked(1);
    await publisher.say('one');
    await Promise.all(documents.map((document) => document.refresh()));
    for (let i = 0; i < 20; i++) await Promise.all(documents.map((document) => document.refresh()));
    assert.equal(publisher.count, 1);
    clock.advance(10_000);
    const refreshed = documents.map((document) => document.refresh());
    await asked(2);
    await publisher.say('two');
    await Promise.all(refreshed);
    assert.deepEqual(
      documents.map(({ text }) => text),
      ['two', 'two'],
    );
    clock.advance(600_000);
    await asked(3);
    await publisher.say('three');
    await eventually(() => documents.every(({ text }) => text === 'three'), 'both to have the third');
    assert.equal(publisher.count, 3);
  });

  test('are there at once for a thread that replaces one that has died', async (t) => {
    const { clock, publisher, thread, asked } = begin(t);
    const first = thread();
    first.documents.lease(source);
    await asked(1);
    await publisher.say('one');
    first.end();
    clock.advance(5_000);
    const document = thread().documents.lease(source).value;
    await document.refresh();
    assert.equal(document.text, 'one');
    assert.equal(publisher.count, 1);
  });

  test('are no longer fetched a while after the last thread has let go', async (t) => {
    const { clock, publisher, thread, asked } = begin(t);
    const { documents } = thread();
    const leases = [documents.lease(source), documents.lease(source)];
    await asked(1);
    await publisher.say('one');
    leases[0].release();
    leases[1].release();
    await eventually(() => clock.running > 1, 'the main thread to have been told');
    clock.advance(3_600_000);
    assert.equal(publisher.count, 1);
    assert.equal(clock.running, 0, 'nothing waits for time to pass any longer');
  });

  test('keep no request waiting when the main thread does not answer', async (t) => {
    const { thread } = begin(t);
    const { documents, end } = thread();
    const document = documents.lease({ ...source, timeoutMs: 1 }).value;
    end();
    const begun = systemClock.now();
    await document.refresh();
    assert.ok(systemClock.now() - begun < 5_000);
    assert.equal(document.text, null);
  });

  test('are given up with the gateway, and so is who calls', async (t) => {
    const { desk, publisher, thread, asked, clock, closed } = begin(t);
    thread().documents.lease(source);
    await asked(1);
    desk.close();
    await publisher.say('late');
    clock.advance(3_600_000);
    assert.equal(publisher.count, 1);
    assert.equal(clock.running, 0);
    assert.equal(closed(), 1);
  });
});
