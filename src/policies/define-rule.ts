/** A rule of one's own about who may call, where the options of `authorize` do not suffice. */
import {
  type Credential,
  type Exchange,
  type MaybePromise,
  type PolicyDefinition,
  type Reply,
  definePolicy,
} from '../contract.ts';
import { type Schema, z } from '../util/schema.ts';
import { authCounters } from './authentication/auth-counters.ts';
import { callerOf, forbidden, refuseNobody } from './authorization/caller.ts';

export interface RuleDefinition<Options = unknown> {
  /** How logs and messages call it. */
  readonly name: string;
  /** One sentence, for people who read the configuration. */
  readonly summary?: string;
  /** Declares and validates `options` beside `use`; without it there are none. */
  readonly options?: Schema<Options>;
  /**
   * Asked for every request that somebody was found to send. Only `true` lets it pass. Anything else is answered with 403
   * `FORBIDDEN`; a text is the reason that stands in the access log, so it must have nothing secret in it. What is thrown
   * is a defect: the request is answered with 500 and goes no further.
   */
  allows(exchange: Exchange, caller: Credential, options: Options): MaybePromise<boolean | string>;
}

/** Declares a rule, for a module that a route names: `use: ./may-edit.ts`. */
export function defineRule<Options = Record<string, never>>(rule: RuleDefinition<Options>): PolicyDefinition<Options> {
  const { name, summary = 'Decides who may call.' } = rule;
  return definePolicy<Options>({
    name,
    summary,
    // Without a schema `Options` is what this one makes.
    options: rule.options ?? (z.strictObject({}) as unknown as Schema<Options>),
    needs: ['consumer'],
    provides: ['authorisation'],
    create(options, env) {
      const refused = forbidden(`the rule ${name} does not allow it`);
      const counters = authCounters(env);
      const answer = (verdict: boolean | string): Reply | undefined => {
        (verdict === true ? counters.accepted : counters.forbidden).add();
        if (verdict === true) return undefined;
        return typeof verdict === 'string' ? forbidden(verdict) : refused;
      };
      return {
        onRequest(exchange): MaybePromise<Reply | undefined> {
          const caller = callerOf(exchange);
          if (caller === null) {
            counters.missing.add();
            return refuseNobody(exchange, env);
          }
          const verdict = rule.allows(exchange, caller, options);
          return verdict instanceof Promise ? verdict.then(answer) : answer(verdict);
        },
      };
    },
  });
}
