/** The header that tells a client who may know it how its request was handled: the explanation, and what really happened. */
import { createSecretKey } from 'node:crypto';
import type { GatewayConfig } from '../../config/schema.ts';
import type { ProxyExchange } from '../../proxy/exchange.ts';
import type { DebugHeader, Trace } from '../../proxy/trace.ts';
import { type ExplainEnv, explainAsked } from './explain.ts';
import type { Explanation, Happened, LiveExplanation } from './explanation.ts';
import { hideIn, hiderOf } from './hide-secrets.ts';

export interface DebugHeaderEnv {
  readonly definitionOf: NonNullable<ExplainEnv['definitionOf']>;
  /** What must not be told. */
  readonly secrets: readonly string[];
}

/** Bytes of the value of the header. Clients commonly take 16 KiB for all headers together. */
const MAX_BYTES = 8192;
/** Characters of a text that is shortened. */
const MAX_TEXT = 256;

/**
 * Nothing is made of the routes before the first request asks, so a reload takes no longer for it.
 * @returns null when the configuration does not ask for it; only otherwise is the configuration held on to.
 */
export function createDebugHeader(config: GatewayConfig, env: DebugHeaderEnv): DebugHeader | null {
  const { debug } = config.telemetry;
  if (debug === null) return null;
  const hide = hiderOf(env.secrets);
  return {
    secret: createSecretKey(debug.secret, 'utf8'),
    maxAgeMs: debug.maxAge,
    report(exchange, trace) {
      const explanation = explainLive(config, exchange, trace, env);
      const { timings } = trace;
      return fitIntoHeader(hideIn({ explanation, happened: describeOutcome(exchange), timings, leftOut: [] }, hide));
    },
  };
}

/** Station 3 is asked once more with what it was asked, so it says the same. */
function explainLive(
  config: GatewayConfig,
  { stream, protocol, method, listener, isFromTrusted }: ProxyExchange,
  trace: Trace,
  { definitionOf }: DebugHeaderEnv,
): Explanation {
  const { target, authority } = stream;
  const headers = trace.received;
  const asked = { protocol, method, listener, target, authority, headers, isBelieved: isFromTrusted };
  return explainAsked(config, { ...asked, droppedHeaders: [] }, { definitionOf });
}

function describeOutcome({ status, code, reason, forward, requestId }: ProxyExchange): Happened {
  return {
    status,
    code,
    reason,
    upstream: forward?.upstream.name ?? null,
    target: forward?.target?.url ?? null,
    attempts: forward?.attempts ?? 0,
    requestId,
  };
}

/** What is left out when it does not fit, one after the other. */
const cuts: readonly (readonly [name: string, cut: (explanation: Explanation) => Explanation | null])[] = [
  ['nearMisses', (explanation) => ({ ...explanation, nearMisses: [] })],
  ['alsoMatched', (explanation) => ({ ...explanation, alsoMatched: [] })],
  ['request', (explanation) => ({ ...explanation, request: shortenTexts(explanation.request) })],
  ['action', (explanation) => ({ ...explanation, action: null })],
  ['policies', (explanation) => ({ ...explanation, policies: [] })],
  ['explanation', () => null],
];

/** @returns the value of the header. */
export function fitIntoHeader(live: LiveExplanation): string {
  let { explanation } = live;
  const leftOut: string[] = [];
  let text = asciiJson(live);
  for (const [name, cut] of cuts) {
    if (text.length <= MAX_BYTES || explanation === null) break;
    explanation = cut(explanation);
    leftOut.push(name);
    text = asciiJson({ ...live, explanation, leftOut });
  }
  if (text.length <= MAX_BYTES) return text;
  // URLs of targets and reasons are hardly ever long, but nothing forbids it.
  return asciiJson({
    explanation,
    happened: shortenTexts(live.happened),
    timings: [],
    leftOut: [...leftOut, 'timings'],
  });
}

function shortenTexts<T extends object>(value: T): T {
  const shorten = (part: unknown): unknown => {
    if (Array.isArray(part)) return [];
    return typeof part === 'string' && part.length > MAX_TEXT ? `${part.slice(0, MAX_TEXT)}…` : part;
  };
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, shorten(part)])) as T;
}

/** JSON has no control characters but DEL, and what is not ASCII can be written in it. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
