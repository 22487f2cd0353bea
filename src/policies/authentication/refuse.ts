/** What a client gets that could not be authenticated: the same answer for all causes of a kind, and no faster for being wrong. */
import type { Authenticator, Exchange, MaybePromise, PolicyEnv, Refusal, Reply } from '../../contract.ts';
import { errors, type ErrorCode } from '../../errors.ts';

/**
 * @param asked what a 401 names, in this order (RFC 9110, section 11.6.1: several challenges say that any of them will do).
 */
export function refuse(
  exchange: Exchange,
  refusal: Refusal,
  asked: readonly Authenticator[],
  { damping, wait }: Pick<PolicyEnv, 'damping' | 'wait'>,
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
  const { delayMs, refuseMs } = damping.look(clientIp, '');
  damping.failed(clientIp, '');
  if (refuseMs > 0) return tooManyAttempts(refuseMs, reason);
  const answer = challenge(asked, 'invalid', reason);
  return delayMs > 0 ? wait(delayMs).then(() => answer) : answer;
}

/** @param refuseMs for how long further attempts are refused. */
export function tooManyAttempts(refuseMs: number, reason: string): Reply {
  return replyWith('TOO_MANY_ATTEMPTS', reason, [['retry-after', String(Math.ceil(refuseMs / 1000))]]);
}

function challenge(asked: readonly Authenticator[], kind: 'missing' | 'invalid', reason: string): Reply {
  const challenges = asked.map((one) => (kind === 'invalid' ? (one.invalidChallenge ?? one.challenge) : one.challenge));
  const headers = challenges.flatMap((text) => (text === '' ? [] : [['www-authenticate', text] as const]));
  return replyWith('UNAUTHENTICATED', reason, headers);
}

function replyWith(code: ErrorCode, reason: string, headers: Reply['headers'] = []): Reply {
  return { status: errors[code].status, code, reason, headers };
}
