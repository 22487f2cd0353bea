/** `gatewright bans`: who is turned away by a gateway that runs, and changing that. */
import { type AdminAnswer, AdminUnreachable, adminRequest, standardAdminUrl, tokenVariable } from './admin-client.ts';
import { type CommandIo, exitCodes } from './cli-io.ts';

export interface BansOptions {
  /** Where the admin API is. */
  readonly admin?: string;
  readonly format: 'text' | 'json';
}

export interface AddBanOptions extends BansOptions {
  readonly for: string;
  readonly reason?: string;
}

interface ShownBan {
  readonly network: string;
  readonly until: number;
  readonly by: string;
  readonly reason: string;
}

/** As many as the admin API tells of at once. */
const shownRows = 1_000;

/** @param address only those that hold for it. @returns the exit code, as for the others: 1 when the gateway refuses, 3 when it cannot be reached. */
export function listBans(address: string | undefined, options: BansOptions, io: CommandIo): Promise<number> {
  const wanted = address === undefined ? '' : `&address=${encodeURIComponent(address)}`;
  return ask({ method: 'GET', path: `/api/v1/bans?limit=${shownRows}${wanted}` }, options, io, (json) => {
    const { total, bans } = json as { readonly total: number; readonly bans: readonly ShownBan[] };
    if (bans.length === 0) return 'nobody is banned\n';
    const rows = [['network', 'until', 'by', 'reason'], ...bans.map(rowOf)];
    const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
    const lines = rows.map((row) =>
      row
        .map((text, column) => text.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    );
    if (total > bans.length) lines.push(`… and ${total - bans.length} more`);
    return `${lines.join('\n')}\n`;
  });
}

/** @param network an address, or a CIDR block. */
export function addBan(network: string, options: AddBanOptions, io: CommandIo): Promise<number> {
  const where = network.includes('/') ? { network } : { address: network };
  const body = JSON.stringify({ ...where, for: options.for, reason: options.reason });
  return ask({ method: 'POST', path: '/api/v1/bans', body }, options, io, (json) => {
    const { ban } = json as { readonly ban: ShownBan };
    const [name, until] = rowOf(ban);
    return `${name} is banned until ${until}\n`;
  });
}

export function removeBan(network: string, options: BansOptions, io: CommandIo): Promise<number> {
  const path = `/api/v1/bans/${encodeURIComponent(network)}`;
  return ask({ method: 'DELETE', path }, options, io, () => `${toPlain(network)} is not banned any more\n`);
}

async function ask(
  request: { readonly method: 'GET' | 'POST' | 'DELETE'; readonly path: string; readonly body?: string },
  { admin = standardAdminUrl, format }: BansOptions,
  io: CommandIo,
  toText: (json: unknown) => string,
): Promise<number> {
  let answer: AdminAnswer;
  try {
    answer = await adminRequest(admin, { ...request, token: io.env[tokenVariable] });
  } catch (error) {
    if (!(error instanceof AdminUnreachable)) throw error;
    io.stderr.write(`${error.message}\n`);
    return exitCodes.unreachable;
  }
  const { status, json } = answer;
  if (status === 200) {
    io.stdout.write(format === 'json' ? `${JSON.stringify(json, null, 2)}\n` : toText(json));
    return exitCodes.fine;
  }
  io.stderr.write(`${toPlain(reasonIn(status, json))}\n`);
  return exitCodes.failed;
}

function reasonIn(status: number, json: unknown): string {
  const {
    title = `status ${status}`,
    detail,
    errors = [],
  } = (json ?? {}) as {
    readonly title?: string;
    readonly detail?: string;
    readonly errors?: readonly { readonly path: readonly unknown[]; readonly message: string }[];
  };
  const [first] = errors;
  if (first !== undefined) return `${first.path.join('.')}: ${first.message}`.replace(/^: /, '');
  return detail ?? title;
}

function rowOf({ network, until, by, reason }: ShownBan): string[] {
  return [network, new Date(until).toISOString(), by, reason].map(toPlain);
}

/** Reasons come from elsewhere; on a terminal they are text and nothing else. */
function toPlain(text: string): string {
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ');
}
