/**
 * Whatever request the gateway accepts, Node's own parser accepts with the same meaning: method, target, headers, body,
 * and where one request ends and the next begins. A bounded number of messages in continuous integration; `npm run fuzz`
 * for a million (GATEWRIGHT_FUZZ_MESSAGES), from another seed each time (GATEWRIGHT_FUZZ_SEED to repeat one).
 */
import assert from 'node:assert/strict';
import { METHODS } from 'node:http';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { mutate } from '../support/mutations.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { generateRequests, split } from './message-generator.ts';
import { readAsNodeServer } from './node-reading.ts';
import { readAsServer } from './our-reading.ts';
import type { ReadRequest, RequestReading } from './readings.ts';

const messages = Number(process.env['GATEWRIGHT_FUZZ_MESSAGES'] ?? 15_000);
const seed = Number(process.env['GATEWRIGHT_FUZZ_SEED'] ?? 1);
const atOnce = 50;

const corpus = readFileSync(new URL('../corpora/http1-requests.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => Buffer.from((JSON.parse(line) as { raw: string }).raw, 'base64').toString('latin1'))
  .filter((raw) => raw.length < 1500);

/** Where llhttp is known to differ, and it is nobody's mistake. */
function isKnownDifference(text: string, ours: readonly ReadRequest[], theirs: RequestReading): boolean {
  // It knows a closed list of methods; RFC 9110, section 9.1 does not.
  if (theirs.refusal !== '' && ours.some(({ method }) => !METHODS.includes(method))) return true;
  // It refuses white space behind `chunked`, which is no part of the value (RFC 9110, section 5.5).
  if (theirs.refusal === 'HPE_INVALID_TRANSFER_ENCODING' && /transfer-encoding:[ \t]*chunked[ \t]+\r/i.test(text)) {
    return true;
  }
  // It refuses the white space that RFC 9112, section 7.1.1 allows around the parts of a chunk extension.
  const isChunkLine = theirs.refusal === 'HPE_INVALID_CHUNK_SIZE' || theirs.refusal === 'HPE_STRICT';
  if (isChunkLine && /\r\n[0-9a-f]+(?:[ \t]+;|;[^\r\n]*[ \t])/i.test(text)) return true;
  // It takes Proxy-Connection, which no RFC knows, for Connection.
  return theirs.refusal === 'HPE_CLOSED_CONNECTION' && /proxy-connection/i.test(text);
}

function asksForUpgrade(request: ReadRequest | undefined): boolean {
  return request !== undefined && request.fields.some((field) => field.startsWith('upgrade: '));
}

/** How the two readings contradict each other; null when they do not. */
function contradiction(text: string, ours: RequestReading, theirs: RequestReading): string | null {
  if (isKnownDifference(text, ours.requests, theirs)) return null;
  for (const [index, request] of ours.requests.entries()) {
    const other = theirs.requests[index];
    // What was not complete when something turned out to be wrong has gone nowhere.
    if (!request.complete && ours.refusal !== '') break;
    // Behind a body of a request that asks for an upgrade it hands nothing on.
    if (other === undefined && asksForUpgrade(ours.requests[index - 1])) break;
    if (other === undefined) return `request ${index} was only read by us; theirs: ${theirs.refusal}`;
    for (const key of ['method', 'target', 'version'] as const) {
      if (request[key] !== other[key]) return `request ${index}: ${key} is ${request[key]}, or ${other[key]}`;
    }
    if (request.fields.join('\n') !== other.fields.join('\n')) {
      return `request ${index}: fields are ${JSON.stringify(request.fields)}, or ${JSON.stringify(other.fields)}`;
    }
    if (request.complete !== other.complete) {
      return `request ${index}: complete to one, not to the other (${theirs.refusal})`;
    }
    if (request.body !== other.body) {
      return `request ${index}: body is ${JSON.stringify(request.body)}, or ${JSON.stringify(other.body)}`;
    }
  }
  const goesOn = ours.refusal === '' && !ours.endsThere;
  if (goesOn && theirs.requests.length > ours.requests.length) return `they read ${theirs.requests.length} requests`;
  return null;
}

async function compare(text: string, pieces: readonly string[]): Promise<RequestReading> {
  const [ours, theirs] = await Promise.all([readAsServer(pieces), readAsNodeServer(pieces)]);
  const found = contradiction(text, ours, theirs);
  assert.equal(
    found,
    null,
    `${found}\nin ${JSON.stringify(pieces)}\nours ${JSON.stringify(ours)}\ntheirs ${JSON.stringify(theirs)}`,
  );
  return ours;
}

describe('requests, as read by us and by llhttp', () => {
  it('mean the same in every case from outside', async () => {
    for (const text of corpus) await compare(text, [text]);
  });

  it(`mean the same in ${messages} generated and mutated cases (seed ${seed})`, async () => {
    const random = new SeededRandom(seed);
    const counts = { accepted: 0, refused: 0, incomplete: 0 };
    const one = async (): Promise<void> => {
      const good = random.oneIn(6) ? random.pick(corpus) : generateRequests(random);
      const text = random.below(10) < 6 ? mutate(good, corpus, random) : good;
      const ours = await compare(text, split(text, random));
      if (ours.refusal !== '') counts.refused++;
      else if (ours.requests.length > 0 && ours.requests.every(({ complete }) => complete)) counts.accepted++;
      else counts.incomplete++;
    };
    for (let done = 0; done < messages; done += atOnce) await Promise.all(Array.from({ length: atOnce }, one));
    // A generator of which everything is refused, or nothing, would compare nothing.
    assert.ok(counts.accepted > messages / 5 && counts.refused > messages / 5, JSON.stringify(counts));
  });
});
