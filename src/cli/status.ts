/** `gatewright status`: one screen of how a gateway is that runs. */
import { AdminUnreachable, adminRequest, standardAdminUrl, tokenVariable } from './admin-client.ts';
import { type CommandIo, exitCodes } from './cli-io.ts';

export interface StatusOptions {
  /** Where the admin API is. */
  readonly admin?: string;
  readonly format: 'text' | 'json';
}

/** Of what is long only the beginning is shown; the admin API has the rest. */
const shownRows = 20;

const refusedClasses = ['low', 'normal', 'high'] as const;

interface ThreadLoad {
  readonly lagMs: unknown;
  readonly memory: unknown;
  readonly refused?: Readonly<Record<(typeof refusedClasses)[number], unknown>>;
}

/** What of the answers of the admin API is shown. They are of a gateway that may be newer or older than this command. */
interface Status {
  readonly version: string;
  readonly uptimeMs: number;
  readonly ready: boolean;
  readonly revision: {
    readonly number: number;
    readonly digest: string;
    readonly appliedAt: number;
    readonly cause: string;
  };
  readonly threads: readonly (Readonly<
    Record<'thread' | 'state' | 'revision' | 'restarts' | 'connections' | 'inFlight' | 'served' | 'stallMs', unknown>
  > & { readonly overload?: ThreadLoad | null })[];
  readonly listeners: readonly Readonly<Record<'name' | 'url' | 'connections', unknown>>[];
  /** Missing from a gateway that does not count them yet. */
  readonly authentication?: Readonly<Record<'failed' | 'slowed' | 'refused', unknown>>;
  readonly limits?: Readonly<
    Record<'refused' | 'wouldRefuse' | 'evicted' | 'gaveUp', unknown> &
      Partial<Record<'askedOfStores' | 'storeFailures' | 'decidedLocally', unknown>>
  >;
  readonly quotas?: Readonly<Record<'database' | 'writtenAt' | 'failures' | 'problem', unknown>> | null;
  readonly overload?: Readonly<Record<(typeof refusedClasses)[number] | 'bodies', unknown>>;
  readonly protection?: {
    readonly connectionsRefused: unknown;
    readonly bans?: Readonly<Record<'made' | 'requests' | 'connections' | 'evicted', unknown>>;
  };
}

interface Upstreams {
  readonly total: number;
  readonly upstreams: readonly {
    readonly name: string;
    readonly targets: readonly Readonly<Record<'url' | 'weight' | 'inFlight' | 'connections', unknown>>[];
    readonly usedBy: { readonly total: number };
  }[];
}

interface Problems {
  readonly total: number;
  readonly refused: boolean;
  readonly problems: readonly Readonly<Record<'file' | 'line' | 'column' | 'severity' | 'code' | 'message', unknown>>[];
}

interface Limits {
  readonly total: number;
  readonly limits: readonly {
    readonly name: string;
    readonly kind: string;
    readonly enforce: boolean;
    readonly by: readonly string[];
    readonly routes: { readonly total: number };
    readonly totals: Readonly<Record<'admitted' | 'refused' | 'wouldRefuse', unknown>> | null;
  }[];
}

interface Report {
  readonly status: Status;
  readonly upstreams: Upstreams;
  readonly problems: Problems;
  /** Null of a gateway that does not tell of them yet. */
  readonly limits: Limits | null;
}

/** @returns the exit code: 0 when the gateway has answered, 3 when it could not be reached. */
export async function runStatus(options: StatusOptions, io: CommandIo): Promise<number> {
  const url = options.admin ?? standardAdminUrl;
  try {
    const report = await readReport(url, io);
    io.stdout.write(options.format === 'json' ? `${JSON.stringify(report, null, 2)}\n` : toText(report));
    return exitCodes.fine;
  } catch (error) {
    if (!(error instanceof AdminUnreachable)) throw error;
    io.stderr.write(`${error.message}\n`);
    return exitCodes.unreachable;
  }
}

async function readReport(url: string, io: CommandIo): Promise<Report> {
  const read = async (path: string, mayBeMissing = false): Promise<unknown> => {
    const token = io.env[tokenVariable];
    const { status, json } = await adminRequest(url, { method: 'GET', path: `/api/v1/${path}`, token });
    if (status === 200) return json;
    if (status === 404 && mayBeMissing) return null;
    throw new AdminUnreachable(`the admin API at ${url} has answered ${status}: ${reasonIn(json)}`);
  };
  const [status, upstreams, problems, limits] = await Promise.all([
    read('status'),
    read(`upstreams?limit=${shownRows}`),
    read(`problems?limit=${shownRows}`),
    read(`limits?limit=${shownRows}`, true),
  ]);
  const report = { status, upstreams, problems, limits };
  if (isReport(report)) return report;
  throw new AdminUnreachable(
    `what answers at ${url} is not the admin API of a gateway like this one: name another URL`,
  );
}

/** Whether the answers have what is shown, as far as it takes to show them; single values that are not there show so. */
function isReport(report: { readonly [part in keyof Report]: unknown }): report is Report {
  const { status, upstreams, problems, limits } = report as Partial<Report>;
  const rows: Upstreams['upstreams'] | undefined = upstreams?.upstreams;
  return (
    Array.isArray(status?.threads) &&
    Array.isArray(status.listeners) &&
    Number.isFinite(status.revision?.appliedAt) &&
    Array.isArray(rows) &&
    (rows as Upstreams['upstreams']).every((upstream) => Array.isArray(upstream?.targets) && upstream.usedBy != null) &&
    Array.isArray(problems?.problems) &&
    (limits === null || isLimits(limits))
  );
}

function isLimits(limits: Limits | undefined): boolean {
  const rows: Limits['limits'] | undefined = limits?.limits;
  return Array.isArray(rows) && (rows as Limits['limits']).every((row) => Array.isArray(row?.by) && row.routes != null);
}

/** What problem details say. */
function reasonIn(json: unknown): string {
  const { title, detail } = (json ?? {}) as { title?: unknown; detail?: unknown };
  const said = [title, detail].filter((text) => typeof text === 'string');
  return said.length === 0 ? 'it gives no reason' : said.join('. ');
}

function toText({ status, upstreams, problems, limits }: Report): string {
  const { version, uptimeMs, ready, revision, threads, listeners, authentication, quotas, overload } = status;
  const appliedAt = new Date(revision.appliedAt).toISOString();
  const lines = [
    `gatewright ${version}  ${ready ? 'ready' : 'NOT READY'}  up ${inWords(uptimeMs)}`,
    `revision ${revision.number}  ${revision.digest}  since ${appliedAt}  by ${revision.cause}`,
    ...section('threads', threads.length, [
      ['thread', 'state', 'revision', 'restarts', 'connections', 'in flight', 'served', 'stall ms'],
      ...threads.map((thread) => [
        thread.thread,
        thread.state,
        thread.revision,
        thread.restarts,
        thread.connections,
        thread.inFlight,
        thread.served,
        thread.stallMs,
      ]),
    ]),
    ...section('listeners', listeners.length, [
      ['name', 'url', 'connections'],
      ...listeners.map(({ name, url, connections }) => [name, url, connections]),
    ]),
    ...section('upstreams', upstreams.total, [
      ['name', 'routes', 'target', 'weight', 'connections', 'in flight'],
      ...upstreams.upstreams.flatMap(({ name, targets, usedBy }) =>
        targets.map(({ url, weight, connections, inFlight }, index) => [
          index === 0 ? name : '',
          index === 0 ? usedBy.total : '',
          url,
          weight,
          connections,
          inFlight,
        ]),
      ),
    ]),
    ...attemptLines(authentication),
    ...limitLines(status.limits),
    ...limitRows(limits),
    ...quotaLines(quotas),
    ...overloadLines(overload, threads),
    ...protectionLines(status.protection),
    '',
    ...problemLines(problems),
  ];
  return `${lines.map(toPlain).join('\n')}\n`;
}

function attemptLines(authentication: Status['authentication']): string[] {
  if (authentication === undefined) return [];
  const { failed, slowed, refused } = authentication;
  const counts = `${String(failed)} failed, ${String(slowed)} slowed down, ${String(refused)} refused`;
  return ['', `attempts to authenticate: ${counts}`];
}

function limitLines(limits: Status['limits']): string[] {
  if (limits === undefined) return [];
  const { refused, wouldRefuse, evicted, gaveUp, askedOfStores = 0, storeFailures = 0, decidedLocally = 0 } = limits;
  const counts = `${String(refused)} refused, ${String(wouldRefuse)} would have been`;
  const lines = [`limits: ${counts}; ${String(evicted)} keys forgotten early, ${String(gaveUp)} not decided`];
  // Only where there is a store.
  if (askedOfStores !== 0 || storeFailures !== 0) {
    const failed = `${String(storeFailures)} not answered, ${String(decidedLocally)} of them decided here`;
    lines.push(`limits in stores: ${String(askedOfStores)} asked for, ${failed}`);
  }
  return lines;
}

function quotaLines(quotas: Status['quotas']): string[] {
  if (quotas == null) return [];
  const { database, writtenAt, failures, problem } = quotas;
  const at = typeof writtenAt === 'number' ? new Date(writtenAt).toISOString() : 'never';
  const state = typeof problem === 'string' ? `NOT WRITTEN since ${at}: ${problem}` : `written ${at}`;
  return [`quotas: ${String(database)} ${state}; ${String(failures)} attempts have failed`];
}

/** Of threads only those that refuse somebody. */
function overloadLines(total: Status['overload'], threads: Status['threads']): string[] {
  if (total === undefined) return [];
  const { low, normal, high, bodies } = total;
  const counts = `${String(low)} low, ${String(normal)} normal, ${String(high)} high, ${String(bodies)} bodies`;
  return [`refused for overload: ${counts}`, ...threads.flatMap(threadLoadLine)];
}

function threadLoadLine({ thread, overload }: Status['threads'][number]): string[] {
  const { lagMs, memory, refused } = overload ?? {};
  const shares = refusedClasses.flatMap((name) => {
    const share = Number(refused?.[name]);
    return share > 0 ? [`${Math.round(share * 100)} % of ${name}`] : [];
  });
  if (shares.length === 0) return [];
  const measures = `lag ${String(lagMs)} ms, memory ${Math.round(Number(memory) * 100)} %`;
  return [`  thread ${String(thread)} REFUSES ${shares.join(', ')} (${measures})`];
}

function limitRows(limits: Limits | null): string[] {
  if (limits === null || limits.total === 0) return [];
  return section('limits', limits.total, [
    ['name', 'kind', 'by', 'routes', 'admitted', 'refused', 'would refuse'],
    ...limits.limits.map(({ name, kind, by, routes, enforce, totals }) => [
      name,
      enforce ? kind : `${kind} (not enforced)`,
      by.join(', '),
      routes.total,
      totals?.admitted ?? '-',
      totals?.refused ?? '-',
      totals?.wouldRefuse ?? '-',
    ]),
  ]);
}

function protectionLines(protection: Status['protection']): string[] {
  if (protection?.bans === undefined) return [];
  const { connectionsRefused, bans } = protection;
  const banned = `${String(bans.made)} by policies; ${String(bans.requests)} requests and ${String(bans.connections)} connections refused`;
  return [`connections refused by address or rate: ${String(connectionsRefused)}`, `bans: ${banned}`];
}

function problemLines({ total, refused, problems }: Problems): string[] {
  const shown = problems.map(({ file, line, column, severity, code, message }) => {
    return `${String(file)}:${String(line)}:${String(column)}  ${String(severity)}  ${String(code)}  ${String(message)}`;
  });
  if (total > shown.length) shown.push(`… and ${total - shown.length} more`);
  const title = total === 0 ? 'no problems' : `problems (${total})`;
  return [refused ? `${title}: THE LAST CHANGE WAS REFUSED, what served before serves on` : title, ...shown];
}

/** A title and a table, the first row of which is its head. */
function section(title: string, total: number, rows: readonly (readonly unknown[])[]): string[] {
  const texts = rows.slice(0, shownRows + 1).map((row) => row.map(String));
  const widths = texts[0].map((_, column) => Math.max(...texts.map((row) => row[column].length)));
  const table = texts.map((row) => `  ${row.map((text, column) => text.padEnd(widths[column])).join('  ')}`.trimEnd());
  return ['', `${title} (${total})`, ...table, ...(rows.length > texts.length ? ['  …'] : [])];
}

/** Names and messages come from elsewhere; on a terminal they are text and nothing else. */
function toPlain(line: string): string {
  return line.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ');
}

/** `3 d 4 h`, `2 min 5 s`: the two largest units. */
function inWords(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const;
  const first = parts.findIndex(([number]) => number > 0);
  const shown = first === -1 ? parts.slice(-1) : parts.slice(first, first + 2);
  return shown.map(([number, unit]) => `${number} ${unit}`).join(' ');
}
