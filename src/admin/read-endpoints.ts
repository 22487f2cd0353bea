/** The endpoints that tell what serves and how it is. */
import type { Problem } from '../config/problem.ts';
import type { Clock } from '../util/clock.ts';
import { problemsSchema, routesSchema, snapshotSchema, statusSchema, upstreamsSchema } from './api-schemas.ts';
import type { ControlPlane } from './control-plane.ts';
import { type Endpoint, type JsonAnswer, controlEndpoint } from './endpoint.ts';
import { shownConfig } from './hide-secrets.ts';
import { pageOf, pageQuery, searchQuery } from './paging.ts';
import { type RouteIndex, routeIndexOf } from './route-index.ts';

const JSON_TYPE = 'application/json';
/** Of the routes that use an upstream. */
const shownUsers = 100;

const routeQuery = searchQuery('in whose name, or match in words, this text is');
const nameQuery = searchQuery('in whose name this text is');

/** @param hide hides what is secret in a text. */
export function readEndpoints(clock: Pick<Clock, 'wallNow'>, hide: (text: string) => string): Endpoint[] {
  const indexOf = (control: ControlPlane): RouteIndex => routeIndexOf(control.config, hide);
  return [
    statusEndpoint(clock),
    snapshotEndpoint,
    routesEndpoint(indexOf),
    upstreamsEndpoint(indexOf),
    problemsEndpoint,
  ];
}

function statusEndpoint(clock: Pick<Clock, 'wallNow'>): Endpoint {
  return controlEndpoint({
    method: 'GET',
    path: '/api/v1/status',
    operationId: 'getStatus',
    summary: 'The version, what serves, and how its threads and listeners are.',
    answer: { type: JSON_TYPE, schema: statusSchema },
    async handle(_, control) {
      const { threads, listeners, ...counts } = await control.status();
      const { authentication, limits, quotas, overload, protection } = counts;
      const { version, startedAt, isReady: ready, revision } = control;
      const uptimeMs = Math.max(0, Math.round(clock.wallNow() - startedAt));
      const counted = { authentication, limits, quotas, overload, protection };
      return { json: { version, startedAt, uptimeMs, ready, revision, threads, listeners, ...counted } };
    },
  });
}

const snapshotEndpoint = controlEndpoint({
  method: 'GET',
  path: '/api/v1/snapshot',
  operationId: 'getSnapshot',
  summary:
    'The configuration that serves, without its secrets. Its `ETag` is for the `If-Match` of `PUT /api/v1/config`.',
  headers: { 'If-None-Match': 'Answer 304 if this is the `ETag` of what serves.' },
  answer: { type: JSON_TYPE, schema: snapshotSchema },
  handle({ headers }, control) {
    const { revision } = control;
    const etag = `"${revision.digest}"`;
    const known = headers['if-none-match']?.split(',').map((tag) => tag.trim().replace(/^W\//, '')) ?? [];
    if (known.includes(etag) || known.includes('*')) return { notModified: true, headers: { etag } };
    return { json: { revision, config: shownConfig(control) }, headers: { etag } };
  },
});

function routesEndpoint(indexOf: (control: ControlPlane) => RouteIndex): Endpoint {
  return controlEndpoint({
    method: 'GET',
    path: '/api/v1/routes',
    operationId: 'listRoutes',
    summary: 'The routes by name: which requests each gets, what it does, and what is wrong with it.',
    query: routeQuery,
    answer: { type: JSON_TYPE, schema: routesSchema },
    handle({ query }, control): JsonAnswer {
      const { rows } = indexOf(control);
      const wanted = query.q.toLowerCase();
      const found =
        wanted === '' ? rows : rows.filter((row) => contains(row.name, wanted) || contains(row.match, wanted));
      const { items, ...page } = pageOf(found, query);
      const problems = problemsByRoute(control);
      const routes = items.map((row) => Object.assign({}, row, { problems: problems.get(row.name) ?? [] }));
      return { json: { ...page, routes } };
    },
  });
}

function contains(text: string, wanted: string): boolean {
  return text.toLowerCase().includes(wanted);
}

/** Of what serves: a configuration that was refused has routes of its own. */
function problemsByRoute({ findings }: ControlPlane): ReadonlyMap<string, readonly Problem[]> {
  const byRoute = new Map<string, Problem[]>();
  if (findings.refused) return byRoute;
  for (const problem of findings.problems) {
    const [section, name] = problem.path;
    if (section !== 'routes' || typeof name !== 'string') continue;
    const known = byRoute.get(name);
    if (known === undefined) byRoute.set(name, [problem]);
    else known.push(problem);
  }
  return byRoute;
}

function upstreamsEndpoint(indexOf: (control: ControlPlane) => RouteIndex): Endpoint {
  return controlEndpoint({
    method: 'GET',
    path: '/api/v1/upstreams',
    operationId: 'listUpstreams',
    summary: 'The upstreams by name: how their targets are, and which routes use them.',
    query: nameQuery,
    answer: { type: JSON_TYPE, schema: upstreamsSchema },
    async handle({ query }, control) {
      const { upstreams } = await control.status();
      const { config } = control;
      const { usersOf } = indexOf(control);
      const live = new Map(upstreams.map(({ name, targets }) => [name, targets]));
      const wanted = query.q.toLowerCase();
      const names = Object.keys(config.upstreams)
        .filter((name) => contains(name, wanted))
        .toSorted();
      const { items, ...page } = pageOf(names, query);
      const rows = items.map((name) => {
        const { balance, targets } = config.upstreams[name];
        const users = usersOf.get(name) ?? [];
        return {
          name,
          balance,
          // No thread has anything to say of an upstream that has only just been added.
          targets: live.get(name) ?? targets.map(({ url, weight }) => ({ url, weight, inFlight: 0, connections: 0 })),
          usedBy: { total: users.length, routes: users.slice(0, shownUsers) },
        };
      });
      return { json: { ...page, upstreams: rows } };
    },
  });
}

const problemsEndpoint = controlEndpoint({
  method: 'GET',
  path: '/api/v1/problems',
  operationId: 'listProblems',
  summary: 'What was found in the configuration that was looked at last, and whether it was refused.',
  query: pageQuery,
  answer: { type: JSON_TYPE, schema: problemsSchema },
  handle({ query }, { findings }) {
    const { items, ...page } = pageOf(findings.problems, query);
    return { json: { ...page, refused: findings.refused, problems: items } };
  },
});
