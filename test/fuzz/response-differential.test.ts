/**
 * Whatever response the gateway takes for complete, Node's own parser takes for complete with the same meaning. Bounded
 * and repeated like the test of requests beside it.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { mutate } from '../support/mutations.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { generateResponse, split } from './message-generator.ts';
import { readAsNodeClient } from './node-reading.ts';
import { readAsClient } from './our-reading.ts';
import type { ResponseReading } from './readings.ts';

const messages = Math.ceil(Number(process.env['GATEWRIGHT_FUZZ_MESSAGES'] ?? 15_000) / 3);
const seed = Number(process.env['GATEWRIGHT_FUZZ_SEED'] ?? 1);
const atOnce = 50;

const { cases } = JSON.parse(readFileSync(new URL('../corpora/http1-responses.json', import.meta.url), 'utf8')) as {
  readonly cases: readonly { readonly raw: string }[];
};
const corpus = cases.map(({ raw }) => Buffer.from(raw, 'base64').toString('latin1')).filter((raw) => raw.length < 1500);

/** Where llhttp is known to differ, and it is nobody's mistake. */
function isKnownDifference(text: string, theirs: ResponseReading): boolean {
  if (theirs.refusal === 'HPE_INVALID_TRANSFER_ENCODING' && /transfer-encoding:[ \t]*chunked[ \t]+\r/i.test(text)) {
    return true;
  }
  // It takes what an interim response says of the connection for said of the final one.
  if (theirs.refusal === 'HPE_CLOSED_CONNECTION' && theirs.interim.length > 0 && theirs.status === 0) return true;
  const isChunkLine = theirs.refusal === 'HPE_INVALID_CHUNK_SIZE' || theirs.refusal === 'HPE_STRICT';
  return isChunkLine && /\r\n[0-9a-f]+(?:[ \t]+;|;[^\r\n]*[ \t])/i.test(text);
}

/** How the two readings contradict each other; null when they do not. */
function contradiction(text: string, ours: ResponseReading, theirs: ResponseReading): string | null {
  if (isKnownDifference(text, theirs)) return null;
  if (!ours.complete) return ours.refusal === '' && theirs.complete ? 'only they read to the end' : null;
  if (!theirs.complete) return `only we read to the end; theirs: ${theirs.refusal}`;
  if (ours.status !== theirs.status) return `the status is ${ours.status}, or ${theirs.status}`;
  if (ours.fields.join('\n') !== theirs.fields.join('\n')) {
    return `the fields are ${JSON.stringify(ours.fields)}, or ${JSON.stringify(theirs.fields)}`;
  }
  if (ours.body !== theirs.body) return `the body is ${JSON.stringify(ours.body)}, or ${JSON.stringify(theirs.body)}`;
  if (ours.interim.join() !== theirs.interim.join()) {
    return `the interim responses are ${ours.interim.join()}, or ${theirs.interim.join()}`;
  }
  return null;
}

async function compare(method: string, text: string, pieces: readonly string[]): Promise<ResponseReading> {
  const [ours, theirs] = await Promise.all([readAsClient(method, pieces), readAsNodeClient(method, pieces)]);
  const found = contradiction(text, ours, theirs);
  assert.equal(
    found,
    null,
    `${found}\n${method} in ${JSON.stringify(pieces)}\nours ${JSON.stringify(ours)}\ntheirs ${JSON.stringify(theirs)}`,
  );
  return ours;
}

describe('responses, as read by us and by llhttp', () => {
  it('mean the same in every case from outside', async () => {
    for (const text of corpus) for (const method of ['GET', 'HEAD']) await compare(method, text, [text]);
  });

  it(`mean the same in ${messages} generated and mutated cases (seed ${seed})`, async () => {
    const random = new SeededRandom(seed);
    const counts = { accepted: 0, refused: 0, incomplete: 0 };
    const one = async (): Promise<void> => {
      const good = random.oneIn(6) ? random.pick(corpus) : generateResponse(random);
      const text = random.below(10) < 6 ? mutate(good, corpus, random) : good;
      const { complete, refusal } = await compare(random.oneIn(6) ? 'HEAD' : 'GET', text, split(text, random));
      if (complete) counts.accepted++;
      else if (refusal === '') counts.incomplete++;
      else counts.refused++;
    };
    for (let done = 0; done < messages; done += atOnce) await Promise.all(Array.from({ length: atOnce }, one));
    assert.ok(counts.accepted > messages / 5 && counts.refused > messages / 5, JSON.stringify(counts));
  });
});
