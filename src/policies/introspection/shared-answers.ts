/**
 * Routes that ask the same server in the same way share what it has said, and it outlives a reload. What a route asks of a
 * token beyond that is its own affair.
 */
import { hash } from 'node:crypto';
import type { ConsumerDirectory, PolicyEnv } from '../../contract.ts';
import { type EndpointOptions, IntrospectionEndpoint } from './introspection-endpoint.ts';
import { TokenAnswers } from './token-answers.ts';

/** Of each gateway, told apart by its consumers; held by the policies that use them. */
const shared = new WeakMap<ConsumerDirectory, Map<string, WeakRef<TokenAnswers>>>();

export function answersOf(options: EndpointOptions, cacheForMs: number, env: PolicyEnv): TokenAnswers {
  // Not the secret itself, which would then lie around for longer than anybody uses it.
  const key = hash('sha256', JSON.stringify([options, cacheForMs]), 'base64url');
  const known = shared.get(env.consumers) ?? new Map<string, WeakRef<TokenAnswers>>();
  shared.set(env.consumers, known);
  for (const [other, answers] of known) if (answers.deref() === undefined) known.delete(other);
  const answers = known.get(key)?.deref() ?? new TokenAnswers(new IntrospectionEndpoint(options, env), cacheForMs, env);
  known.set(key, new WeakRef(answers));
  return answers;
}
