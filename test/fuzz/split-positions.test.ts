/** Where bytes are split on their way makes no difference: every position of every short case, and each byte by itself. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { mutate } from '../support/mutations.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { generateRequests, generateResponse } from './message-generator.ts';
import { readAsClient, readAsServer } from './our-reading.ts';

const seed = Number(process.env['GATEWRIGHT_FUZZ_SEED'] ?? 1);
const longest = 400;

function fromOutside(file: string, casesOf: (text: string) => readonly { readonly raw: string }[]): string[] {
  const text = readFileSync(new URL(`../corpora/${file}`, import.meta.url), 'utf8').trim();
  return casesOf(text)
    .map(({ raw }) => Buffer.from(raw, 'base64').toString('latin1'))
    .filter((raw) => raw.length <= longest);
}

/** A number of messages, half of them mutated, each short enough to be split everywhere. */
function generated(count: number, generate: (random: SeededRandom) => string): string[] {
  const random = new SeededRandom(seed);
  const texts: string[] = [];
  while (texts.length < count) {
    const text = random.oneIn(2) ? generate(random) : mutate(generate(random), [generate(random)], random);
    if (text.length <= longest) texts.push(text);
  }
  return texts;
}

interface Reading {
  refusal: string;
}

async function assertSame(text: string, read: (pieces: readonly string[]) => Promise<Reading>): Promise<void> {
  const whole = await read([text]);
  const splits = Array.from({ length: text.length - 1 }, (_, i) => [text.slice(0, i + 1), text.slice(i + 1)]);
  for (const pieces of [...splits, text.split('')]) {
    const reading = await read(pieces);
    // A head in pieces is looked at again only when a line is complete, so in an unfinished line nobody may look.
    if (reading.refusal === '' && !text.endsWith('\n')) reading.refusal = whole.refusal;
    assert.deepEqual(reading, whole, `split as ${JSON.stringify(pieces)}`);
  }
}

describe('the reading of a request', () => {
  it('is the same wherever a case from outside is split', async () => {
    const corpus = fromOutside('http1-requests.jsonl', (text) =>
      text.split('\n').map((line) => JSON.parse(line) as { raw: string }),
    );
    for (const text of corpus) await assertSame(text, readAsServer);
  });

  it(`is the same wherever a generated message is split (seed ${seed})`, async () => {
    for (const text of generated(100, generateRequests)) await assertSame(text, readAsServer);
  });
});

describe('the reading of a response', () => {
  const read = (pieces: readonly string[]): Promise<Reading> => readAsClient('GET', pieces);

  it('is the same wherever a case from outside is split', async () => {
    const corpus = fromOutside(
      'http1-responses.json',
      (text) => (JSON.parse(text) as { cases: { raw: string }[] }).cases,
    );
    for (const text of corpus) await assertSame(text, read);
  });

  it(`is the same wherever a generated message is split (seed ${seed})`, async () => {
    for (const text of generated(100, generateResponse)) await assertSame(text, read);
  });
});
