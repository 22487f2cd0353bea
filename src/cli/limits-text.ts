/** A measurement of a limit for people. */
import type { LimitMeasurement, SpanCount } from '../testing/index.ts';
import { limitInWords, usableInWords } from '../testing/limits/limits-markdown.ts';
import { formatDuration } from '../util/units.ts';

export function limitsText(measured: LimitMeasurement): string {
  const lines = [
    `${measured.urls.join(' ')}: ${limitInWords(measured.promised)}`,
    conditions(measured),
    '',
    ...countLines(measured),
    '',
    ...spanLines(measured.spans),
    '',
    `usable      ${usableInWords(measured)} of what is due`,
    ...headerLines(measured),
    ...waitingLines(measured),
    '',
    ...measured.findings.map(({ kind, text }) => `${kind.padEnd(12)}${text}`),
    `verdict     ${verdictInWords(measured)}`,
  ];
  // What comes from elsewhere must not move the cursor of a terminal.
  return `${lines.map((line) => line.replaceAll(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')).join('\n')}\n`;
}

function spanInWords(spanMs: number): string {
  return formatDuration(spanMs < 10_000 ? Math.round(spanMs) : Math.round(spanMs / 100) * 100);
}

function conditions({ clients, connections, keys, spanMs, plannedLoad }: LimitMeasurement): string {
  const counted = keys === null ? '' : `, ${number(keys)} keys`;
  return `${clients} clients, ${connections} connections${counted}, ${(spanMs / 1000).toFixed(1)} s at ${plannedLoad} times the limit`;
}

function countLines(measured: LimitMeasurement): string[] {
  const { sent, admitted, refused, other, failed, load, answers, statuses, clientPauseMs } = measured;
  const codes = Object.entries(statuses).map(([status, count]) => `${number(count)} × ${status}`);
  const lines = [
    `sent        ${number(sent)}, ${load.toFixed(1)} times the limit`,
    `admitted    ${number(admitted)}`,
    `refused     ${number(refused)}`,
  ];
  if (other > 0) lines.push(`other       ${number(other)}`);
  if (failed > 0) lines.push(`unanswered  ${number(failed)}`);
  return [
    ...lines,
    `statuses    ${codes.join(', ')}`,
    `answers     half within ${millis(answers.p50Ms)}, 99 % within ${millis(answers.p99Ms)}, the longest ` +
      `${millis(answers.longestMs)}; a client stood still for ${millis(clientPauseMs)} at most`,
  ];
}

function spanLines(spans: readonly SpanCount[]): string[] {
  const rows = [
    ['within any', 'allowed', 'admitted for certain', 'possibly'],
    ...spans.map(({ spanMs, allowed, certain, possible }) => [
      spanInWords(spanMs),
      number(allowed),
      number(certain),
      number(possible),
    ]),
  ];
  return rows.map(
    ([first, ...others]) => first.padEnd(12) + others.map((cell, i) => cell.padStart([9, 22, 10][i])).join(''),
  );
}

function headerLines({ headers }: LimitMeasurement): string[] {
  const { admitted, refused, admittedWithRateLimit, refusedWithRateLimit, withPolicy, refusedWithRetryAfter } = headers;
  const all = admitted + refused;
  const policies = headers.policies.length === 0 ? '' : `: ${headers.policies.join(' or ')}`;
  return [
    `headers     of ${number(all)} that were looked at: RateLimit on ${number(admittedWithRateLimit + refusedWithRateLimit)}, ` +
      `RateLimit-Policy on ${number(withPolicy)}${policies}`,
    `            of ${number(refused)} refusals: Retry-After on ${number(refusedWithRetryAfter)}`,
  ];
}

function waitingLines({ waiting }: LimitMeasurement): string[] {
  if (waiting === null) return [];
  const { waited, gotIn, leftTried, refusedThoughLeft, longestToldSeconds } = waiting;
  const told = longestToldSeconds === null ? '' : `, for up to ${longestToldSeconds} s`;
  return [
    `waiting     got in ${gotIn} of ${waited} times after waiting as told${told}; ` +
      `of ${leftTried} that were said to be left ${leftTried - refusedThoughLeft} were`,
  ];
}

function verdictInWords({ verdict, window, promised }: LimitMeasurement): string {
  if (verdict === 'broken') return 'BROKEN: the limit does not do what it is said to do';
  if (verdict === 'in doubt') return 'IN DOUBT: this measurement cannot tell';
  const most = `never more than ${number(window.allowed)} within ${formatDuration(promised.windowMs)}`;
  return `HOLDS: ${most}, ${window.possible <= window.allowed ? 'not even possibly' : 'as far as can be seen from outside'}`;
}

function millis(ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

function number(value: number): string {
  return value.toLocaleString('en');
}
