/**
 * What `defineRule` and `authenticating` let through and what not. There is nothing to run: the type checker fails when a
 * line that is expected to be wrong is not, or one that is right is.
 */
import { Refusal, authenticating, authenticationOptions, definePolicy, defineRule, z } from '../../src/index.ts';

export const withoutOptions = defineRule({
  name: 'right',
  allows: ({ params }, { claims, scopes, consumer }) =>
    consumer?.name === params['owner'] || claims['admin'] === true || scopes.includes('write') || 'not the owner',
});

export const withOptions = defineRule({
  name: 'right',
  options: z.strictObject({ group: z.string() }),
  async allows(_exchange, { consumer }, { group }) {
    return consumer !== null && consumer.groups.includes(group.trim());
  },
});

export const wrongVerdict = defineRule({
  name: 'wrong',
  // @ts-expect-error: neither true, nor false, nor a reason.
  allows: () => 1,
});

export const noVerdict = defineRule({
  name: 'wrong',
  // @ts-expect-error: not every way through it ends with a verdict.
  allows({ method }) {
    if (method === 'GET') return true;
  },
});

export const unknownOption = defineRule({
  name: 'wrong',
  options: z.strictObject({ group: z.string() }),
  // @ts-expect-error: there is no such option.
  allows: (_exchange, _caller, { groups }) => groups === '',
});

export const claimsMayBeAnything = defineRule({
  name: 'wrong',
  // @ts-expect-error: a claim may be anything, so it has to be looked at first.
  allows: (_exchange, { claims }) => claims['role'].startsWith('admin'),
});

const missing = new Refusal('missing', 'nothing sent');

/** A way to authenticate of one's own is made as those that are built in. */
export const ownWay = definePolicy({
  name: 'own',
  summary: 'For the type checker.',
  options: z.strictObject({ ...authenticationOptions, header: z.string() }),
  provides: ['consumer'],
  create: (options, env) =>
    authenticating({ challenge: 'Own', authenticate: () => missing, conceal: () => {} }, options, env),
});

// @ts-expect-error: not one of the kinds that there are.
export const wrongKind = new Refusal('unknown', 'nothing sent');
