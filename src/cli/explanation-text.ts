/** An explanation for a terminal: what happens on top, then why, then what else there was. */
import type {
  BeatenRoute,
  ExplainedAction,
  ExplainedLease,
  ExplainedPolicy,
  ExplainedTimeouts,
  ExplainedUpstream,
  Explanation,
  LiveExplanation,
} from '../compile/explain/explanation.ts';

/** A label and what stands beside it, one or several lines. */
type Row = readonly [label: string, lines: readonly string[]];

/** Bytes of a body that are shown. */
const SHOWN_BODY = 200;

export function explanationText(explanation: Explanation): string {
  return layOut(explanationRows(explanation));
}

/** What has happened, then the explanation. */
export function liveText({ explanation, happened, timings, leftOut }: LiveExplanation): string {
  const { status, code, reason, upstream, target, attempts, requestId } = happened;
  const why = [code, reason === '' ? null : reason].filter((part) => part !== null).join(': ');
  const lines = timings.map(({ station, event, ms, detail }) => {
    return `${ms.toFixed(3).padStart(10)} ms  ${station} ${detail === '' ? event : `${event.padEnd(10)}  ${detail}`}`;
  });
  return layOut([
    ['answer', [why === '' ? String(status) : `${status} ${why}`]],
    [
      'target',
      target === null
        ? []
        : [`${target} of upstream ${upstream}, ${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}`],
    ],
    ['request id', requestId === '' ? [] : [requestId]],
    ['timings', lines],
    ...(explanation === null ? [] : explanationRows(explanation)),
    ['left out', leftOut.length === 0 ? [] : [`${leftOut.join(', ')}: it would not fit into a header`]],
  ]);
}

function explanationRows(explanation: Explanation): Row[] {
  const { request, route, policies, nearMisses, action, timeouts } = explanation;
  const rows: Row[] = [
    ['request', [`${request.method} ${request.target} on listener ${request.listener}`]],
    ['matched as', [request.path === null ? 'nothing: the path has no canonical form' : matchedAs(request)]],
    ['dropped', request.droppedHeaders],
    ['result', [resultOf(explanation)]],
  ];
  if (route !== null) {
    rows.push(['route', [`${route.name}: host ${route.host ?? 'any'}, path ${route.path ?? 'any'}`]]);
    rows.push(['captures', Object.entries(route.captures).map(([name, value]) => `{${name}} = ${value}`)]);
  }
  rows.push([
    'policies',
    policies.length === 0 && action !== null ? ['none'] : policies.flatMap((policy) => policyLines(policy)),
  ]);
  if (action !== null) rows.push(['cache', [explanation.cache]], ...actionRows(action));
  if (timeouts !== null) rows.push(['time-outs', [timeoutLine(timeouts)]]);
  rows.push(['goes before', beatenLines(explanation)]);
  rows.push(['near misses', aligned(nearMisses.map(({ name, message }) => [name, message]))]);
  return rows;
}

/** @param all those without lines are left out. */
function layOut(all: readonly Row[]): string {
  const rows = all.filter(([, lines]) => lines.length > 0);
  const width = Math.max(...rows.map(([label]) => label.length));
  const lines = rows.flatMap(([label, texts]) =>
    texts.map((text, index) => `${(index === 0 ? label : '').padEnd(width)}  ${text}`),
  );
  return `${lines.map((line) => printable(line).trimEnd()).join('\n')}\n`;
}

/** What comes from a request or a configuration must not steer the terminal. */
function printable(text: string): string {
  return text.replaceAll(
    /[\u0000-\u001f\u007f-\u009f]/g,
    (code) => `\\x${code.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

function matchedAs({ host, port, path, query }: Explanation['request']): string {
  const name = host === '' ? '(no host) ' : port === 0 ? host : `${host}:${port}`;
  return `${name}${path ?? ''}${query === '' ? '' : `?${query}`}`;
}

function resultOf({ outcome }: Explanation): string {
  const { kind, code, status, message, allow } = outcome;
  const words = kind === 'route' ? message : `${status} ${code}: ${message}`;
  return allow.length === 0 ? words : `${words}; allowed: ${allow.join(', ')}`;
}

/** Those that it combines follow, further to the right. */
function policyLines(policy: ExplainedPolicy, indent = ''): string[] {
  const inner = (policy.of ?? []).flatMap((one) => policyLines(one, `${indent}  `));
  return [`${indent}${policyLine(policy)}`, ...inner];
}

function policyLine({ label, name, module, from, needs, provides, lease }: ExplainedPolicy): string {
  const parts = [
    ...(label === name ? [] : [`the policy ${name}`]),
    ...(module === null ? [] : [module]),
    ...(needs === null ? ['what it needs and provides is not known here'] : []),
    ...(needs === null || needs.length === 0 ? [] : [`needs ${needs.join(', ')}`]),
    ...(provides === null || provides.length === 0 ? [] : [`provides ${provides.join(', ')}`]),
    `from ${from}`,
    ...(lease === undefined ? [] : [leaseText(lease)]),
  ];
  return `${label} (${parts.join('; ')})`;
}

function leaseText({ store, threads, rules, isWhole }: ExplainedLease): string {
  const bounds = rules.map(({ for: who, limit, inHand }) => {
    return `${inHand} more than ${limit}${who === 'default' ? '' : ` for ${who}`}`;
  });
  const of = `${threads} ${threads === 1 ? 'thread' : 'threads'}`;
  const beyond = isWhole ? '' : ', or what one request costs for each thread';
  return `leased from the store ${store}: each machine of ${of} may let pass up to ${bounds.join(', ')}${beyond}`;
}

function actionRows(action: ExplainedAction): Row[] {
  switch (action.kind) {
    case 'redirect':
      return [['redirect', [`${action.status} to ${action.location ?? 'nowhere: 500 BAD_REWRITE'}`]]];
    case 'respond': {
      const { status, headers, body } = action;
      const shown = body.length > SHOWN_BODY ? `${body.substring(0, SHOWN_BODY)}…` : body;
      return [
        [
          'respond',
          [
            String(status),
            ...headers.map(([name, value]) => `${name}: ${value}`),
            ...(shown === '' ? [] : shown.split('\n')),
          ],
        ],
      ];
    }
    case 'forward': {
      const { requestLine, failure, upstreams } = action;
      const sent = failure === null ? (requestLine ?? '') : `nothing: 500 ${failure.code}, ${failure.reason}`;
      return [
        ['sends', [sent]],
        ['to', upstreams.flatMap((upstream) => upstreamLines(upstream, upstreams.length > 1))],
      ];
    }
  }
}

function upstreamLines({ name, share, balance, targets }: ExplainedUpstream, isSplit: boolean): string[] {
  const part = isSplit ? `, ${Math.round(share * 1000) / 10}% of the requests` : '';
  const isUneven = targets.some(({ weight }) => weight !== targets[0].weight);
  const lines = targets.map(
    ({ url, weight, host }) => [url, `host: ${host}${isUneven ? `, weight ${weight}` : ''}`] as const,
  );
  return [`upstream ${name} (${balance}${part})`, ...aligned(lines).map((line) => `  ${line}`)];
}

function timeoutLine({ connect, firstByte, idle, total }: ExplainedTimeouts): string {
  const shown = (ms: number): string => (ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`);
  const parts = [`connect ${shown(connect)}`, `first byte ${shown(firstByte)}`, `idle ${shown(idle)}`];
  return `${parts.join(', ')}, total ${total === null ? 'none' : shown(total)}`;
}

function beatenLines({ alsoMatched, alsoMatchedTotal }: Explanation): string[] {
  const lines = aligned(alsoMatched.map(({ name, message }: BeatenRoute) => [name, message] as const));
  const others = alsoMatchedTotal - alsoMatched.length;
  return others === 0 ? lines : [...lines, `and ${others} more that match`];
}

function aligned(pairs: readonly (readonly [name: string, text: string])[]): string[] {
  const width = Math.max(0, ...pairs.map(([name]) => name.length));
  return pairs.map(([name, text]) => `${name.padEnd(width)}  ${text}`);
}
