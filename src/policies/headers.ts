import { type HeaderList, type Policy, definePolicy } from '../contract.ts';
import { z } from '../util/schema.ts';
import { type Side, headerName, headerRecord, headerValue } from './header-options.ts';

/** What to do with the headers of one message; the schema of `request` and of `response`. */
function changesSchema(side: Side) {
  return z
    .strictObject({
      set: headerRecord(side, headerValue)
        .default({})
        .describe('Headers by name; each replaces all headers of its name.'),
      add: headerRecord(
        side,
        z.union([headerValue, z.array(headerValue).min(1)], { error: 'write a value or a list of values' }),
      )
        .default({})
        .describe('Headers by name, a value or a list of values; each is added to the headers of its name.'),
      remove: z
        .array(headerName(side))
        .default([])
        .describe('Names of headers; all headers of these names are removed.'),
    })
    .superRefine((changes, context) => {
      for (const name of contradictions(changes.remove, Object.keys(changes.set))) {
        context.addIssue({ code: 'custom', message: `"${name}" is named twice in "set" and "remove"` });
      }
      if (isEmpty(changes)) context.addIssue({ code: 'custom', message: 'name a header to set, add or remove' });
    });
}

const options = z
  .strictObject({
    request: changesSchema('request')
      .optional()
      .describe('Changes to the request, for the policies that follow and for the upstream.'),
    response: changesSchema('response')
      .optional()
      .describe('Changes to the response, whether it comes from the upstream, the cache or the gateway itself.'),
  })
  .refine(({ request, response }) => request !== undefined || response !== undefined, {
    message: 'say what to change: "request", "response" or both',
  });

/** Changes headers of the request and the response: removes, then sets, then adds. */
export const headers = definePolicy({
  name: 'headers',
  summary: 'Sets, adds and removes headers of the request and of the response.',
  options,
  create({ request, response }) {
    const policy: Policy = {};
    if (request !== undefined) {
      const changes = new HeaderChanges(request);
      policy.onRequest = (exchange) => changes.apply(exchange.requestHeaders);
    }
    if (response !== undefined) {
      const changes = new HeaderChanges(response);
      policy.onResponse = (exchange) => changes.apply(exchange.responseHeaders);
    }
    return policy;
  },
});

interface ChangesOptions {
  readonly set: Readonly<Record<string, string>>;
  readonly add: Readonly<Record<string, string | readonly string[]>>;
  readonly remove: readonly string[];
}

/** The changes to one message, flattened once. */
class HeaderChanges {
  private readonly removed: readonly string[];
  private readonly replaced: readonly (readonly [name: string, value: string])[];
  private readonly added: readonly (readonly [name: string, value: string])[];

  constructor({ set, add, remove }: ChangesOptions) {
    this.removed = remove;
    this.replaced = Object.entries(set);
    this.added = Object.entries(add).flatMap(([name, values]) =>
      [values].flat().map((value) => [name, value] as const),
    );
  }

  apply(target: HeaderList): void {
    for (const name of this.removed) target.remove(name);
    for (const [name, value] of this.replaced) target.set(name, value);
    for (const [name, value] of this.added) target.add(name, value);
  }
}

/** Names that occur twice, in whatever case: one of the two would silently win. */
function contradictions(removed: readonly string[], set: readonly string[]): string[] {
  const seen = new Set<string>();
  return [...removed, ...set].filter((name) => {
    const lower = name.toLowerCase();
    const repeated = seen.has(lower);
    seen.add(lower);
    return repeated;
  });
}

function isEmpty({ set, add, remove }: ChangesOptions): boolean {
  return remove.length === 0 && Object.keys(set).length === 0 && Object.keys(add).length === 0;
}
