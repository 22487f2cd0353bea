/** Who is counted as one: the option `by`, and the text that it makes of a request. */
import { hash } from 'node:crypto';
import type { Exchange, LimitKeyFunction, PolicyEnv } from '../../contract.ts';
import { z } from '../../util/schema.ts';
import { type PartReader, addressOf, problemOfPart, readerOf, withLength } from './key-part.ts';

const part = z.string().superRefine((text, context) => {
  const problem = problemOfPart(text);
  if (problem !== null) context.addIssue({ code: 'custom', message: problem });
});

export const by = z
  .union([
    part,
    z.array(part).min(1).max(8),
    z.strictObject({
      use: z.string().min(1).describe('A file whose default export is a function, as `defineLimitKey` makes it.'),
    }),
  ])
  .default('consumer')
  .describe(
    'Who is counted by himself: `ip` (of IPv6 the /64), `consumer`, `group` (the first of the consumer), `route`, `global`, `header:X`, `cookie:X`, `claim:X`, `param:X`, `query:X`, `value:X` (what a policy of your own has noted in `exchange.values`); a list of these; or `{use: ./key.ts}`, a function of your own. A client that has none of it is counted by its address instead.',
  );

export type By = z.infer<typeof by>;

/** A longer one is known by its digest: hashing what others send must not take long. Nothing is cut off. */
const longestKey = 1024;

export class LimitKey {
  /** Whether the last that was read had nothing of the kind, so that the address of the client stands for it. */
  isByAddress = false;
  private readonly single: PartReader | null;
  private readonly parts: readonly PartReader[];

  constructor(given: By, env: Pick<PolicyEnv, 'route' | 'ownFunction'>) {
    this.parts = isOwn(given)
      ? [checked(env.ownFunction(given.use))]
      : namesOf(given).map((name) => readerOf(name, env.route));
    this.single = this.parts.length === 1 ? this.parts[0] : null;
  }

  read(exchange: Exchange): string {
    const text = this.single === null ? this.readAll(exchange) : this.readOne(this.single, exchange);
    return text.length > longestKey ? shortened(text) : text;
  }

  private readOne(reader: PartReader, exchange: Exchange): string {
    const text = reader(exchange);
    this.isByAddress = text === undefined;
    return text ?? addressOf(exchange);
  }

  private readAll(exchange: Exchange): string {
    let all = '';
    for (const reader of this.parts) {
      const text = reader(exchange);
      all += text === undefined ? `-${withLength(addressOf(exchange))}` : withLength(text);
    }
    return all;
  }
}

function shortened(text: string): string {
  return hash('sha256', text, 'base64');
}

/** The key of a request that has all of these parts, in the order of `by`. */
export function keyOfParts(parts: readonly string[]): string {
  const text = parts.length === 1 ? parts[0] : parts.map(withLength).join('');
  return text.length > longestKey ? shortened(text) : text;
}

function isOwn(given: By): given is { use: string } {
  return typeof given === 'object' && !Array.isArray(given);
}

/** What it counts by, in words. */
export function namesOf(given: By): readonly string[] {
  return isOwn(given) ? [given.use] : typeof given === 'string' ? [given] : given;
}

/** What is no key is nobody's: such a request must not be counted to somebody else, or to nobody. */
function checked(own: LimitKeyFunction): PartReader {
  return (exchange) => {
    const key: unknown = own(exchange);
    if (typeof key === 'string') return key;
    if (key === undefined || key === null) return undefined;
    if (key instanceof Promise) {
      key.catch(() => {});
      throw new TypeError('the function that a limit counts by has made a promise; it has to answer at once');
    }
    throw new TypeError(`the function that a limit counts by has made a ${typeof key}; a key is text`);
  };
}
