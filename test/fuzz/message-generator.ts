/** Messages of HTTP/1.1, most of them good, some bad on purpose; `mutate` makes the rest bad. */
import type { SeededRandom } from '../support/seeded-random.ts';

const methods = ['GET', 'POST', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND', 'TRACE', 'M-SEARCH'] as const;
const targets = [
  '/',
  '/a/b?c=d',
  '/%61',
  '*',
  'http://a/',
  'http://a.example:80/b',
  '//a',
  '/a;b=c',
  '/?',
  '/a%2fb',
  '/../a',
  '/a:b',
] as const;
const hosts = ['a', 'api.example.com', 'a:80', '127.0.0.1', '[::1]:80', 'A.example.'] as const;
const names = [
  'X-A',
  'x-b',
  'Accept',
  'Cookie',
  'Via',
  'Date',
  "!#$%&'*+.^`|~",
  'X',
  'Content-Type',
  'User-Agent',
] as const;
const values = [
  '',
  'a',
  ' a b ',
  '\ta\t',
  'a,b',
  '"a"',
  '\x80\xff',
  'a:b',
  '=;',
  '0',
  'chunked',
  'a'.repeat(200),
] as const;
const hopFields = [
  'Connection: keep-alive',
  'Connection: close',
  'Connection: x-a, x-b',
  'connection: Upgrade',
  'Upgrade: websocket',
  'Keep-Alive: timeout=5',
  'TE: trailers',
  'Expect: 100-continue',
  'Trailer: x-t',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: gzip, chunked',
  'Content-Length: 0',
  'Content-Length: 5',
  'Content-Length: 05',
  'Host: b',
] as const;
const extensions = ['', '', '', ';a', ';a=b', ';a="b;\\"c"', ';a=""', ';a;b=c'] as const;

function fieldLines(random: SeededRandom): string {
  let lines = '';
  for (let left = random.below(4); left > 0; left--) {
    lines += random.oneIn(4)
      ? `${random.pick(hopFields)}\r\n`
      : `${random.pick(names)}:${random.oneIn(4) ? '' : ' '}${random.pick(values)}\r\n`;
  }
  return lines;
}

function content(random: SeededRandom): string {
  const pieces = [
    'hello',
    '\r\n',
    '0\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    '\0\xff',
    'x'.repeat(random.below(300)),
  ];
  return Array.from({ length: random.below(4) }, () => random.pick(pieces)).join('');
}

function chunked(body: string, random: SeededRandom): string {
  let text = '';
  for (let at = 0; at < body.length;) {
    const size = Math.min(body.length - at, 1 + random.below(40));
    const digits = random.oneIn(2) ? size.toString(16) : size.toString(16).toUpperCase();
    text += `${random.oneIn(8) ? '0' : ''}${digits}${random.pick(extensions)}\r\n${body.slice(at, at + size)}\r\n`;
    at += size;
  }
  const trailers = random.oneIn(4) ? `${random.pick(names)}: ${random.pick(values)}\r\n` : '';
  return `${text}0${random.pick(extensions)}\r\n${trailers}\r\n`;
}

/** The fields that frame a body, and the body as they frame it. */
function framed(random: SeededRandom): readonly [fields: string, body: string] {
  if (random.oneIn(2)) return ['', ''];
  const body = content(random);
  return random.oneIn(2)
    ? [`Content-Length: ${body.length}\r\n`, body]
    : [`Transfer-Encoding: ${random.oneIn(6) ? 'CHUNKED' : 'chunked'}\r\n`, chunked(body, random)];
}

/** One request, complete. */
function generateRequest(random: SeededRandom): string {
  const [framing, body] = framed(random);
  const version = random.oneIn(8) ? 'HTTP/1.0' : 'HTTP/1.1';
  const host = random.oneIn(20) ? '' : `Host: ${random.pick(hosts)}\r\n`;
  const before = random.oneIn(20) ? '\r\n' : '';
  const fields = random.oneIn(2) ? host + fieldLines(random) + framing : fieldLines(random) + framing + host;
  return `${before}${random.pick(methods)} ${random.pick(targets)} ${version}\r\n${fields}\r\n${body}`;
}

/** What a client sends on one connection: up to three requests. */
export function generateRequests(random: SeededRandom): string {
  return Array.from({ length: 1 + random.below(3) }, () => generateRequest(random)).join('');
}

const statuses = ['200 OK', '404 Not Found', '204 No Content', '304 Not Modified', '500', '299 ', '200 \xe9'] as const;
const interims = ['100 Continue', '102 Processing', '103 Early Hints'] as const;

/** What an upstream sends: interim responses now and then, and a final one, complete. */
export function generateResponse(random: SeededRandom): string {
  const [framing, body] = framed(random);
  let text = '';
  while (random.oneIn(5)) text += `HTTP/1.1 ${random.pick(interims)}\r\n${fieldLines(random)}\r\n`;
  const status = random.pick(statuses);
  const hasBody = !/^[23]04/.test(status);
  const version = random.oneIn(8) ? 'HTTP/1.0' : 'HTTP/1.1';
  const untilClose = framing === '' && random.oneIn(2) ? content(random) : body;
  return `${text}${version} ${status}\r\n${fieldLines(random)}${framing}\r\n${hasBody ? untilClose : ''}`;
}

/** The text in up to four pieces, none of them empty. */
export function split(text: string, random: SeededRandom): string[] {
  const cuts = Array.from({ length: random.below(4) }, () => random.below(text.length + 1));
  const marks = [0, ...cuts, text.length].toSorted((a, b) => a - b);
  return marks.slice(1).flatMap((mark, i) => (mark > marks[i] ? [text.slice(marks[i], mark)] : []));
}
