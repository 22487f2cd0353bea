/** A session as a thread remembers it between requests, with everything made ready that a request needs of it. */
import type { Credential } from '../../contract.ts';
import type { Session } from './session.ts';

/** How long sessions last and when something is to be done about them, in milliseconds. */
export interface SessionTimes {
  readonly lifetimeMs: number;
  readonly idleMs: number;
  readonly refreshBeforeMs: number;
  /** An access token that has expired ends the session where it cannot be refreshed: the upstream depends on it. */
  readonly endsWithAccess: boolean;
}

/** That somebody uses a session is noted this many times within the time after which it would end otherwise. */
const notesPerIdle = 10;

/** Times are wall-clock milliseconds. */
export class KnownSession {
  readonly session: Session;
  /** The text of the cookie that it was found by. */
  readonly text: string;
  /** Where that cookie came to. */
  readonly origin: string;
  readonly endsAt: number;
  /** When its use is to be noted. */
  renewAt: number;
  /** When its tokens are to be refreshed; Infinity for never. */
  refreshAt: number;
  /** What has taken its place. */
  successor: KnownSession | null = null;
  /** The consumers were in this version when it was found out whose it is; see `ConsumerDirectory.version`. */
  consumersVersion = -1;
  private lastCredential: Credential | null = null;

  constructor(session: Session, text: string, origin: string, times: SessionTimes) {
    this.session = session;
    this.text = text;
    this.origin = origin;
    this.endsAt = endOf(session, times);
    this.renewAt = session.seenAt + times.idleMs / notesPerIdle;
    this.refreshAt = refreshTimeOf(session, times);
  }

  /** @param version see `consumersVersion`. @param make called when there is none yet or consumers have changed. */
  credential(version: number, make: (session: Session) => Credential): Credential {
    if (this.lastCredential === null || this.consumersVersion !== version) {
      this.lastCredential = make(this.session);
      this.consumersVersion = version;
    }
    return this.lastCredential;
  }

  /** Whether the access token has not expired, as far as the provider says when it does. */
  hasAccess(now: number): boolean {
    const { accessExpiresAt } = this.session;
    return accessExpiresAt === 0 || now < accessExpiresAt;
  }
}

export function endOf(session: Session, { lifetimeMs, idleMs, endsWithAccess }: SessionTimes): number {
  const { startedAt, endsAt, seenAt, accessExpiresAt, refreshToken } = session;
  const isBoundToAccess = endsWithAccess && refreshToken === '' && accessExpiresAt > 0;
  return Math.min(endsAt, startedAt + lifetimeMs, seenAt + idleMs, isBoundToAccess ? accessExpiresAt : Infinity);
}

/** Ahead of their expiry, but never at once: of tokens that are short-lived the last quarter is ahead enough. */
function refreshTimeOf({ refreshToken, accessExpiresAt, grantedAt }: Session, times: SessionTimes): number {
  if (refreshToken === '' || accessExpiresAt === 0) return Infinity;
  return accessExpiresAt - Math.min(times.refreshBeforeMs, (accessExpiresAt - grantedAt) / 4);
}
