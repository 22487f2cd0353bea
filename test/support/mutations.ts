/** Turns good messages into bad ones, byte by byte and piece by piece. */
import type { SeededRandom } from './seeded-random.ts';

/** Bytes and pieces that parsers have stumbled over. */
const suspicious: readonly string[] = [
  '\r',
  '\n',
  '\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  ';',
  ',',
  '\x0b',
  '\x0c',
  '\x7f',
  '\x80',
  '\xa0',
  '\xff',
  '"',
  '\\',
  '%',
  '#',
  '_',
  '\r\n ',
  '\n\n',
  '\r\n\r\n',
  '0',
  '00',
  '-1',
  '+',
  'x',
  '1e1',
  '0x1',
  'ffffffffffffffff',
  '2147483648',
  '9007199254740993',
  'HTTP/1.1',
  'HTTP/1.0',
  'HTTP/2.0',
  'HTTP/1.1\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Content-Length: 5\r\n',
  'Content-Length: 0\r\n',
  'Transfer-Encoding:',
  'chunked',
  'identity',
  'gzip, chunked',
  'Host: other\r\n',
  'Connection: close\r\n',
  'Connection: content-length\r\n',
  'Expect: 100-continue\r\n',
  'Upgrade: websocket\r\n',
  '0\r\n\r\n',
  '5\r\nhello\r\n',
  '5;a=b\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
];

/** A message (one character a byte) with one to four mutations; `others` are spliced in now and then. */
export function mutate(message: string, others: readonly string[], random: SeededRandom): string {
  let text = message;
  for (let left = 1 + random.below(4); left > 0; left--) text = mutateOnce(text, others, random);
  return text;
}

function mutateOnce(text: string, others: readonly string[], random: SeededRandom): string {
  const at = random.below(text.length + 1);
  const length = Math.min(text.length - at, 1 + random.below(random.oneIn(4) ? 40 : 3));
  switch (random.below(8)) {
    case 0: // another byte
      return text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at + 1);
    case 1: // one bit
      return (
        text.slice(0, at) +
        String.fromCharCode((text.charCodeAt(at) || 0) ^ (1 << random.below(8))) +
        text.slice(at + 1)
      );
    case 2:
      return text.slice(0, at) + text.slice(at + length);
    case 3: // twice
      return text.slice(0, at + length) + text.slice(at);
    case 4: {
      const other = random.pick(others);
      const from = random.below(other.length + 1);
      return text.slice(0, at) + other.slice(from, from + 1 + random.below(60)) + text.slice(at);
    }
    case 5:
      return text.slice(0, at) + random.pick(suspicious) + text.slice(at + length);
    case 6: // a line twice, or the other way round
      return mutateLines(text, random);
    default:
      return text.slice(0, at) + random.pick(suspicious) + text.slice(at);
  }
}

function mutateLines(text: string, random: SeededRandom): string {
  const lines = text.split('\r\n');
  const from = random.below(lines.length);
  const [line = ''] = lines.splice(from, 1);
  const copies = random.oneIn(2) ? [line, line] : [line];
  lines.splice(random.below(lines.length + 1), 0, ...copies);
  return lines.join(random.oneIn(20) ? '\n' : '\r\n');
}
