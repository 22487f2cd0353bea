/** `gatewright keys new`: a key for a consumer, shown once, and the hash that the gateway knows it by. */
import { isDay } from '../config/schema/consumer.ts';
import { NAME_RULE, isName } from '../config/schema/scalars.ts';
import { digestOfApiKey, newApiKey } from '../consumers/new-api-key.ts';
import { systemClock } from '../util/clock.ts';
import { AdminUnreachable, adminRequest, tokenVariable } from './admin-client.ts';
import { type CommandIo, exitCodes } from './cli-io.ts';

export interface NewKeyOptions {
  /** What the key is for. */
  readonly label?: string;
  /** The last day on which it is accepted. */
  readonly expires?: string;
  /** The admin API of a gateway that is to keep the hash. */
  readonly admin?: string;
  readonly format: 'text' | 'json';
}

/** @returns the exit code: 1 when the gateway refuses the key, 3 when it cannot be reached. No key is shown then. */
export async function runNewKey(consumer: string, options: NewKeyOptions, io: CommandIo): Promise<number> {
  const mistake = mistakeIn(consumer, options);
  if (mistake !== null) {
    io.stderr.write(`${mistake}\n`);
    return exitCodes.usage;
  }
  const key = newApiKey();
  const hash = `sha256:${digestOfApiKey(key)}`;
  if (options.admin !== undefined) {
    const failure = await keep(options.admin, consumer, hash, options, io);
    if (failure !== null) return failure;
  }
  io.stdout.write(options.format === 'json' ? `${JSON.stringify({ key, hash })}\n` : `key   ${key}\nhash  ${hash}\n`);
  if (options.format === 'text') io.stderr.write(adviceOf(consumer, hash, options));
  return exitCodes.fine;
}

function mistakeIn(consumer: string, { label = '', expires }: NewKeyOptions): string | null {
  if (!isName(consumer)) return `${JSON.stringify(consumer)} cannot be the name of a consumer: ${NAME_RULE}`;
  if (expires !== undefined && !isDay(expires)) return '--expires takes a day that there is, such as 2027-12-31';
  if (expires !== undefined && isOver(expires)) return `--expires: ${expires} is over: nobody could use the key`;
  return /^\P{Cc}{0,128}$/u.test(label) ? null : '--label takes one line of at most 128 characters';
}

/** A key is good to the end of its last day, UTC. */
function isOver(day: string): boolean {
  return day < new Date(systemClock.wallNow()).toISOString().slice(0, 10);
}

/** Only the hash is sent. @returns the exit code when it is not kept, which has then been said. */
async function keep(
  url: string,
  consumer: string,
  hash: string,
  { label, expires }: NewKeyOptions,
  io: CommandIo,
): Promise<number | null> {
  try {
    const { status, json } = await adminRequest(url, {
      method: 'POST',
      path: `/api/v1/consumers/${consumer}/keys`,
      body: JSON.stringify({ hash, label, expires }),
      token: io.env[tokenVariable],
    });
    if (status === 200) return null;
    const { detail = `status ${status}` } = (json ?? {}) as { readonly detail?: string };
    io.stderr.write(`the gateway does not keep a key of ${consumer}: ${detail}\n`);
    return exitCodes.failed;
  } catch (error) {
    if (!(error instanceof AdminUnreachable)) throw error;
    io.stderr.write(`${error.message}\n`);
    return exitCodes.unreachable;
  }
}

/** Goes where it is in nobody's way who reads the key from the standard output. */
function adviceOf(consumer: string, hash: string, { label, expires, admin }: NewKeyOptions): string {
  const once = 'The key is shown this once: give it to whoever is to use it.';
  if (admin !== undefined) return `${once} The gateway accepts it already.\n`;
  const entry = { hash, ...(label !== undefined && { label }), ...(expires !== undefined && { expires }) };
  const fields = Object.entries(entry).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
  return `${once} The configuration gets its hash:

consumers:
  ${consumer}:
    apiKeys:
      - { ${fields.join(', ')} }
`;
}
