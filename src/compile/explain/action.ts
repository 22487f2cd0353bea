/** What happens to a request that has passed the policies, said with the code that does it. */
import type { GatewayConfig, RespondConfig, RouteConfig } from '../../config/schema.ts';
import { CanonicalTarget } from '../../http/path.ts';
import { requestLine, upstreamHost } from '../../proxy/forward-head.ts';
import { redirectLocation, rewritePath } from '../../proxy/rewrite.ts';
import { compileLocation, compileReply, compileRewrite } from '../route-parts.ts';
import { balanceOf, targetAuthority } from '../upstreams.ts';
import type { AskedExchange } from './asked-exchange.ts';
import type { ExplainedAction, ExplainedUpstream } from './explanation.ts';

type Asked = Pick<AskedExchange<unknown>, 'method' | 'host' | 'port' | 'path' | 'query' | 'params'>;

export function explainAction(exchange: Asked, route: RouteConfig, config: GatewayConfig): ExplainedAction {
  const { redirect, respond } = route;
  if (respond !== null) return replyAction(respond);
  if (redirect !== null) {
    const location = redirectLocation(compileLocation(route, redirect), exchange.params, exchange.query, exchange);
    return { kind: 'redirect', status: redirect.status, location };
  }
  return forwardAction(exchange, route, config);
}

export function replyAction(respond: RespondConfig): ExplainedAction {
  const { status, headers = [], body } = compileReply(respond);
  return { kind: 'respond', status, headers, body };
}

function forwardAction(exchange: Asked, route: RouteConfig, config: GatewayConfig): ExplainedAction {
  const rewrite = compileRewrite(route);
  const parts = route.upstream ?? [];
  const total = parts.reduce((sum, { weight }) => sum + weight, 0);
  const upstreams = parts.map(({ upstream: name, weight }): ExplainedUpstream => {
    const upstream = config.upstreams[name];
    const hostFor = (target: (typeof upstream.targets)[number]): string =>
      upstreamHost(exchange, rewrite.host, upstream, { authority: targetAuthority(target) });
    return {
      name,
      weight,
      share: total === 0 ? 0 : weight / total,
      balance: balanceOf(upstream),
      targets: upstream.targets.map((target) => ({ url: target.url, weight: target.weight, host: hostFor(target) })),
    };
  });
  const rewritten = new CanonicalTarget();
  let { path } = exchange;
  if (rewrite.path !== null) {
    if (!rewritePath(rewrite.path, exchange.params, rewritten, path)) {
      const failure = { code: 'BAD_REWRITE', reason: rewritten.reason } as const;
      return { kind: 'forward', target: null, requestLine: null, failure, upstreams };
    }
    path = rewritten.unmergedPath;
  }
  const [line] = requestLine(exchange, path, '').split('\r\n');
  const target = line.substring(exchange.method.length + 1, line.lastIndexOf(' '));
  return { kind: 'forward', target, requestLine: line, failure: null, upstreams };
}
