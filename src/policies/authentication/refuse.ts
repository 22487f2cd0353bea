/** What a client gets that could not be authenticated: the same answer for all causes of a kind, and no faster for being wrong. */
import type { Authenticator, Exchange, MaybePromise, PolicyEnv, Refusal, Reply } from '../../contract.ts';
import { errors, type ErrorCode } from '../../errors.ts';
import { slowDown } from './slow-down.ts';

/** What a way to authenticate asks for. */
export type Asked = Pick<Authenticator, 'challenge' | 'invalidChallenge'>;

/**
 * @param asked what a 401 names, in this order (RFC 9110, section 11.6.1: several challenges say that any of them will do).
 */
export function refuse(
  exchange: Exchange,
  refusal: Refusal,
  asked: readonly Asked[],
  env: Pick<PolicyEnv, 'damping' | 'wait'>,
): MaybePromise<Reply> {
  const { kind, reason, reply } = refusal;
  if (reply !== null) return { reason, ...reply };
  switch (kind) {
    case 'unavailable':
      return replyWith('AUTH_UNAVAILABLE', reason);
    case 'damped':
      return replyWith('TOO_MANY_ATTEMPTS', reason);
    case 'invalid':
      break;
    default:
      return challenge(asked, 'missing', reason);
  }
  const { clientIp } = exchange;
  const answer = challenge(asked, 'invalid', reason);
  // Many clients behind one address have tokens that expire; each must learn that it needs another one.
  if (!refusal.isGuess) return answer;
  // Whom it claims to belong to was looked at before the credential was.
  if (refusal.account !== '') {
    env.damping.failed(clientIp, refusal.account);
    return answer;
  }
  const { delayMs, refuseMs } = env.damping.look(clientIp, '');
  // What is refused whatever it presents says nothing to whoever guesses, and makes the time no longer.
  if (refuseMs > 0) return tooManyAttempts(refuseMs, reason);
  env.damping.failed(clientIp, '');
  return slowDown(env, clientIp, delayMs)?.then(() => answer) ?? answer;
}

/** @param refuseMs for how long further attempts are refused. */
export function tooManyAttempts(refuseMs: number, reason: string): Reply {
  return replyWith('TOO_MANY_ATTEMPTS', reason, [['retry-after', String(Math.ceil(refuseMs / 1000))]]);
}

function challenge(asked: readonly Asked[], kind: 'missing' | 'invalid', reason: string): Reply {
  const challenges = asked.map((one) => (kind === 'invalid' ? (one.invalidChallenge ?? one.challenge) : one.challenge));
  // Two ways may ask for the same thing.
  const headers = [...new Set(challenges)].flatMap((text) =>
    text === '' ? [] : [['www-authenticate', text] as const],
  );
  return replyWith('UNAUTHENTICATED', reason, headers);
}

function replyWith(code: ErrorCode, reason: string, headers: Reply['headers'] = []): Reply {
  return { status: errors[code].status, code, reason, headers };
}
