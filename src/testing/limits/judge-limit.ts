/** What a measurement says about the promise: kept, broken, or not to be told. */
import type { LimitFinding, LimitMeasurement } from './limit-measurement.ts';
import { type PromisedLimit, mostAtOnce } from './promised-limit.ts';
import { formatDuration } from '../../util/units.ts';

type Measured = Omit<LimitMeasurement, 'findings' | 'verdict'>;

/** A limit has to let so much of itself pass, but for one at the ends, where it is a matter of microseconds. */
const leastUsable = 0.99;
/** With less than so many times the limit coming, nobody can tell whether it is kept. */
const leastLoad = 1.5;
/** As long as no more than this share is neither admitted nor refused, it changes nothing. */
const mostOther = 0.01;

export function judge(measured: Measured, stallMs: number): Pick<LimitMeasurement, 'findings' | 'verdict'> {
  const doubts = doubtsAbout(measured);
  const isDoubtful = doubts.some(({ kind }) => kind === 'doubt');
  const findings = [
    ...excessFindings(measured),
    ...doubts,
    // Where others than the limit decide what comes through, it is not to be blamed for what does not.
    ...(isDoubtful ? [] : usableFindings(measured)),
    ...stallFindings(measured, stallMs),
    ...headerFindings(measured),
    ...waitingFindings(measured),
  ];
  const has = (kind: LimitFinding['kind']): boolean => findings.some((finding) => finding.kind === kind);
  return { findings, verdict: has('broken') ? 'broken' : has('doubt') ? 'in doubt' : 'holds' };
}

const broken = (text: string): LimitFinding => ({ kind: 'broken', text });
const doubt = (text: string): LimitFinding => ({ kind: 'doubt', text });
const note = (text: string): LimitFinding => ({ kind: 'note', text });

function excessFindings({ spans, keys, keysBeyond }: Measured): LimitFinding[] {
  const findings = spans
    .filter(({ certain, allowed }) => certain > allowed)
    .map(({ spanMs, certain, allowed }) =>
      broken(`within ${formatDuration(Math.round(spanMs))} at least ${certain} were admitted, and ${allowed} may be`),
    );
  if (keys !== null && keysBeyond > 0) findings.push(broken(`this is so of ${keysBeyond} of ${keys} keys`));
  return findings;
}

function doubtsAbout({ sent, refused, other, failed, load, statuses, trouble, spans }: Measured): LimitFinding[] {
  const findings: LimitFinding[] = [];
  if (other > mostOther * sent) {
    const codes = Object.keys(statuses).join(', ');
    findings.push(doubt(`${other} answers were neither admissions nor refusals; the statuses were ${codes}`));
  }
  if (failed > mostOther * sent) findings.push(doubt(`${failed} requests were not answered: ${trouble ?? 'unknown'}`));
  else if (failed > 0) findings.push(note(`${failed} requests were not answered: ${trouble ?? 'unknown'}`));
  const isBeyond = spans.some(({ certain, allowed }) => certain > allowed);
  if (isBeyond) return findings;
  if (load < leastLoad) findings.push(doubt(`only ${load.toFixed(1)} times the limit could be sent`));
  else if (refused === 0) findings.push(doubt('nothing was refused'));
  return findings;
}

function usableFindings(measured: Measured): LimitFinding[] {
  const { usable, admitted, due, answers, clientPauseMs } = measured;
  if (admitted >= due * leastUsable - 1) return [];
  const text = `${admitted} were admitted of ${due} that were due: ${percent(usable)} of the limit is usable`;
  const stillMs = Math.max(clientPauseMs, answers.longestMs);
  // What was due is as uncertain as the moments of the decisions are.
  if (stillMs <= bearableMs(measured.promised)) return [broken(text)];
  return [
    doubt(`${text}; but something stood still for ${Math.round(stillMs)} ms: measure on a machine with less to do`),
  ];
}

/** What may stand still in between without it being a guess what was due: a part of the time in which a limit recovers. */
function bearableMs(promised: PromisedLimit): number {
  return (mostAtOnce(promised) * promised.windowMs) / promised.limit / 4;
}

function stallFindings({ answers, clientPauseMs }: Measured, stallMs: number): LimitFinding[] {
  const { longestMs } = answers;
  if (longestMs <= stallMs) return [];
  const text = `an answer took ${Math.round(longestMs)} ms`;
  return longestMs - clientPauseMs > stallMs
    ? [broken(text)]
    : [note(`${text}, but the client itself stood still for ${Math.round(clientPauseMs)} ms`)];
}

function headerFindings({ headers, promised }: Measured): LimitFinding[] {
  const findings: LimitFinding[] = [];
  if (headers.malformed > 0) {
    findings.push(broken(`${headers.malformed} answers had a malformed field: ${headers.malformedExample}`));
  }
  if (headers.refusedWithLeft > 0) {
    findings.push(broken(`${headers.refusedWithLeft} refusals said that some are left`));
  }
  const atOnce = mostAtOnce(promised);
  if (headers.mostLeft !== null && headers.mostLeft >= atOnce) {
    findings.push(broken(`an answer said that ${headers.mostLeft} more are left, and ${atOnce} may come at once`));
  }
  if (headers.refused > 0 && headers.refusedWithRetryAfter < headers.refused) {
    const missing = headers.refused - headers.refusedWithRetryAfter;
    findings.push(note(`${missing} of ${headers.refused} refusals had no Retry-After`));
  }
  const told = headers.admittedWithRateLimit + headers.refusedWithRateLimit;
  if (told < headers.admitted + headers.refused) findings.push(note(untold(headers, told)));
  return findings;
}

function untold({ admitted, refused, withOlder }: Measured['headers'], told: number): string {
  const older = withOlder > 0 ? '; older fields on some' : '';
  return `RateLimit was on ${told} of ${admitted + refused} answers that were looked at${older}`;
}

function waitingFindings({ waiting }: Measured): LimitFinding[] {
  if (waiting === null) return [];
  const { waited, gotIn, refusedThoughLeft, stopped } = waiting;
  const findings: LimitFinding[] = [];
  if (gotIn < waited) findings.push(broken(`a client that waited as it was told was refused ${waited - gotIn} times`));
  if (refusedThoughLeft > 0) {
    findings.push(
      broken(`a client was refused ${refusedThoughLeft} times although some were left by the answer before`),
    );
  }
  if (stopped !== null) findings.push(note(`the client that waits: ${stopped}`));
  return findings;
}

function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(1)} %`;
}
