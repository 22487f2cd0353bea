/** What the gateway does for policies that cannot do it alone: what all threads share, and what others have to be asked. */
import type { MaybePromise } from '../contract.ts';
import type { Claims } from './authentication.ts';

/** A request that the gateway makes on its own behalf, whole and bounded. */
export interface CallRequest {
  /** `https://…`, `http://…`, without user and fragment. Redirects are not followed. */
  readonly url: string;
  /** Default GET. */
  readonly method?: string;
  /** Checked like all that reaches the wire. `host`, `accept-encoding` and what frames a message cannot be set. */
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly body?: string | Uint8Array;
  /**
   * Whether it may be sent once more when a kept connection turns out to be dead (RFC 9110, section 9.2.2); by default the
   * method says so. A POST that only asks may.
   */
  readonly idempotent?: boolean;
  /** By when the whole response must be there. */
  readonly timeoutMs: number;
  /** The largest response body that is accepted. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
  readonly tls?: CallTls;
}

/** How the server of a call is verified; by default against the authorities that the platform trusts. */
export interface CallTls {
  /** PEM text, or the absolute path of a file with it. */
  readonly ca?: string;
}

export interface CallResponse {
  readonly status: number;
  /** As on the wire, a repeated name several times. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
}

/** A call without a (complete) answer in time. The message is for the log and has neither secrets nor answers in it. */
export class CallError extends Error {
  override readonly name = 'CallError';
}

/** A document that somebody else publishes: keys of an issuer, a discovery document, a token of the gateway's own. */
export interface DocumentSource {
  /** `https://…`, `http://…`, or a file as `file:///…`, which is read again. */
  readonly url: string;
  /** Sent with POST if there is a body, with GET otherwise. */
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly body?: string;
  readonly tls?: CallTls;
  readonly timeoutMs: number;
  readonly maxBytes: number;
  /** Fetched again after this time, or sooner if `lifetimeMember` says so; without one, if `Cache-Control: max-age` does. */
  readonly refreshMs: number;
  /** Never fetched twice within this time, whatever happens. */
  readonly cooldownMs: number;
  /** The name of a member of the JSON with how many seconds it holds, as in `expires_in`. */
  readonly lifetimeMember?: string;
  /** It must be a JSON object with these members; anything else is an attempt that failed, and the last good one stays. */
  readonly members?: Readonly<Record<string, 'string' | 'array'>>;
  /** What is at `url` only says where the document is. Both are fetched, each time. */
  readonly pointer?: DocumentPointer;
}

/** A JSON object that says where a document is, as an OpenID provider's configuration does of its keys. */
export interface DocumentPointer {
  /** The member that is the URL, as in `jwks_uri`. One that is not secured where the pointer itself is, is refused. */
  readonly member: string;
  /** Members that must have just these values (OpenID Connect Discovery 1.0, section 4.3: `issuer`). */
  readonly mustSay: Readonly<Record<string, string>>;
}

/**
 * A document that is fetched in the background, once for all threads, and again before it gets old. While it cannot be
 * fetched the last one stays.
 */
export interface RemoteDocument {
  /** The text, or null as long as there has been none. */
  readonly text: string | null;
  /** Counts the different texts there have been: 0 for none. */
  readonly version: number;
  /** Wall-clock milliseconds at which the text was last confirmed; 0 for never. */
  readonly confirmedAt: number;
  /** Why the last attempt failed; empty if it did not. For the log. */
  readonly problem: string;
  /**
   * Asks for a fresh one; at most one fetch per cooldown comes of it. Resolves when the fetch that is under way is done,
   * or at once when it is too early for one.
   */
  refresh(): Promise<void>;
}

/** How an attempt to authenticate is to be treated. */
export interface Damping {
  /** How long to wait before the credential is looked at. */
  readonly delayMs: number;
  /** Not to be looked at at all before this many milliseconds are over; 0: it may be. */
  readonly refuseMs: number;
}

/**
 * Failed attempts to authenticate, counted over all threads. What one client does never keeps another out: refusals go by
 * the client, and by client and account together; attempts on one account from many clients are only slowed down, and
 * not for clients that have succeeded with it before.
 */
export interface AttemptDamping {
  /** @param account whom the credential claims to belong to; empty where it does not say. */
  look(clientIp: string, account: string): Damping;
  failed(clientIp: string, account: string): void;
  succeeded(clientIp: string, account: string): void;
}

/** Text that all threads have seen, until it is forgotten: sessions that were ended, nonces that were used. */
export interface SharedMemory {
  /**
   * Notes it until the given time (milliseconds of `PolicyEnv.now`), or for longer if it was noted for longer before.
   * @returns false when it was noted before; of several threads that note the same, one gets true.
   */
  add(text: string, untilMs: number): boolean;
  /** Errs, if it has to, by saying that it was noted. */
  has(text: string): boolean;
}

/** Who the gateway itself is, for those behind it: `identity` in the configuration. */
export interface GatewayIdentity {
  readonly issuer: string;
  /** The public keys, as the JSON of a JWK set (RFC 7517, section 5). */
  readonly jwks: string;
  /** A signed token (RFC 7519) with these claims and the gateway as `iss`. */
  sign(claims: Claims): string;
}

/**
 * Values that outlive the process and are shared with other machines: see `stores` in the configuration. What is asked
 * for is answered within the time-out of the store, or rejected.
 */
export interface ValueStore {
  get(key: string): Promise<string | null>;
  /**
   * @param when `absent`: only if there is none, so of several who set it one succeeds; `present`: only if there is one.
   * @returns whether it was set.
   */
  set(key: string, value: string, ttlMs: number, when: 'always' | 'absent' | 'present'): Promise<boolean>;
  delete(key: string): Promise<void>;
}

/** How much may pass in which time. */
export type LimitRule =
  | {
      readonly algorithm: 'gcra';
      readonly limit: number;
      readonly windowMs: number;
      /** How many may come at once. */
      readonly capacity: number;
    }
  | { readonly algorithm: 'sliding-window' | 'fixed-window'; readonly limit: number; readonly windowMs: number }
  | {
      readonly algorithm: 'calendar';
      readonly limit: number;
      readonly per: 'day' | 'month';
      readonly timeZone: string;
    };

/** What a charge came to. One object is used again and again: read it before the next charge. */
export interface LimitVerdict {
  /** Whether it was charged. What is refused charges nothing. */
  readonly isAllowed: boolean;
  readonly remaining: number;
  /** How long until everything is there again. */
  readonly resetMs: number;
  /** How long until there is more than `remaining`. */
  readonly moreMs: number;
  /** How long until the same charge would be allowed, if it was refused; Infinity for never. */
  readonly retryMs: number;
  /** When it was charged, and as what, for `undo`. */
  readonly chargedAtMs: number;
  readonly mark: number;
  /**
   * Where it was charged: in memory, in a store that other machines have as well, or to what was leased from one. `none`: the store that should have been asked
   * does not answer, nothing was charged, and `isAllowed` is what was configured for that.
   */
  readonly source: 'memory' | 'store' | 'lease' | 'none';
}

/** A limit, for all threads and configurations that have it. Each key is counted by itself. */
export interface Limiter {
  /** Decides and charges in one step. A promise where somebody else has to be asked; it is never rejected. */
  charge(key: string, cost: number): MaybePromise<LimitVerdict>;
  /** Takes back a charge that was allowed. What time has paid off of it already is not given back again. */
  undo(key: string, cost: number, charge: Pick<LimitVerdict, 'chargedAtMs' | 'mark' | 'source'>): void;
  /**
   * Makes of a charge that was allowed what was used in truth. What is less is given back as by `undo`. What is more is charged
   * even beyond the limit, and nothing is allowed before that is paid off; which takes no longer than a window.
   */
  correct(
    key: string,
    charged: number,
    used: number,
    charge: Pick<LimitVerdict, 'chargedAtMs' | 'mark' | 'source'>,
  ): void;
}

/** One that decides at once. */
export interface MemoryLimiter extends Limiter {
  charge(key: string, cost: number): LimitVerdict;
}

/**
 * What a limit has made of a request: its part of `RateLimit-Policy` and `RateLimit` in the response, which goes out as it is
 * given here. So it may hold nothing that comes from outside.
 */
export interface LimitCharge {
  /** That of the limit before it. */
  readonly previous: LimitCharge | null;
  /** The line of `RateLimit-Policy`: its own list member behind those of the limits before it. Empty where there is none. */
  readonly policyLine: string;
  /** Its list member alone; empty where clients are not told of it. */
  readonly state: string;
}

/** How many are on their way at once, by key, over all threads. */
export interface PermitPool {
  /** How many were held by all when this thread has taken a permit last, that one included. */
  readonly inFlight: number;
  /** Takes a permit if fewer than the limit are held. */
  tryAcquire(key: string): boolean;
  /** Waits for one if fewer than `queue` do. */
  tryQueue(key: string): boolean;
  /** Takes a permit for one that waits, which then does not wait any longer. */
  tryAdvance(key: string): boolean;
  /** Gives up waiting. */
  leaveQueue(key: string): void;
  /** Gives a permit back: exactly once for each that was taken. */
  release(key: string): void;
}

/** A limit that is found from how long an upstream takes to answer, over all threads. */
export interface AdaptiveLimit {
  /** How many may be on their way at once, for the moment. */
  readonly current: number;
  /** What a request has taken that was answered. @param inFlight how many there were when it began. */
  note(latencyMs: number, inFlight: number): void;
}

/** Counts what a limit makes of requests. */
export interface LimitCounter {
  admitted(): void;
  /** @param isEnforced whether it has been refused, or only would have been. */
  refused(isEnforced: boolean, caller: RefusedCaller): void;
}

/** Whose request a limit has refused. */
export interface RefusedCaller {
  /** null for somebody unknown. */
  readonly consumer: { readonly name: string } | null;
  readonly clientIp: string;
}

/** What rates and quotas are counted in. */
export interface LimiterSource {
  /**
   * @param identity the same for what is to be the same limit, whichever thread, machine or configuration it is part of.
   * @throws for a rule that cannot be counted there.
   */
  limiter(identity: string, rule: LimitRule): Limiter;
}

export interface MemoryLimiterSource extends LimiterSource {
  limiter(identity: string, rule: LimitRule): MemoryLimiter;
}

/**
 * What becomes of requests while a store does not answer: they are counted in the memory of the machine, pass uncounted, or are
 * refused.
 */
export type StoreFailure = 'local' | 'open' | 'closed';

/** How many permits a machine takes from a store at a time: a number, or a share of the limit. */
export type StoreLease = { readonly size: number } | { readonly share: number };

/** How limits use a store. */
export interface StoreUse {
  readonly onStoreFailure: StoreFailure;
  /** Null where each request is decided by the store. */
  readonly lease: StoreLease | null;
}

/** What the limits of a machine count in. */
export interface LimitStore extends MemoryLimiterSource {
  /** @param queue how many may wait. */
  permits(identity: string, limit: number | AdaptiveLimit, queue: number): PermitPool;
  /** @param bounds what the limit is never below, and never above. */
  adaptive(identity: string, bounds: { readonly min: number; readonly max: number }): AdaptiveLimit;
  /** @param identity the same for what operators see as one limit, whatever numbers it has for whom. */
  counter(identity: string): LimitCounter;
  /** Notes that a limit has refused a request, or would have. */
  noteRefusal(isEnforced: boolean): void;
}

/** Who is turned away for a while, whichever route they call, by all threads. */
export interface BanList {
  /** Whether nobody is: looking costs next to nothing. */
  readonly isEmpty: boolean;
  /** For how long yet a client is turned away, in milliseconds; 0 if it is not. */
  remainingMs(address: string): number;
  /**
   * Turns the client that has an address away (of IPv6 its /64). One that is turned away for longer already stays so.
   * @param by who says so, and why; for operators.
   * @returns whether it was not turned away before. A text that is no address is nobody.
   */
  add(address: string, forMs: number, by: string, reason: string): boolean;
  /** Notes that a client was turned away. */
  noteRefusal(what: 'request' | 'connection'): void;
}
